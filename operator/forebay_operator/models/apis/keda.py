"""ScaledObject of KEDA, as far as we fill it: typed like lightkube's own models.

Field names are those of the API; every value of a trigger's metadata is text.
"""

from typing import Any

from lightkube.core import resource
from lightkube.core.dictmixin import DictMixin
from lightkube.models.autoscaling_v2 import HorizontalPodAutoscalerBehavior
from lightkube.models.meta_v1 import ObjectMeta

__all__ = [
    "AdvancedConfig",
    "Fallback",
    "HorizontalPodAutoscalerConfig",
    "ScaleTarget",
    "ScaleTrigger",
    "ScaledObject",
    "ScaledObjectSpec",
]


class ScaleTarget(DictMixin):
    """What is scaled."""

    name: str
    kind: str
    apiVersion: str


class ScaleTrigger(DictMixin):
    """One figure that is followed."""

    type: str
    metadata: dict[str, str]
    name: str | None = None
    metricType: str | None = None


class Fallback(DictMixin):
    """How many pods there are while a figure cannot be had."""

    failureThreshold: int
    replicas: int
    behavior: str


class HorizontalPodAutoscalerConfig(DictMixin):
    """The autoscaler that KEDA makes."""

    name: str
    behavior: HorizontalPodAutoscalerBehavior | None = None


class AdvancedConfig(DictMixin):
    """What is seldom said."""

    horizontalPodAutoscalerConfig: HorizontalPodAutoscalerConfig


class ScaledObjectSpec(DictMixin):
    """What is followed, between which bounds."""

    scaleTargetRef: ScaleTarget
    minReplicaCount: int
    maxReplicaCount: int
    fallback: Fallback
    advanced: AdvancedConfig
    triggers: list[ScaleTrigger]


class _ScaledObjectModel(DictMixin):
    apiVersion: str | None = None
    kind: str | None = None
    metadata: ObjectMeta | None = None
    spec: ScaledObjectSpec | None = None
    status: dict[str, Any] | None = None


class ScaledObject(resource.NamespacedResourceG, _ScaledObjectModel):
    """One Deployment that KEDA scales."""

    _api_info = resource.ApiInfo(
        resource=resource.ResourceDef("keda.sh", "v1alpha1", "ScaledObject"),
        plural="scaledobjects",
        verbs=["delete", "get", "global_list", "list", "patch", "post", "put", "watch"],
    )
