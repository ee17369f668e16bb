"""The operator's settings: one file that the chart renders, and a few variables of the process.

`FOREBAY_OPERATOR_CONFIG` names the file (YAML or JSON, keys in camelCase, a mounted ConfigMap). How
to reach NATS comes from `FOREBAY_NATS_*`, how to log from `FOREBAY_LOG_*`, as in every part. The
API server is found as kubectl finds it: by the pod's service account, else by `KUBECONFIG`.

All is read once at the start; the chart restarts the operator when the file changes.
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, SettingsConfigDict

from forebay.core.errors import ConfigurationError
from forebay.core.fields import HeaderName, Host, ShardName, label, parse_duration
from forebay.core.quantities import QUANTITY

__all__ = [
    "ClientCertificates",
    "GatewayParent",
    "GatewaySettings",
    "IngressSettings",
    "Limits",
    "NetworkPeer",
    "OperatorConfig",
    "PodSelector",
    "ProcessSettings",
    "ReceiverNats",
    "ReceiverPods",
    "ResourceNeeds",
    "RouteSettings",
    "Shard",
    "SharedReceivers",
    "TableSettings",
    "TenantLimits",
    "Toleration",
    "read_config",
]

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
ObjectName = Annotated[str, label(63)]
LabelMap = dict[str, str]


def _age(value: object) -> object:
    return timedelta(seconds=parse_duration(value)) if isinstance(value, str) else value


Age = Annotated[timedelta, BeforeValidator(_age)]
"""A duration such as `168h`."""

Bytes = Annotated[int, Field(ge=1024 * 1024)]


class ProcessSettings(BaseSettings):
    """What stands in the environment of the operator's process."""

    model_config = SettingsConfigDict(env_prefix="FOREBAY_OPERATOR_", frozen=True)

    config: Path
    """The file that `OperatorConfig` is read from; no default: it says which images to run."""

    admin_host: str = "::"
    """Where /livez, /readyz and /metrics are served; no route from outside leads here."""

    admin_port: Port = 9090


class _Group(BaseModel):
    """What all groups of the file have in common: a misspelt key stops the start."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True
    )


class PodSelector(_Group):
    """Which pods, by their labels; all of them have to match."""

    match_labels: Annotated[LabelMap, Field(min_length=1)]


class ResourceNeeds(_Group):
    """CPU and memory of a container as in a pod; quantities are text, such as `250m`."""

    requests: LabelMap = {"cpu": "250m", "memory": "128Mi"}
    """The autoscaler's percentage is of this request, so CPU has to be in it. A receiver at rest
    needs less than 80 MiB."""

    limits: LabelMap = {"memory": "512Mi"}
    """128 MiB of bodies in flight, twice, and the process itself. No limit on CPU: it would delay
    answers exactly when there are many."""


class Toleration(_Group):
    """A taint that the pods do not mind."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class ReceiverNats(_Group):
    """How a receiver reaches NATS. Secrets are named only: the operator never reads them."""

    url: Annotated[str, Field(pattern=r"^(nats|tls)://\S+$")]
    """One or several servers, separated by commas."""

    auth_secret_name: ObjectName | None = None
    """A Secret in Forebay's namespace with the receivers' user; None where NATS takes anyone."""

    user_key: str = "user"
    password_key: str = "password"  # noqa: S105  # the name of a key
    credentials_key: str | None = None
    """The key of a file as `nsc` writes it; it is used instead of user and password."""

    tls_secret_name: ObjectName | None = None
    """A Secret with the certificate authority of the servers; None for the system's, or no TLS."""

    ca_key: str = "ca.crt"


class ClientCertificates(_Group):
    """Whom receivers believe about TLS client certificates: FOREBAY_RECEIVER_CLIENT_CERTIFICATE_*.

    The receivers' own settings say what each value means and check it.
    """

    header: HeaderName
    form: Literal["subject", "name", "xfcc", "traefik"] = "subject"
    verified: Annotated[str, Field(pattern=r"^[^=\s]+=[!-~]+$")] | None = None


class NetworkPeer(_Group):
    """Who may open a connection, as in a NetworkPolicy."""

    pod_selector: dict[str, Any] | None = None
    namespace_selector: dict[str, Any] | None = None
    ip_block: dict[str, Any] | None = None


class ReceiverPods(_Group):
    """The pods of Dedicated receivers."""

    image: Annotated[str, Field(min_length=1)]
    """Repository with tag or digest."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[ObjectName, ...] = ()
    resources: ResourceNeeds = ResourceNeeds()
    webhooks_per_second: Annotated[int, Field(ge=1)] = 1000
    """What one pod is reckoned to take with the CPU requested above. An endpoint's autoscaler never
    goes below its `throughput` divided by this, nor below its `receiver.replicas.min`."""

    target_cpu_percent: Annotated[int, Field(ge=10, le=95)] = 60
    """Of the CPU request; leaves room for the time that a new pod takes to be ready."""

    scale_down_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    """How long load has to stay low before pods go: webhooks come in bursts."""

    termination_grace_period_seconds: Annotated[int, Field(ge=5)] = 30
    """Higher than `preStopSeconds` + `drainSeconds` + the 2.5 s budget of a webhook."""

    pre_stop_seconds: Annotated[int, Field(ge=0)] = 5
    """Before SIGTERM, for load balancers and kube-proxy to look elsewhere; 0 for none."""

    drain_seconds: Annotated[float, Field(ge=0)] = 5.0
    """After SIGTERM, how long a receiver goes on serving: FOREBAY_RECEIVER_DRAIN_SECONDS."""

    pod_labels: LabelMap = {}
    pod_annotations: LabelMap = {}
    node_selector: LabelMap = {}
    tolerations: tuple[Toleration, ...] = ()
    priority_class_name: str | None = None
    env: LabelMap = {}
    """Further variables of the receiver, such as FOREBAY_RECEIVER_MAX_IN_FLIGHT."""

    client_certificates: ClientCertificates | None = None
    """None where no proxy tells of certificates: endpoints that ask for one are not accepted."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    network_policy: bool = True
    """Whether each endpoint's receivers get a NetworkPolicy: webhooks in, NATS and DNS out."""

    admin_from: tuple[NetworkPeer, ...] = ()
    """Who may reach the admin port from outside of Forebay's namespace, as a NetworkPolicy's peers:
    whoever reads metrics. Empty: Forebay's own pods only."""

    webhooks_from: tuple[NetworkPeer, ...] = ()
    """Who may reach the port for webhooks, such as the Ingress controller; empty: anyone."""

    nats_pods: PodSelector | None = None
    """NATS in Forebay's namespace, as the only target of the policy; None for one elsewhere: then
    the policy lets anything out."""

    nats: ReceiverNats


class IngressSettings(_Group):
    """Routes where the cluster has no Gateway API."""

    class_name: str | None = None
    """None for the cluster's default class."""

    annotations: LabelMap = {
        # The providers' largest body is 3 MB, our limit 4 MiB: nginx allows 1 MiB by default.
        "nginx.ingress.kubernetes.io/proxy-body-size": "4m",
        # Longer than the receiver's budget of 2.5 s, shorter than the 5 s of 360dialog.
        "nginx.ingress.kubernetes.io/proxy-read-timeout": "4",
        "nginx.ingress.kubernetes.io/proxy-send-timeout": "4",
        "nginx.ingress.kubernetes.io/proxy-connect-timeout": "1",
        # Each answer counts once: a webhook that was answered 503 is the provider's to repeat.
        "nginx.ingress.kubernetes.io/proxy-next-upstream": "error",
    }
    """Body size and timeouts are annotations of the controller: those of ingress-nginx as shipped.
    Giving this key replaces all of them."""

    tls: bool = True
    """Whether routes name a Secret with a certificate."""

    tls_secret_name: ObjectName | None = None
    """The certificate of the default host. Other hosts use a Secret named after the host, as
    cert-manager makes it: `<name>-tls-<hash>`. None: the default host has one named so too."""


class GatewayParent(_Group):
    """A Gateway, or one of its listeners."""

    name: ObjectName
    namespace: ObjectName | None = None
    """None for Forebay's namespace."""

    section_name: str | None = None


class GatewaySettings(_Group):
    """Routes where the cluster has the Gateway API."""

    parent_refs: tuple[GatewayParent, ...] = ()
    """Needed for HTTPRoutes; without it an Ingress is made, whatever the cluster has."""

    request_timeout_seconds: Annotated[int, Field(ge=1)] = 4
    """Longer than the receiver's budget of 2.5 s, shorter than the 5 s of 360dialog."""


class RouteSettings(_Group):
    """How webhooks get into the cluster."""

    kind: Literal["Auto", "HTTPRoute", "Ingress", "None"] = "Auto"
    """`Auto`: HTTPRoute where the Gateway API is installed and `gateway.parentRefs` is given, else
    Ingress. `None`: the routes are someone else's business."""

    ingress: IngressSettings = IngressSettings()
    gateway: GatewaySettings = GatewaySettings()


class TableSettings(_Group):
    """The Secrets that tell receivers and processors which endpoints there are."""

    count: Annotated[int, Field(ge=1, le=64)] = 16
    """Secrets for each of the two kinds: `<name>-receivers-NN` and `<name>-processors-NN`, with one
    key each, `receivers-NN.json` and `processors-NN.json`. The pods mount as many: restart operator
    and pods together. Endpoints stay in the tables that they are in; those of tables that go move
    to others. A Secret holds 1 MiB, an endpoint takes about 1 KiB, and `TenantLimits.table_kib` at
    most."""

    deleted_for_seconds: Seconds = 8 * 86400.0
    """How long a deleted endpoint is listed as such: longer than its raw webhooks are kept (168h),
    so that processors drop what comes up of it."""


class Shard(_Group):
    """One set of streams: retention, size and replicas."""

    name: ShardName = "0"
    raw_max_age: Age = timedelta(hours=168)
    """How long webhooks are kept. The providers repeat for 7 days."""

    window: Age = timedelta(hours=192)
    """How long a repeat is recognised; longer than `rawMaxAge`."""

    dead_max_age: Age = timedelta(hours=720)
    raw_max_bytes: Bytes = 1024 * 1024 * 1024
    """Bytes on each server; the four together have to fit the volume with 20 % to spare."""

    events_max_bytes: Bytes = 1024 * 1024 * 1024
    retry_max_bytes: Bytes = 512 * 1024 * 1024
    dead_max_bytes: Bytes = 512 * 1024 * 1024
    replicas: Literal[1, 3, 5] = 1
    """Servers that hold each message before a webhook is answered."""


class SharedReceivers(_Group):
    """The receivers that the chart runs for all `Shared` endpoints."""

    service_name: ObjectName
    """Their Service, in Forebay's namespace: where the route of shared endpoints leads."""

    service_port: Port = 8080
    pods: PodSelector


class Processors(_Group):
    """The processors that the chart runs for all endpoints."""

    pods: PodSelector


class Limits(_Group):
    """How hard the operator works."""

    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Endpoints that are reconciled at one time: bounds the load on the API server."""

    resync_seconds: Seconds = 300.0
    """Each endpoint is looked at this often, give or take a fifth, for what a watch lost."""

    status_seconds: Seconds = 10.0
    """Between two looks at pods and backlog, for conditions and figures in the status."""

    deletion_grace_period_seconds: Seconds = 600.0
    """How long a deletion waits for NATS, so that the endpoint's messages can be purged; then it
    ends with a warning."""

    request_seconds: Seconds = 10.0
    """For one request to the API server."""

    discovery_seconds: Seconds = 60.0
    """Between two looks whether the Gateway API is installed."""

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


class TenantLimits(_Group):
    """What one endpoint may ask for at most; what is beyond is told in its condition Accepted.

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


class OperatorConfig(_Group):
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
