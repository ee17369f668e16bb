"""What the numbers of pods follow, and between which bounds."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from forebay_operator.settings.settings_group import ObjectName, SettingsGroup

__all__ = ["Keda", "PoolScaling", "ProcessorScaling"]

Count = Annotated[int, Field(ge=1)]


class Keda(SettingsGroup):
    """Whether KEDA scales, where it is installed, and where it finds the operator's figures."""

    enabled: bool = True
    """Whether ScaledObjects are made where the cluster serves them; else autoscalers on CPU."""

    operator_service_name: ObjectName = "forebay-operator-admin"
    """The Service of the operator's port for operators, in Forebay's namespace."""


class PoolScaling(SettingsGroup):
    """Between which numbers a pool of the chart is scaled."""

    deployment: ObjectName
    """What is scaled; its scaler has the same name."""

    min: Count
    max: Count

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min > self.max:
            message = "min is above max"
            raise ValueError(message)
        return self


class ProcessorScaling(PoolScaling):
    """The same for processors, with what they follow."""

    target_cpu_percent: Annotated[int, Field(ge=10, le=95)] = 70
    """Of the CPU request, where there is no KEDA."""

    target_items: Count = 1000
    """Items that could be delivered now, for each pod: what waits for a dead or paused destination
    is not among them. One pod delivers hundreds to thousands a second."""

    target_oldest_seconds: Count = 30
    """Age of the oldest of them, for each pod: 90 s ask for three."""

    scale_down_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    """How long load has to stay low before a pod goes, one a minute."""
