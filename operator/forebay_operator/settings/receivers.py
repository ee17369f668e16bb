"""The pods of receivers: those that the operator makes, and those that the chart runs."""

from typing import Annotated, Any, Literal

from pydantic import Field

from forebay.core.field_types import HeaderName
from forebay_operator.settings.scaling import PoolScaling
from forebay_operator.settings.settings_group import LabelMap, ObjectName, Port, SettingsGroup

__all__ = [
    "ClientCertificates",
    "EndpointPods",
    "NatsAccess",
    "NetworkPeer",
    "PodSelector",
    "ReceiverPods",
    "ResourceNeeds",
    "SharedReceivers",
    "Toleration",
    "Tracing",
]


class PodSelector(SettingsGroup):
    """Which pods, by their labels; all of them have to match."""

    match_labels: Annotated[LabelMap, Field(min_length=1)]


class ResourceNeeds(SettingsGroup):
    """CPU and memory of a container as in a pod; quantities are text, such as `250m`."""

    requests: LabelMap = {"memory": "128Mi"}
    """CPU that is not named follows from an endpoint's `throughput` (`builders.receiver_size`); the
    scaler's percentage is of this request. A receiver at rest needs less than 80 MiB."""

    limits: LabelMap = {"memory": "512Mi"}
    """128 MiB of bodies in flight, twice, and the process itself. No limit on CPU: it would delay
    answers exactly when there are many."""


class Toleration(SettingsGroup):
    """A taint that the pods do not mind."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class NatsAccess(SettingsGroup):
    """How a pod reaches NATS. Secrets are named only: the operator never reads them."""

    url: Annotated[str, Field(pattern=r"^(nats|tls)://\S+$")]
    """One or several servers, separated by commas."""

    auth_secret_name: ObjectName | None = None
    """A Secret in Forebay's namespace with the part's user; None where NATS takes anyone."""

    user_key: str = "user"
    password_key: str = "password"  # noqa: S105  # the name of a key
    credentials_key: str | None = None
    """The key of a file as `nsc` writes it; it is used instead of user and password."""

    tls_secret_name: ObjectName | None = None
    """A Secret with the certificate authority of the servers; None for the system's, or no TLS."""

    ca_key: str = "ca.crt"


class ClientCertificates(SettingsGroup):
    """Whom receivers trust with TLS client certificates: FOREBAY_RECEIVER_CLIENT_CERTIFICATE_*.

    The receivers' own settings say what each value means and check it.
    """

    header: HeaderName
    form: Literal["subject", "name", "xfcc", "traefik"] = "subject"
    verified: Annotated[str, Field(pattern=r"^[^=\s]+=[!-~]+$")] | None = None


class NetworkPeer(SettingsGroup):
    """Who may open a connection, as in a NetworkPolicy."""

    pod_selector: dict[str, Any] | None = None
    namespace_selector: dict[str, Any] | None = None
    ip_block: dict[str, Any] | None = None


class Tracing(SettingsGroup):
    """Where receivers send traces, and which: OTEL_EXPORTER_OTLP_* and FOREBAY_TRACES_*.

    The receivers' own settings say what each value means and check it.
    """

    endpoint: Annotated[str, Field(pattern=r"^https?://[^/\s@]+(/\S*)?$")]
    protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"
    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    trust_incoming: bool = False
    port: Port
    """The collector's, for the network policy."""

    to: tuple[NetworkPeer, ...] = ()
    """Whom receivers may reach on it; empty: anyone."""


class EndpointPods(SettingsGroup):
    """What the pods of an endpoint's own have in common, be they receivers or processors."""

    image: Annotated[str, Field(min_length=1)]
    """Repository with tag or digest; of processors, for endpoints that name none."""

    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[ObjectName, ...] = ()
    resources: ResourceNeeds = ResourceNeeds()
    termination_grace_period_seconds: Annotated[int, Field(ge=5)] = 30
    pod_labels: LabelMap = {}
    pod_annotations: LabelMap = {}
    node_selector: LabelMap = {}
    tolerations: tuple[Toleration, ...] = ()
    priority_class_name: str | None = None
    env: LabelMap = {}
    """Further variables: FOREBAY_RECEIVER_MAX_IN_FLIGHT, FOREBAY_PROCESSOR_STOP_SECONDS, others."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    tracing: Tracing | None = None
    """None where nothing is traced."""

    network_policy: bool = True
    """Whether they get a NetworkPolicy: the admin port in; of receivers webhooks in, NATS and DNS
    out; of processors anything out, as for all processors."""

    admin_from: tuple[NetworkPeer, ...] = ()
    """Who may reach the admin port from outside of Forebay's namespace, as a NetworkPolicy's peers:
    whoever reads metrics. Empty: Forebay's own pods only."""

    nats: NatsAccess


class ReceiverPods(EndpointPods):
    """The pods of Dedicated receivers."""

    webhooks_per_second: Annotated[int, Field(ge=1)] = 1000
    """What one pod is reckoned to take. An endpoint's scaler never goes below its `throughput`
    divided by this, nor below its `receiver.replicas.min`."""

    webhook_microseconds: Annotated[float, Field(gt=0, le=10_000)] = 35.0
    """CPU of a receiver for one webhook of 0.5 KB: 28 to 37 on two cores at full speed
    (docs/results/bench-receiver.md, 23 November 2026). Of it follows what a pod asks for. `forebay
    size` reckons with the worst of them (`core.measured_costs`), and its values say so here."""

    target_cpu_percent: Annotated[int, Field(ge=10, le=95)] = 60
    """Of the CPU request; leaves room for the time that a new pod takes to be ready."""

    target_in_flight: Annotated[int, Field(ge=1)] = 20
    """Webhooks being stored at one moment, for each pod: where KEDA scales. It is rate x time to
    store, so 1,000/s at 20 ms; a NATS that slows down shows here and not in the CPU."""

    scale_down_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    """How long load has to stay low before pods go: webhooks come in bursts."""

    termination_grace_period_seconds: Annotated[int, Field(ge=5)] = 30
    """Higher than `preStopSeconds` + `drainSeconds` + the 2.5 s budget of a webhook."""

    pre_stop_seconds: Annotated[int, Field(ge=0)] = 5
    """Before SIGTERM, for load balancers and kube-proxy to choose other pods; 0 for none."""

    drain_seconds: Annotated[float, Field(ge=0)] = 5.0
    """After SIGTERM, how long a receiver goes on serving: FOREBAY_RECEIVER_DRAIN_SECONDS."""

    client_certificates: ClientCertificates | None = None
    """None where no proxy passes certificates on: endpoints that ask for one are not accepted."""

    webhooks_from: tuple[NetworkPeer, ...] = ()
    """Who may reach the port for webhooks, such as the Ingress controller; empty: anyone."""

    nats_pods: PodSelector | None = None
    """NATS in Forebay's namespace, as the only target of the policy; None for one elsewhere: then
    the policy lets anything out."""


class SharedReceivers(SettingsGroup):
    """The receivers that the chart runs for all `Shared` endpoints."""

    service_name: ObjectName
    """Their Service, in Forebay's namespace: where the route of shared endpoints leads."""

    service_port: Port = 8080
    admin_service_name: ObjectName
    """The Service of their port for operators, where KEDA asks each pod."""

    pods: PodSelector
    scaling: PoolScaling | None = None
    """None where their number is fixed."""
