"""What the pods of an endpoint's own have in common, be they receivers or processors.

The chart has the same for the pods that it runs: no rights, no root, nothing to write to, and the
table as a mounted Secret.
"""

from collections.abc import Mapping
from typing import Final

from lightkube.models.apps_v1 import DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment
from lightkube.models.core_v1 import (
    Capabilities,
    Container,
    EnvVar,
    EnvVarSource,
    HTTPGetAction,
    KeyToPath,
    LocalObjectReference,
    PodSecurityContext,
    PodSpec,
    PodTemplateSpec,
    Probe,
    ProjectedVolumeSource,
    SeccompProfile,
    SecretKeySelector,
    SecretProjection,
    SecretVolumeSource,
    SecurityContext,
    TopologySpreadConstraint,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from lightkube.models.core_v1 import Toleration as PodToleration
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.models.policy_v1 import PodDisruptionBudgetSpec
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ServiceAccount
from lightkube.resources.policy_v1 import PodDisruptionBudget

from forebay_operator.settings.receivers import EndpointPods, NatsAccess

__all__ = [
    "ADMIN_PORT",
    "CONFINED",
    "LIVENESS",
    "STARTUP",
    "TABLE_FOLDER",
    "deployment",
    "disruption_budget",
    "mounts",
    "nats_variables",
    "probe",
    "service_account",
    "with_further",
]

ADMIN_PORT: Final = 9090
USER: Final = 10001
"""The user that the images are made for."""

TABLE_FOLDER: Final = "/etc/forebay/tables"
NATS_FOLDER: Final = "/etc/forebay/nats"
TLS_FOLDER: Final = "/etc/forebay/nats-tls"

CONFINED: Final = SecurityContext(
    allowPrivilegeEscalation=False,
    readOnlyRootFilesystem=True,
    capabilities=Capabilities(drop=["ALL"]),
)


def probe(path: str, *, every: int, within: int, failures: int) -> Probe:
    """Return a probe of the admin port; times in seconds."""
    return Probe(
        httpGet=HTTPGetAction(path=path, port="admin"),
        periodSeconds=every,
        timeoutSeconds=within,
        failureThreshold=failures,
    )


LIVENESS: Final = probe("/livez", every=10, within=5, failures=6)
STARTUP: Final = probe("/livez", every=1, within=2, failures=60)


def service_account(metadata: ObjectMeta) -> ServiceAccount:
    """Return an account without any right, and without a token in the pods."""
    return ServiceAccount(metadata=metadata, automountServiceAccountToken=False)


def disruption_budget(metadata: ObjectMeta, selector: Mapping[str, str]) -> PodDisruptionBudget:
    """Return the budget: one pod at a time may be evicted, whatever their number."""
    return PodDisruptionBudget(
        metadata=metadata,
        spec=PodDisruptionBudgetSpec(
            maxUnavailable=1,
            selector=LabelSelector(matchLabels=dict(selector)),
            # A pod that is not ready anyway must not keep a node from being drained.
            unhealthyPodEvictionPolicy="AlwaysAllow",
        ),
    )


def deployment(
    metadata: ObjectMeta,
    selector: Mapping[str, str],
    pods: EndpointPods,
    container: Container,
    *,
    replicas: int | None = None,
) -> Deployment:
    """Return pods of one container, spread over nodes with those of the same labels.

    Args:
        metadata: Of the Deployment; its ServiceAccount and the Secret with its table are called
            the same, and its labels are the pods' too.
        selector: The labels by which its pods are found.
        pods: The settings.
        container: What runs.
        replicas: How many; None where an autoscaler says so.
    """
    return Deployment(
        metadata=metadata,
        spec=DeploymentSpec(
            replicas=replicas,
            selector=LabelSelector(matchLabels=dict(selector)),
            revisionHistoryLimit=3,
            strategy=DeploymentStrategy(
                type="RollingUpdate",
                # One more before one less: no webhook finds fewer receivers than there were, and
                # no partition waits for a pod to start.
                rollingUpdate=RollingUpdateDeployment(maxSurge=1, maxUnavailable=0),
            ),
            template=PodTemplateSpec(
                metadata=ObjectMeta(
                    labels={**pods.pod_labels, **(metadata.labels or {})},
                    annotations=dict(pods.pod_annotations) or None,
                ),
                spec=_pod_spec(str(metadata.name), pods, selector, container),
            ),
        ),
    )


def _pod_spec(
    name: str, pods: EndpointPods, selector: Mapping[str, str], container: Container
) -> PodSpec:
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
                labelSelector=LabelSelector(matchLabels=dict(selector)),
            )
        ],
        securityContext=PodSecurityContext(
            runAsNonRoot=True,
            runAsUser=USER,
            runAsGroup=USER,
            fsGroup=USER,
            seccompProfile=SeccompProfile(type="RuntimeDefault"),
        ),
        containers=[container],
        volumes=[_table_volume(name), *_nats_volumes(pods.nats)],
    )


def with_further(variables: list[EnvVar], further: Mapping[str, str]) -> list[EnvVar]:
    """Return variables with those of the installation that are not among them."""
    ours = {each.name for each in variables}
    return [
        *variables,
        *(
            EnvVar(name=name, value=value)
            for name, value in sorted(further.items())
            if name not in ours
        ),
    ]


def nats_variables(nats: NatsAccess) -> list[EnvVar]:
    """Return how to reach NATS, and as whom."""
    variables = [EnvVar(name="FOREBAY_NATS_URL", value=nats.url)]
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
    return variables


def mounts(nats: NatsAccess) -> list[VolumeMount]:
    """Return where the table stands, and what NATS needs."""
    found = [VolumeMount(name="tables", mountPath=TABLE_FOLDER, readOnly=True)]
    if nats.auth_secret_name is not None and nats.credentials_key is not None:
        found.append(VolumeMount(name="nats", mountPath=NATS_FOLDER, readOnly=True))
    if nats.tls_secret_name is not None:
        found.append(VolumeMount(name="nats-tls", mountPath=TLS_FOLDER, readOnly=True))
    return found


def _table_volume(secret: str) -> Volume:
    return Volume(
        name="tables",
        projected=ProjectedVolumeSource(
            defaultMode=0o440,
            # Optional: a table that is gone for a moment must not keep a pod from starting.
            sources=[VolumeProjection(secret=SecretProjection(name=secret, optional=True))],
        ),
    )


def _nats_volumes(nats: NatsAccess) -> list[Volume]:
    volumes: list[Volume] = []
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
