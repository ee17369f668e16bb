"""What sets the number of pods: an autoscaler on CPU, or KEDA's ScaledObject where that is served.

Never both of one Deployment: each has the Deployment's name, KEDA's own autoscaler too, so there
cannot be two (docs/design/0030; `services/deferred_pruning.py` says who writes when one follows the
other). Fast up, slow down, never below one, and never down while a figure is missing: a figure that
cannot be had counts as what asks for the pods that are there.
"""

from dataclasses import dataclass
from typing import Final

from lightkube.models.autoscaling_v2 import (
    CrossVersionObjectReference,
    HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec,
    HPAScalingPolicy,
    HPAScalingRules,
    MetricSpec,
    MetricTarget,
    ResourceMetricSource,
)
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.autoscaling_v2 import HorizontalPodAutoscaler

from forebay.core.resource import WebhookEndpoint
from forebay_operator.builders.dedicated_receivers import ADMIN_PORT, admin_service_name
from forebay_operator.builders.names import endpoint_meta, own_labels
from forebay_operator.builders.receiver_size import receiver_size
from forebay_operator.models.apis.keda import (
    AdvancedConfig,
    Fallback,
    HorizontalPodAutoscalerConfig,
    ScaledObject,
    ScaledObjectSpec,
    ScaleTarget,
    ScaleTrigger,
)
from forebay_operator.models.kinds import Managed, ServedKinds
from forebay_operator.models.names import LABEL_COMPONENT, LABEL_OWNER
from forebay_operator.settings.config import OperatorConfig
from forebay_operator.settings.scaling import ProcessorScaling

__all__ = ["POOL_SCALER_COMPONENT", "endpoint_scaler", "pool_scalers", "uses_keda"]

POOL_SCALER_COMPONENT: Final = "pool-scaler"
"""The component label of the scalers of the chart's pools."""

FAILURES: Final = 3
"""Questions without an answer until the fallback counts; before that the autoscaler has one metric
less, and does not go down without all of them."""

_TRANSFER: Final = "scaledobject.keda.sh/transfer-hpa-ownership"
"""Has KEDA take over the autoscaler of that name as it is, and its webhook let it."""

_EXCLUDED: Final = "scaledobject.keda.sh/hpa-excluded-labels"
"""KEDA copies our labels to its autoscaler. With the one by which we find our own objects we would
take it for one of ours that nobody wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    low: int
    high: int


def uses_keda(config: OperatorConfig, served: ServedKinds) -> bool:
    """Say whether KEDA scales."""
    return config.keda.enabled and ScaledObject in served


def endpoint_scaler(
    manifest: WebhookEndpoint, config: OperatorConfig, *, served: ServedKinds
) -> Managed:
    """Return what scales the receivers of one Dedicated endpoint."""
    metadata = endpoint_meta(manifest.endpoint, config)
    size = receiver_size(manifest, config)
    bounds = _Bounds(low=size.low, high=size.high)
    service = admin_service_name(manifest.endpoint, config)
    return _receivers(metadata, bounds, service, config, served=served)


def pool_scalers(config: OperatorConfig, *, served: ServedKinds) -> tuple[Managed, ...]:
    """Return what scales the pools that the chart runs: one each, whatever endpoints there are."""
    found: list[Managed] = []
    shared = config.shared_receivers
    if shared is not None and shared.scaling is not None:
        scaling = shared.scaling
        metadata = _pool_meta(scaling.deployment, config)
        bounds = _Bounds(low=scaling.min, high=scaling.max)
        service = shared.admin_service_name
        found.append(_receivers(metadata, bounds, service, config, served=served))
    if config.processors.scaling is not None:
        found.append(_processors(config.processors.scaling, config, served=served))
    return tuple(found)


def _receivers(
    metadata: ObjectMeta,
    bounds: _Bounds,
    service: str,
    config: OperatorConfig,
    *,
    served: ServedKinds,
) -> Managed:
    pods = config.receiver
    behavior = HorizontalPodAutoscalerBehavior(
        # A campaign starts within seconds, and so do receivers.
        scaleUp=_rules(0, ("Percent", 100, 15), ("Pods", 4, 15)),
        scaleDown=_rules(pods.scale_down_seconds, ("Percent", 50, 60)),
    )
    if not uses_keda(config, served):
        return _on_cpu(metadata, bounds, pods.target_cpu_percent, behavior)
    triggers = [
        ScaleTrigger(
            type="metrics-api",
            name="in-flight",
            metricType="AverageValue",
            metadata={
                # KEDA cuts Service and namespace out of it, and asks each ready pod.
                "url": _admin_url(service, "/load", config),
                "valueLocation": "in_flight",
                "targetValue": str(pods.target_in_flight),
                "aggregateFromKubeServiceEndpoints": "true",
                "aggregationType": "sum",
            },
        ),
        ScaleTrigger(
            type="cpu",
            name="cpu",
            metricType="Utilization",
            metadata={"value": str(pods.target_cpu_percent)},
        ),
    ]
    return _by_keda(metadata, bounds, triggers, behavior)


def _processors(
    scaling: ProcessorScaling, config: OperatorConfig, *, served: ServedKinds
) -> Managed:
    metadata = _pool_meta(scaling.deployment, config)
    bounds = _Bounds(low=scaling.min, high=scaling.max)
    # Each one that comes or goes moves partitions.
    down = _rules(scaling.scale_down_seconds, ("Pods", 1, 60))
    if not uses_keda(config, served):
        # Webhooks are stored by then and can wait: CPU of some seconds is not worth a move.
        behavior = HorizontalPodAutoscalerBehavior(
            scaleUp=_rules(60, ("Percent", 100, 60)), scaleDown=down
        )
        return _on_cpu(metadata, bounds, scaling.target_cpu_percent, behavior)
    url = _admin_url(config.keda.operator_service_name, "/scaling/processors", config)
    triggers = [
        ScaleTrigger(
            type="metrics-api",
            name=name,
            metricType="AverageValue",
            metadata={"url": url, "valueLocation": where, "targetValue": str(target)},
        )
        for name, where, target in (
            ("items", "items", scaling.target_items),
            ("oldest", "oldest_seconds", scaling.target_oldest_seconds),
        )
    ]
    behavior = HorizontalPodAutoscalerBehavior(
        scaleUp=_rules(0, ("Percent", 100, 15), ("Pods", 2, 15)), scaleDown=down
    )
    return _by_keda(metadata, bounds, triggers, behavior)


def _on_cpu(
    metadata: ObjectMeta, bounds: _Bounds, percent: int, behavior: HorizontalPodAutoscalerBehavior
) -> HorizontalPodAutoscaler:
    target = MetricTarget(type="Utilization", averageUtilization=percent)
    return HorizontalPodAutoscaler(
        metadata=metadata,
        spec=HorizontalPodAutoscalerSpec(
            scaleTargetRef=CrossVersionObjectReference(
                apiVersion="apps/v1", kind="Deployment", name=str(metadata.name)
            ),
            minReplicas=bounds.low,
            maxReplicas=bounds.high,
            metrics=[
                MetricSpec(
                    type="Resource", resource=ResourceMetricSource(name="cpu", target=target)
                )
            ],
            behavior=behavior,
        ),
    )


def _by_keda(
    metadata: ObjectMeta,
    bounds: _Bounds,
    triggers: list[ScaleTrigger],
    behavior: HorizontalPodAutoscalerBehavior,
) -> ScaledObject:
    name = str(metadata.name)
    metadata.annotations = {_TRANSFER: "true", _EXCLUDED: LABEL_OWNER}
    return ScaledObject(
        metadata=metadata,
        spec=ScaledObjectSpec(
            scaleTargetRef=ScaleTarget(apiVersion="apps/v1", kind="Deployment", name=name),
            minReplicaCount=bounds.low,
            maxReplicaCount=bounds.high,
            fallback=Fallback(
                failureThreshold=FAILURES,
                replicas=bounds.low,
                behavior="currentReplicasIfHigher",
            ),
            advanced=AdvancedConfig(
                horizontalPodAutoscalerConfig=HorizontalPodAutoscalerConfig(
                    name=name, behavior=behavior
                )
            ),
            triggers=triggers,
        ),
    )


def _admin_url(service: str, path: str, config: OperatorConfig) -> str:
    return f"http://{service}.{config.namespace}.svc:{ADMIN_PORT}{path}"


def _rules(window: int, *policies: tuple[str, int, int]) -> HPAScalingRules:
    return HPAScalingRules(
        stabilizationWindowSeconds=window,
        policies=[
            HPAScalingPolicy(type=kind, value=value, periodSeconds=seconds)
            for kind, value, seconds in policies
        ],
    )


def _pool_meta(name: str, config: OperatorConfig) -> ObjectMeta:
    labels = own_labels(config) | {LABEL_COMPONENT: POOL_SCALER_COMPONENT}
    return ObjectMeta(name=name, namespace=config.namespace, labels=labels)
