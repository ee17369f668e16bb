"""The operator's settings: one file that the chart renders, and a few variables of the process.

`FOREBAY_OPERATOR_CONFIG` names the file (YAML or JSON, keys in camelCase, a mounted ConfigMap). How
to reach NATS comes from `FOREBAY_NATS_*`, how to log from `FOREBAY_LOG_*`, as in every part. The
API server is found as kubectl finds it: by the pod's service account, else by `KUBECONFIG`.

All is read once at the start; the chart restarts the operator when the file changes.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from forebay.core.errors import ConfigurationError
from forebay.core.field_types import Host, label
from forebay.core.quantity_pattern import QUANTITY
from forebay_operator.settings.processors import DedicatedProcessing, Processors, Shard
from forebay_operator.settings.receivers import ReceiverPods, SharedReceivers
from forebay_operator.settings.routes import RouteSettings
from forebay_operator.settings.scaling import Keda
from forebay_operator.settings.settings_group import ObjectName, Port, Seconds, SettingsGroup

__all__ = [
    "Limits",
    "OperatorConfig",
    "ProcessSettings",
    "TableSettings",
    "TenantLimits",
    "read_config",
]


class ProcessSettings(BaseSettings):
    """What stands in the environment of the operator's process."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_OPERATOR_", frozen=True)

    config: Path
    """The file that `OperatorConfig` is read from; no default: it says which images to run."""

    admin_host: str = "::"
    """Where /livez, /readyz and /metrics are served; no route from outside leads here."""

    admin_port: Port = 9090


class TableSettings(SettingsGroup):
    """The Secrets from which receivers and processors know the endpoints."""

    count: Annotated[int, Field(ge=1, le=64)] = 16
    """Secrets for each of the two kinds: `<name>-receivers-NN` and `<name>-processors-NN`, with one
    key each, `receivers-NN.json` and `processors-NN.json`. The pods mount as many: restart operator
    and pods together. Endpoints stay in the tables that they are in; those of tables that go move
    to others. A Secret holds 1 MiB, an endpoint takes about 1 KiB, and `TenantLimits.table_kib` at
    most."""

    deleted_for_seconds: Seconds = 8 * 86400.0
    """How long a deleted endpoint is listed as such: longer than its raw webhooks are kept (168h),
    so that processors drop what comes up of it."""


class Limits(SettingsGroup):
    """How hard the operator works."""

    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Requests to the API server at one time: bounds the load on it."""

    resync_seconds: Seconds = 300.0
    """Each endpoint is reconciled this often, give or take a fifth, for what a watch lost."""

    status_seconds: Seconds = 10.0
    """Between two polls of pods and backlog, for the conditions and numbers in the status."""

    deletion_grace_period_seconds: Seconds = 600.0
    """How long a deletion waits for NATS, so that the endpoint's messages can be purged; then it
    ends with a warning."""

    request_seconds: Seconds = 10.0
    """For one request to the API server."""

    discovery_seconds: Seconds = 60.0
    """Between two polls which optional APIs are there."""

    pod_seconds: Seconds = 2.0
    """For one request to a pod's admin port."""


HostPattern = Annotated[
    str,
    Field(
        pattern=r"^(\*|(\*\.)?([a-z0-9{]([a-z0-9{}-]*[a-z0-9}])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?)$"
    ),
]
"""A host, `*.example.com` for all below it, or `*`; `{namespace}` stands for the endpoint's own."""

QuantityText = Annotated[str, Field(pattern=f"^{QUANTITY}$")]


class TenantLimits(SettingsGroup):
    """What one endpoint may ask for at most; what is beyond is reported in its condition Accepted.

    They hold for new and old endpoints alike. Where one is lowered below what an endpoint has, what
    was made for it stays as it is until its spec fits.
    """

    hosts: tuple[HostPattern, ...] = ()
    """Hosts that `spec.host` may name besides the installation's own; none as shipped, since
    whoever names a host first gets what comes to it."""

    replicas: Annotated[int, Field(ge=1, le=100)] = 20
    """The most Dedicated receivers. An endpoint that does not say `receiver.replicas` has no more
    than this."""

    cpu: QuantityText = "2"
    """In `receiver.resources`, for each pod."""

    memory: QuantityText = "2Gi"
    """The same."""

    messages_per_second: Annotated[int, Field(ge=80, le=10_000)] = 1000
    """`throughput.messagesPerSecond`: of it follow the pods that an endpoint gets, and how many of
    its webhooks a receiver holds at once. 80 is what an endpoint has that does not say it."""

    destinations: Annotated[int, Field(ge=1, le=32)] = 16
    requests_in_flight: Annotated[int, Field(ge=64, le=32_768)] = 1024
    """Requests in flight to all destinations of an endpoint; 64 is what one destination has that
    does not say it."""

    secrets: Annotated[int, Field(ge=1, le=256)] = 64
    """Secrets that an endpoint names: each is read from the API server at each resync."""

    table_kib: Annotated[int, Field(ge=4, le=448)] = 64
    """KiB that an endpoint takes in a table, secrets and certificates included. A Secret holds
    1 MiB, so that at least two endpoints fit whatever they are."""

    @property
    def table_bytes(self) -> int:
        """The same in bytes."""
        return self.table_kib * 1024


class OperatorConfig(SettingsGroup):
    """The whole file."""

    namespace: ObjectName
    """Forebay's own: all that the operator makes is here."""

    name: Annotated[str, label(40)] = "forebay"
    """Stands before every name; the chart's full name. At most 40 characters."""

    release: Annotated[str, label(53)] = "forebay"
    """Helm's release, for the label `app.kubernetes.io/instance`."""

    version: str = ""
    """For the label `app.kubernetes.io/version`; left out where empty."""

    host: Host
    """The public host of endpoints that name none."""

    scheme: Literal["https", "http"] = "https"
    """Of the URL in the status. Providers take https only."""

    isolation: Literal["Dedicated", "Shared"] = "Dedicated"
    """For endpoints that do not say `receiver.isolation`."""

    receiver: ReceiverPods
    route: RouteSettings = RouteSettings()
    tables: TableSettings = TableSettings()
    shards: Annotated[tuple[Shard, ...], Field(min_length=1)] = (Shard(),)
    shared_receivers: SharedReceivers | None = None
    """None where the chart runs none: then `Shared` endpoints are not accepted."""

    processors: Processors
    dedicated: DedicatedProcessing | None = None
    """None where no endpoint has streams and processors of its own: they are not accepted."""

    keda: Keda = Keda()
    limits: Limits = Limits()
    tenant_limits: TenantLimits = TenantLimits()


def read_config(path: Path) -> OperatorConfig:
    """Read the file.

    Raises:
        ConfigurationError: where it cannot be read, naming every key that cannot be used.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return OperatorConfig.model_validate(document, by_alias=True, by_name=False)
    except OSError as error:
        message = f"FOREBAY_OPERATOR_CONFIG: {path} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from error
    except yaml.YAMLError as error:
        message = f"FOREBAY_OPERATOR_CONFIG: {path} is no YAML: {error}"
        raise ConfigurationError(message) from error
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(str(part) for part in details['loc']) or 'the file'}: "
            f"{details['msg']}"
            for details in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError("\n".join(lines)) from error
