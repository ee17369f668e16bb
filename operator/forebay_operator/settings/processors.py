"""The pods of processors: those that the chart runs, and those of endpoints that have their own."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from forebay.core.field_types import ShardName
from forebay.core.subjects import DEDICATED_PARTITIONS, is_dedicated
from forebay_operator.settings.receivers import EndpointPods, PodSelector, ResourceNeeds
from forebay_operator.settings.scaling import ProcessorScaling
from forebay_operator.settings.settings_group import Age, Bytes, SettingsGroup

__all__ = [
    "DedicatedProcessing",
    "ProcessorPods",
    "Processors",
    "Shard",
    "ShardStreams",
]

MEBIBYTE: Final = 1024 * 1024


class ShardStreams(SettingsGroup):
    """Retention, size and replicas of one set of streams."""

    raw_max_age: Age = timedelta(hours=168)
    """How long webhooks are kept. The providers repeat for 7 days."""

    window: Age = timedelta(hours=192)
    """How long a repeat is recognised; longer than `rawMaxAge`."""

    dead_max_age: Age = timedelta(hours=720)
    raw_max_bytes: Bytes = 1024 * MEBIBYTE
    """Bytes on each server; the five together have to fit the volume with 20 % to spare."""

    events_max_bytes: Bytes = 1024 * MEBIBYTE
    retry_max_bytes: Bytes = 512 * MEBIBYTE
    dead_max_bytes: Bytes = 512 * MEBIBYTE
    index_max_age: Age = timedelta(hours=192)
    """How long it is kept what happened to each item."""

    index_max_bytes: Bytes = 256 * MEBIBYTE
    replicas: Literal[1, 3, 5] = 1
    """Servers that hold each message before a webhook is answered."""


class Shard(ShardStreams):
    """One set of streams of the installation."""

    name: ShardName = "0"

    @field_validator("name")
    @classmethod
    def _is_no_endpoint_s_own(cls, name: str) -> str:
        if is_dedicated(name):
            message = f"{name!r} is what the shard of one endpoint's own is called: choose another"
            raise ValueError(message)
        return name


class Processors(SettingsGroup):
    """The processors that the chart runs for all endpoints."""

    pods: PodSelector
    scaling: ProcessorScaling | None = None
    """None where their number is fixed."""

    python_modules: tuple[str, ...] = ()
    """Modules that `python` destinations may name, as processors know them; none as shipped."""


class ProcessorPods(EndpointPods):
    """The pods of an endpoint's own processors."""

    resources: ResourceNeeds = ResourceNeeds(
        requests={"cpu": "50m", "memory": "160Mi"}, limits={"memory": "1Gi"}
    )
    termination_grace_period_seconds: Annotated[int, Field(ge=5)] = 30
    """Higher than FOREBAY_PROCESSOR_STOP_SECONDS by 10, for partitions to be handed over."""


class DedicatedProcessing(SettingsGroup):
    """Streams and processors of endpoints with `processing.isolation: Dedicated`."""

    max_dedicated_shards: Annotated[int, Field(ge=0, le=200)] = 10
    """Sets of such streams that there may be, those that only hold dead letters among them: each
    reserves its bytes on every server, and has 28 consumers. Who has one keeps it."""

    replicas: Annotated[int, Field(ge=1, le=DEDICATED_PARTITIONS)] = 2
    """Processors of each; they share its partitions. Two: what a lost node's pod held goes on 6 s
    later."""

    images: tuple[str, ...] = ()
    """Images that endpoints may name: `registry.example.com/bots/*` for all whose names begin so,
    or a whole name with its tag or digest. What runs in one has all rights of a processor."""

    streams: ShardStreams = ShardStreams(
        raw_max_bytes=256 * MEBIBYTE,
        events_max_bytes=256 * MEBIBYTE,
        retry_max_bytes=128 * MEBIBYTE,
        dead_max_bytes=64 * MEBIBYTE,
        index_max_bytes=32 * MEBIBYTE,
    )
    pods: ProcessorPods
