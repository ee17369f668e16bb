"""The pods of one Dedicated endpoint and what belongs to them, except its route and policy."""

from typing import Final

from lightkube.models.core_v1 import (
    Container,
    ContainerPort,
    EnvVar,
    Lifecycle,
    LifecycleHandler,
    ResourceRequirements,
    ServicePort,
    ServiceSpec,
    SleepAction,
)
from lightkube.resources.core_v1 import Service

from forebay.core.endpoint_name import EndpointName
from forebay.core.resource import WebhookEndpoint
from forebay_operator.builders.names import (
    endpoint_meta,
    endpoint_object_name,
    endpoint_selector,
)
from forebay_operator.builders.pod_parts import (
    ADMIN_PORT,
    CONFINED,
    LIVENESS,
    STARTUP,
    TABLE_FOLDER,
    mounts,
    nats_variables,
    probe,
    with_further,
)
from forebay_operator.builders.receiver_size import receiver_size
from forebay_operator.builders.tracing import tracing_variables
from forebay_operator.models.names import LABEL_COMPONENT
from forebay_operator.settings.config import OperatorConfig
from forebay_operator.settings.receivers import ReceiverPods

__all__ = [
    "ADMIN_PORT",
    "WEBHOOK_PORT",
    "admin_service",
    "admin_service_name",
    "container",
    "service",
]

WEBHOOK_PORT: Final = 8080
ADMIN_COMPONENT: Final = "dedicated-receiver-admin"


def service(manifest: WebhookEndpoint, config: OperatorConfig) -> Service:
    """Return the Service that the route leads to; the admin port is not in it."""
    return Service(
        metadata=endpoint_meta(manifest.endpoint, config),
        spec=ServiceSpec(
            type="ClusterIP",
            ipFamilyPolicy="PreferDualStack",
            selector=endpoint_selector(manifest.endpoint, config),
            ports=[
                ServicePort(
                    name="http",
                    port=WEBHOOK_PORT,
                    targetPort="http",
                    protocol="TCP",
                    appProtocol="http",
                )
            ],
        ),
    )


def admin_service_name(endpoint: EndpointName, config: OperatorConfig) -> str:
    """Return the name of the Service of the port for operators."""
    return endpoint_object_name(endpoint, config, purpose="admin")


def admin_service(manifest: WebhookEndpoint, config: OperatorConfig) -> Service:
    """Return the Service by which KEDA finds the pods and asks each; no route leads to it.

    With IPv4 and IPv6 both each pod would stand in it twice, and KEDA writes IPv6 addresses without
    brackets.
    """
    metadata = endpoint_meta(manifest.endpoint, config)
    metadata.name = admin_service_name(manifest.endpoint, config)
    # Who looks for the Service of an endpoint's webhooks finds that one only.
    metadata.labels = {**(metadata.labels or {}), LABEL_COMPONENT: ADMIN_COMPONENT}
    return Service(
        metadata=metadata,
        spec=ServiceSpec(
            type="ClusterIP",
            ipFamilyPolicy="SingleStack",
            selector=endpoint_selector(manifest.endpoint, config),
            ports=[
                ServicePort(
                    name="admin",
                    port=ADMIN_PORT,
                    targetPort="admin",
                    protocol="TCP",
                    appProtocol="http",
                )
            ],
        ),
    )


def container(manifest: WebhookEndpoint, config: OperatorConfig) -> Container:
    """Return what runs in each pod."""
    own, pods = manifest.spec.receiver.resources, config.receiver
    requests = {"cpu": receiver_size(manifest, config).cpu} | dict(pods.resources.requests)
    limits = dict(pods.resources.limits)
    if own is not None:
        requests |= {str(name): amount for name, amount in own.requests.items()}
        limits |= {str(name): amount for name, amount in own.limits.items()}
    pre_stop = LifecycleHandler(sleep=SleepAction(seconds=pods.pre_stop_seconds))
    return Container(
        name="receiver",
        image=pods.image,
        imagePullPolicy=pods.image_pull_policy,
        ports=[
            ContainerPort(name="http", containerPort=WEBHOOK_PORT, protocol="TCP"),
            ContainerPort(name="admin", containerPort=ADMIN_PORT, protocol="TCP"),
        ],
        env=_environment(manifest, pods),
        resources=ResourceRequirements(requests=dict(requests), limits=dict(limits)),
        readinessProbe=probe("/readyz", every=2, within=2, failures=2),
        livenessProbe=LIVENESS,
        startupProbe=STARTUP,
        lifecycle=Lifecycle(preStop=pre_stop) if pods.pre_stop_seconds else None,
        securityContext=CONFINED,
        volumeMounts=mounts(pods.nats),
    )


def _environment(manifest: WebhookEndpoint, pods: ReceiverPods) -> list[EnvVar]:
    variables = [
        EnvVar(name="FOREBAY_TABLE_DIR", value=TABLE_FOLDER),
        EnvVar(name="FOREBAY_SHARDS", value=manifest.spec.processing.shard),
        EnvVar(name="FOREBAY_LOG_LEVEL", value=pods.log_level),
        EnvVar(name="FOREBAY_RECEIVER_PORT", value=str(WEBHOOK_PORT)),
        EnvVar(name="FOREBAY_RECEIVER_ADMIN_PORT", value=str(ADMIN_PORT)),
        EnvVar(name="FOREBAY_RECEIVER_DRAIN_SECONDS", value=f"{pods.drain_seconds:g}"),
        *nats_variables(pods.nats),
    ]
    certificates = pods.client_certificates
    if certificates is not None:
        prefix = "FOREBAY_RECEIVER_CLIENT_CERTIFICATE"
        variables.append(EnvVar(name=f"{prefix}_HEADER", value=certificates.header))
        variables.append(EnvVar(name=f"{prefix}_FORM", value=certificates.form))
        if certificates.verified is not None:
            variables.append(EnvVar(name=f"{prefix}_VERIFIED", value=certificates.verified))
    if pods.tracing is not None:
        variables += tracing_variables(pods.tracing)
    return with_further(variables, pods.env)
