"""The processor's settings: `FOREBAY_PROCESSOR_*`."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = ["ProcessorSettings"]


class ProcessorSettings(BaseSettings):
    """How one processor process works."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_PROCESSOR_", frozen=True)

    pool: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")] = "processor"
    """The label `pool` of the metrics: `dedicated` for processors of one endpoint's own, so that
    their figures do not count as those of the shared ones."""

    admin_host: str = "::"
    """Where probes and metrics are served; no route from outside the cluster leads here."""

    admin_port: Annotated[int, Field(ge=0, le=65535)] = 9090

    batch: Annotated[int, Field(gt=0, le=1000)] = 256
    """Messages asked for at a time from each consumer: one by one was measured 6 times slower,
    and larger batches gained nothing."""

    store_seconds: Annotated[float, Field(gt=0)] = 5.0
    """For JetStream to answer a publish; nobody waits for it but the next batch."""

    max_body_items: Annotated[int, Field(gt=0)] = 50_000
    """Items that one body may hold. A body with more is set aside in the lane `invalid`, whole: no
    provider sends more than 1,000, but for a history, of which 12,000 messages were seen."""

    max_body_expansion: Annotated[int, Field(ge=0)] = 64
    """How many times its own bytes a body's items may come to, each with what stands around it (up
    to 2 KiB); 0 for no bound. 1 MiB is always allowed. Above it the body is set aside."""

    max_body_values: Annotated[int, Field(ge=0)] = 300_000
    """JSON values that one body may hold, containers included; 0 for no bound. A history of 4 MiB
    has 200,000; made for it, 4 MiB hold 2 million, which take 150 MB and a third of a second in
    which nothing else runs. Above it the body is set aside before it is decoded. Bodies of
    `generic` endpoints are not taken apart, and have no such bound."""

    max_decoded_bytes: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024
    """What a body that was sent compressed may hold once it is decoded, in bytes: four times the
    largest body that a receiver takes. Above it the body is set aside."""

    large_bodies_bytes: Annotated[int, Field(gt=0)] = 4 * 1024 * 1024
    """Bytes of bodies above 64 KiB, or of many items, that are taken apart at a time. What a body
    becomes in memory is up to 30 times its bytes. One that is larger goes alone."""

    stop_seconds: Annotated[float, Field(ge=0)] = 10.0
    """After SIGTERM, or before a partition goes to another processor, for deliveries under way to
    end; what does not is delivered again by the next owner."""

    watchdog_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Without one answer of NATS for so long, after it was there, the process ends: a fresh one may
    find what this one cannot."""

    allowed_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks, separated by commas, in which destinations may be though their addresses are
    private, such as `10.244.0.0/16`. None by default: the URLs are the tenants', and what they must
    not reach (databases, the cloud's metadata service, this process) is there as well."""

    denied_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = ()
    """Networks in which no destination may be though their addresses are public; goes before
    `allowed_networks`."""

    own_nats: bool = False
    """Whether `nats` destinations may be on the NATS that Forebay itself stores in, where their
    addresses are allowed. Not by default: whoever may make an endpoint could publish to other
    applications there, as whom its login says."""

    python_modules: Annotated[tuple[str, ...], NoDecode] = ()
    """Modules, separated by commas, whose functions `python` destinations may name, with those
    below them; `*` for all. None by default: whoever may make an endpoint runs them here, with all
    that this process may do."""

    python_path: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders, separated by commas, in which such modules are searched after all others."""

    python_reload: bool = False
    """Whether the process ends, in order, when a file of theirs changes: for `forebay run`, which
    starts it again."""

    index: bool = True
    """Whether it is kept what happened to each item, for `forebay events`. It takes some 300 bytes
    of NATS' disk an item, and 8 µs of the processor's time (docs/design/0031)."""

    nameservers: Annotated[tuple[str, ...], NoDecode] = ()
    """Name servers to ask for destinations' names, separated by commas, instead of those of
    `/etc/resolv.conf`, such as `10.96.0.10` or `[fd00::a]:5353`; search domains and options stay
    those of that file."""

    retention_check_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Between two checks of how full RAW and EVENTS are; where one is half full, a tenth of it."""

    stream_check_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Between two checks of whether all streams and consumers are there, and how far they are: six
    requests a shard. Where a request for messages is refused it is checked at once."""

    keep_gone_seconds: Annotated[float, Field(gt=0)] = 7200.0
    """How long there is something of an endpoint or a destination that no table names any more: its
    last counts, and its queue, once nothing waits in it. Longer than the alerts look back, 75
    minutes: dead letters of an endpoint that no table names are counted under such series."""

    @field_validator("nameservers", "python_modules", "python_path", mode="before")
    @classmethod
    def _read_list(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("allowed_networks", "denied_networks", mode="before")
    @classmethod
    def _read_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        networks = []
        for part in (part.strip() for part in value.split(",") if part.strip()):
            try:
                networks.append(ipaddress.ip_network(part))
            except ValueError as error:
                message = f"write networks such as 10.244.0.0/16, separated by commas ({error})"
                raise ValueError(message) from error
        return tuple(networks)
