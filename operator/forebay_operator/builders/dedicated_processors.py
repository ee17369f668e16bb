"""The processors of one endpoint with streams of its own, and what belongs to them.

The Secret with their table is there as long as the shard is, be there pods or not: by it an
operator knows that an endpoint has, or had, streams of its own (docs/design/0042).
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from lightkube.models.core_v1 import Container, ContainerPort, EnvVar, ResourceRequirements
from lightkube.models.meta_v1 import LabelSelector
from lightkube.models.networking_v1 import NetworkPolicyEgressRule, NetworkPolicySpec
from lightkube.resources.networking_v1 import NetworkPolicy

from forebay.core.endpoint_name import EndpointName
from forebay.core.resource import WebhookEndpoint
from forebay.core.subjects import dedicated_shard
from forebay.core.tables import ProcessorEndpoint
from forebay_operator.builders.names import processor_meta, processor_selector
from forebay_operator.builders.network_policies import admin_rule
from forebay_operator.builders.pod_parts import (
    ADMIN_PORT,
    CONFINED,
    LIVENESS,
    STARTUP,
    TABLE_FOLDER,
    deployment,
    disruption_budget,
    mounts,
    nats_variables,
    probe,
    service_account,
    with_further,
)
from forebay_operator.builders.tables import dedicated_processor_table
from forebay_operator.builders.tracing import tracing_variables
from forebay_operator.models.kinds import Managed
from forebay_operator.settings.config import OperatorConfig
from forebay_operator.settings.processors import DedicatedProcessing

__all__ = ["OwnProcessing", "own_processing"]

MODULES: Final = "FOREBAY_PROCESSOR_PYTHON_MODULES"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnProcessing:
    """What is wanted of an endpoint's own shard."""

    entry: ProcessorEndpoint | None
    """What its processors are to know of the endpoint; None while they must leave it alone."""

    has_pods: bool
    """Whether there is anything to do for them."""


def own_processing(
    manifest: WebhookEndpoint, wanted: OwnProcessing, config: OperatorConfig
) -> tuple[list[Managed], str]:
    """Return the objects in the order in which they are applied, and the table's generation."""
    dedicated = config.dedicated
    endpoint = manifest.endpoint
    table, generation = dedicated_processor_table(endpoint, wanted.entry, config)
    if dedicated is None or not wanted.has_pods:
        return [table], generation
    metadata = partial(processor_meta, endpoint, config)
    selector = processor_selector(endpoint, config)
    container = _container(manifest, dedicated)
    objects: list[Managed] = [
        table,
        service_account(metadata()),
        deployment(metadata(), selector, dedicated.pods, container, replicas=dedicated.replicas),
    ]
    if dedicated.replicas > 1:
        objects.append(disruption_budget(metadata(), selector))
    if dedicated.pods.network_policy:
        objects.append(_network_policy(endpoint, dedicated, config))
    return objects, generation


def _container(manifest: WebhookEndpoint, dedicated: DedicatedProcessing) -> Container:
    pods = dedicated.pods
    return Container(
        name="processor",
        image=manifest.spec.processing.image or pods.image,
        imagePullPolicy=pods.image_pull_policy,
        ports=[ContainerPort(name="admin", containerPort=ADMIN_PORT, protocol="TCP")],
        env=_environment(manifest, dedicated),
        resources=ResourceRequirements(
            requests=dict(pods.resources.requests), limits=dict(pods.resources.limits)
        ),
        readinessProbe=probe("/readyz", every=5, within=2, failures=3),
        # Never depends on NATS: a restart would not bring it back.
        livenessProbe=LIVENESS,
        startupProbe=STARTUP,
        securityContext=CONFINED,
        volumeMounts=mounts(pods.nats),
    )


def _environment(manifest: WebhookEndpoint, dedicated: DedicatedProcessing) -> list[EnvVar]:
    pods = dedicated.pods
    variables = [
        EnvVar(name="FOREBAY_TABLE_DIR", value=TABLE_FOLDER),
        EnvVar(name="FOREBAY_SHARDS", value=dedicated_shard(manifest.endpoint)),
        EnvVar(name="FOREBAY_LOG_LEVEL", value=pods.log_level),
        EnvVar(name="FOREBAY_PROCESSOR_POOL", value="dedicated"),
        *nats_variables(pods.nats),
    ]
    if manifest.spec.processing.image is not None:
        # The installation allowed the image, and with it what its endpoint runs in it.
        allowed = {each for each in pods.env.get(MODULES, "").split(",") if each}
        allowed |= {
            destination.python.handler.partition(":")[0]
            for destination in manifest.spec.destinations
            if destination.python is not None
        }
        variables.append(EnvVar(name=MODULES, value=",".join(sorted(allowed))))
    if pods.tracing is not None:
        variables += tracing_variables(pods.tracing)
    return with_further(variables, pods.env)


def _network_policy(
    endpoint: EndpointName, dedicated: DedicatedProcessing, config: OperatorConfig
) -> NetworkPolicy:
    return NetworkPolicy(
        metadata=processor_meta(endpoint, config),
        spec=NetworkPolicySpec(
            podSelector=LabelSelector(matchLabels=processor_selector(endpoint, config)),
            policyTypes=["Ingress", "Egress"],
            ingress=[admin_rule(dedicated.pods.admin_from, config)],
            # Destinations can be anywhere.
            egress=[NetworkPolicyEgressRule()],
        ),
    )
