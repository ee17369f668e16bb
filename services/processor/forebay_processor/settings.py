"""The processor's settings: `FOREBAY_PROCESSOR_*`."""

import ipaddress
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = ["ProcessorSettings"]


class ProcessorSettings(BaseSettings):
    """How one processor process works."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_PROCESSOR_", frozen=True)

    admin_host: str = "0.0.0.0"  # noqa: S104  # the kubelet and Prometheus come from outside
    """Where probes and metrics are served; no route from outside the cluster leads here."""

    admin_port: Annotated[int, Field(ge=0, le=65535)] = 9090

    batch: Annotated[int, Field(gt=0, le=1000)] = 256
    """Messages asked for at a time from each consumer: one by one was measured 6 times slower,
    and larger batches gained nothing."""

    store_seconds: Annotated[float, Field(gt=0)] = 5.0
    """For JetStream to answer a publish; nobody waits for it but the next batch."""

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

    retention_check_seconds: Annotated[float, Field(gt=0)] = 5.0
    """Between two looks at how full RAW and EVENTS are; where one is half full, a tenth of it."""

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
