"""The pods of one Dedicated endpoint and what belongs to them, except its route and policy."""

from typing import Final

from lightkube.models.apps_v1 import DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment
from lightkube.models.core_v1 import (
    Capabilities,
    Container,
    ContainerPort,
    EnvVar,
    EnvVarSource,
    HTTPGetAction,
    KeyToPath,
    Lifecycle,
    LifecycleHandler,
    LocalObjectReference,
    PodSecurityContext,
    PodSpec,
    PodTemplateSpec,
    Probe,
    ProjectedVolumeSource,
    ResourceRequirements,
    SeccompProfile,
    SecretKeySelector,
    SecretProjection,
    SecretVolumeSource,
    SecurityContext,
    ServicePort,
    ServiceSpec,
    SleepAction,
    TopologySpreadConstraint,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from lightkube.models.core_v1 import Toleration as PodToleration
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.models.policy_v1 import PodDisruptionBudgetSpec
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Service, ServiceAccount
from lightkube.resources.policy_v1 import PodDisruptionBudget

from forebay.core.endpoint_name import EndpointName
from forebay.core.resource import WebhookEndpoint
from forebay_operator.builders.names import (
    endpoint_labels,
    endpoint_meta,
    endpoint_object_name,
    endpoint_selector,
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
    "deployment",
    "disruption_budget",
    "service",
    "service_account",
]

WEBHOOK_PORT: Final = 8080
ADMIN_PORT: Final = 9090
ADMIN_COMPONENT: Final = "dedicated-receiver-admin"
USER: Final = 10001
"""The user that the images are made for."""

TABLE_FOLDER: Final = "/etc/forebay/tables"
NATS_FOLDER: Final = "/etc/forebay/nats"
TLS_FOLDER: Final = "/etc/forebay/nats-tls"


def service_account(manifest: WebhookEndpoint, config: OperatorConfig) -> ServiceAccount:
    """Return an account without any right, and without a token in the pods."""
    return ServiceAccount(
        metadata=endpoint_meta(manifest.endpoint, config), automountServiceAccountToken=False
    )


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


def disruption_budget(manifest: WebhookEndpoint, config: OperatorConfig) -> PodDisruptionBudget:
    """Return the budget: one pod at a time may be evicted, whatever their number."""
    return PodDisruptionBudget(
        metadata=endpoint_meta(manifest.endpoint, config),
        spec=PodDisruptionBudgetSpec(
            maxUnavailable=1,
            selector=LabelSelector(matchLabels=endpoint_selector(manifest.endpoint, config)),
            # A pod that is not ready anyway must not keep a node from being drained.
            unhealthyPodEvictionPolicy="AlwaysAllow",
        ),
    )


def deployment(manifest: WebhookEndpoint, config: OperatorConfig) -> Deployment:
    """Return the pods. `replicas` is the autoscaler's and never stands here."""
    selector = endpoint_selector(manifest.endpoint, config)
    pods = config.receiver
    labels = {**pods.pod_labels, **endpoint_labels(manifest.endpoint, config)}
    return Deployment(
        metadata=endpoint_meta(manifest.endpoint, config),
        spec=DeploymentSpec(
            selector=LabelSelector(matchLabels=selector),
            revisionHistoryLimit=3,
            strategy=DeploymentStrategy(
                type="RollingUpdate",
                # One more before one less: no webhook finds fewer receivers than there were.
                rollingUpdate=RollingUpdateDeployment(maxSurge=1, maxUnavailable=0),
            ),
            template=PodTemplateSpec(
                metadata=ObjectMeta(labels=labels, annotations=dict(pods.pod_annotations) or None),
                spec=_pod(manifest, config, selector),
            ),
        ),
    )


def _pod(manifest: WebhookEndpoint, config: OperatorConfig, selector: dict[str, str]) -> PodSpec:
    pods = config.receiver
    name = str(endpoint_meta(manifest.endpoint, config).name)
    return PodSpec(
        serviceAccountName=name,
        automountServiceAccountToken=False,
        enableServiceLinks=False,
        terminationGracePeriodSeconds=pods.termination_grace_period_seconds,
        priorityClassName=pods.priority_class_name,
        imagePullSecrets=[LocalObjectReference(name=each) for each in pods.image_pull_secrets]
        or None,
        nodeSelector=dict(pods.node_selector) or None,
        tolerations=[
            PodToleration(
                key=each.key,
                operator=each.operator,
                value=each.value,
                effect=each.effect,
                tolerationSeconds=each.toleration_seconds,
            )
            for each in pods.tolerations
        ]
        or None,
        topologySpreadConstraints=[
            TopologySpreadConstraint(
                maxSkew=1,
                topologyKey="kubernetes.io/hostname",
                whenUnsatisfiable="ScheduleAnyway",
                labelSelector=LabelSelector(matchLabels=selector),
            )
        ],
        securityContext=PodSecurityContext(
            runAsNonRoot=True,
            runAsUser=USER,
            runAsGroup=USER,
            fsGroup=USER,
            seccompProfile=SeccompProfile(type="RuntimeDefault"),
        ),
        containers=[_container(manifest, config)],
        volumes=_volumes(name, pods),
    )


def _container(manifest: WebhookEndpoint, config: OperatorConfig) -> Container:
    own, pods = manifest.spec.receiver.resources, config.receiver
    requests = {"cpu": receiver_size(manifest, config).cpu} | dict(pods.resources.requests)
    limits = dict(pods.resources.limits)
    if own is not None:
        requests |= {str(name): amount for name, amount in own.requests.items()}
        limits |= {str(name): amount for name, amount in own.limits.items()}
    mounts = [VolumeMount(name="tables", mountPath=TABLE_FOLDER, readOnly=True)]
    if pods.nats.auth_secret_name is not None and pods.nats.credentials_key is not None:
        mounts.append(VolumeMount(name="nats", mountPath=NATS_FOLDER, readOnly=True))
    if pods.nats.tls_secret_name is not None:
        mounts.append(VolumeMount(name="nats-tls", mountPath=TLS_FOLDER, readOnly=True))
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
        readinessProbe=Probe(
            httpGet=HTTPGetAction(path="/readyz", port="admin"),
            periodSeconds=2,
            timeoutSeconds=2,
            failureThreshold=2,
        ),
        livenessProbe=Probe(
            httpGet=HTTPGetAction(path="/livez", port="admin"),
            periodSeconds=10,
            timeoutSeconds=5,
            failureThreshold=6,
        ),
        startupProbe=Probe(
            httpGet=HTTPGetAction(path="/livez", port="admin"),
            periodSeconds=1,
            timeoutSeconds=2,
            failureThreshold=60,
        ),
        lifecycle=Lifecycle(preStop=pre_stop) if pods.pre_stop_seconds else None,
        securityContext=SecurityContext(
            allowPrivilegeEscalation=False,
            readOnlyRootFilesystem=True,
            capabilities=Capabilities(drop=["ALL"]),
        ),
        volumeMounts=mounts,
    )


def _environment(manifest: WebhookEndpoint, pods: ReceiverPods) -> list[EnvVar]:
    nats = pods.nats
    variables = [
        EnvVar(name="FOREBAY_TABLE_DIR", value=TABLE_FOLDER),
        EnvVar(name="FOREBAY_SHARDS", value=manifest.spec.processing.shard),
        EnvVar(name="FOREBAY_LOG_LEVEL", value=pods.log_level),
        EnvVar(name="FOREBAY_RECEIVER_PORT", value=str(WEBHOOK_PORT)),
        EnvVar(name="FOREBAY_RECEIVER_ADMIN_PORT", value=str(ADMIN_PORT)),
        EnvVar(name="FOREBAY_RECEIVER_DRAIN_SECONDS", value=f"{pods.drain_seconds:g}"),
        EnvVar(name="FOREBAY_NATS_URL", value=nats.url),
    ]
    if nats.auth_secret_name is not None and nats.credentials_key is not None:
        file = f"{NATS_FOLDER}/{nats.credentials_key}"
        variables.append(EnvVar(name="FOREBAY_NATS_CREDENTIALS", value=file))
    elif nats.auth_secret_name is not None:
        for name, key in (("USER", nats.user_key), ("PASSWORD", nats.password_key)):
            source = SecretKeySelector(name=nats.auth_secret_name, key=key)
            variables.append(
                EnvVar(name=f"FOREBAY_NATS_{name}", valueFrom=EnvVarSource(secretKeyRef=source))
            )
    if nats.tls_secret_name is not None:
        file = f"{TLS_FOLDER}/{nats.ca_key}"
        variables.append(EnvVar(name="FOREBAY_NATS_TLS_CA", value=file))
    certificates = pods.client_certificates
    if certificates is not None:
        prefix = "FOREBAY_RECEIVER_CLIENT_CERTIFICATE"
        variables.append(EnvVar(name=f"{prefix}_HEADER", value=certificates.header))
        variables.append(EnvVar(name=f"{prefix}_FORM", value=certificates.form))
        if certificates.verified is not None:
            variables.append(EnvVar(name=f"{prefix}_VERIFIED", value=certificates.verified))
    if pods.tracing is not None:
        variables += tracing_variables(pods.tracing)
    ours = {each.name for each in variables}
    return [
        *variables,
        *(
            EnvVar(name=name, value=value)
            for name, value in sorted(pods.env.items())
            if name not in ours
        ),
    ]


def _volumes(table_secret: str, pods: ReceiverPods) -> list[Volume]:
    nats = pods.nats
    volumes = [
        Volume(
            name="tables",
            projected=ProjectedVolumeSource(
                defaultMode=0o440,
                # Optional: a table that is gone for a moment must not keep a pod from starting.
                sources=[
                    VolumeProjection(secret=SecretProjection(name=table_secret, optional=True))
                ],
            ),
        )
    ]
    if nats.auth_secret_name is not None and nats.credentials_key is not None:
        source = SecretVolumeSource(
            secretName=nats.auth_secret_name,
            defaultMode=0o440,
            items=[KeyToPath(key=nats.credentials_key, path=nats.credentials_key)],
        )
        volumes.append(Volume(name="nats", secret=source))
    if nats.tls_secret_name is not None:
        source = SecretVolumeSource(
            secretName=nats.tls_secret_name,
            defaultMode=0o440,
            items=[KeyToPath(key=nats.ca_key, path=nats.ca_key)],
        )
        volumes.append(Volume(name="nats-tls", secret=source))
    return volumes
