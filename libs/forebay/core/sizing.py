"""How large an installation has to be for a load: the arithmetic of `forebay size`.

Pure: what comes in is a load as a person says it, what comes out are whole numbers for the chart.
What it reckons with is in `forebay.core.measured_costs`; docs/sizing.md explains it. No figure of
a whole load (`InstallationSize.total_...`) falls when a figure of the load rises.
"""

import math
from dataclasses import dataclass
from typing import Final

from forebay.core import measured_costs as costs
from forebay.core.errors import ConfigurationError
from forebay.core.expected_load import ExpectedLoad, Isolation
from forebay.core.receiver_cpu import AT_REST_MILLICORES, CORE_MILLICORES, used_millicores

__all__ = [
    "DEAD_HOURS",
    "EVENTS_MORE_HOURS",
    "InstallationSize",
    "NatsSize",
    "PodSize",
    "ShardSize",
    "size",
]

MINUTE: Final = 60
DAY_HOURS: Final = 24
MIB: Final = 1024 * 1024

CPU_SHARE_RECEIVER: Final = 0.6
"""Of its request, as the chart's autoscaler keeps it (`receivers.autoscaling.targetCPUPercent`)."""

CPU_SHARE_PROCESSOR: Final = 0.7
"""The same for `processors.autoscaling.targetCPUPercent`."""

SMALLEST_CPU: Final = 50
"""Millicores of a pod that has next to nothing to do: probes and metrics. Not measured."""

PROCESSORS: Final = 16
"""They share 16 partitions, and the chart takes no more."""

INSTALLATIONS: Final = 3
"""More than these were not thought through: what is beyond is refused."""

SHARDS: Final = 32
"""That the chart takes."""

MOST_MEMORY_MIB: Final = 512 * 1024
MOST_VOLUME_GIB: Final = 64 * 1024
"""Of a server: where more is kept than these, somebody has mistyped an age."""

ROOM: Final = 0.8
"""Of a stream, above which processors make room by removing the oldest processed items."""

STREAM_BASE_MIB: Final = 256
DEAD_SHARE: Final = 0.01
"""Of all items, that no attempt delivers: a guess on the safe side."""

DEAD_HOURS: Final = 720
EVENTS_MORE_HOURS: Final = 24
"""EVENTS is kept a day longer than RAW, so that a webhook's last repeat finds its claims."""

NATS_BASE_MIB: Final = 256
NATS_BASE_CPU: Final = 50
VOLUME_BASE_GIB: Final = 4
LIMIT_SHARE: Final = 0.8
"""Of the memory limit, that the chart tells nats-server's garbage collector to keep below."""

NATS_LEAST_LIMIT_MIB: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSize:
    """Pods of one part of an installation."""

    pods: int
    most_pods: int
    """Of its autoscaler."""

    rate: int
    """Webhooks or items a second that one pod is reckoned to take."""

    cpu: int
    """Millicores that a pod asks for."""

    memory: int
    """MiB that a pod asks for."""

    memory_limit: int
    """MiB that a pod has at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSize:
    """MiB of a shard's streams on each server that holds it."""

    raw: int
    events: int
    retry: int
    dead: int
    index: int

    @property
    def total(self) -> int:
        """MiB of all of them, with the table in which processors share partitions."""
        return self.raw + self.events + self.retry + self.dead + self.index + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsSize:
    """Each NATS server of an installation."""

    servers: int
    cpu: int
    """Millicores that a server asks for."""

    memory: int
    """MiB that a server asks for."""

    memory_limit: int
    """MiB that a server has at most."""

    store: int
    """MiB of all streams."""

    volume: int
    """GiB of the volume."""

    written: int
    """Bytes/s to its disk."""

    restart_seconds: int
    """Until a server with all keys is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationSize:
    """An installation for a load, and how many of them the load takes."""

    load: ExpectedLoad
    installations: int
    webhooks: int
    """Webhooks/s of one installation."""

    receivers: PodSize
    processors: PodSize
    shards: int
    shard: ShardSize
    nats: NatsSize
    keys: int
    """Claims that are kept, of one installation."""

    claim_bytes: int
    """Bytes of nats-server's memory for them, on each server."""

    shard_rate: int
    """Webhooks/s that a shard is reckoned to take."""

    webhook_cpu: float
    """Microseconds of a receiver's CPU for a webhook."""

    @property
    def total_pods(self) -> int:
        """Pods of all installations: receivers, processors, NATS and the operator."""
        pods = self.receivers.pods + self.processors.pods + self.nats.servers + 1
        return self.installations * pods

    @property
    def total_cpu(self) -> int:
        """Millicores that receivers, processors and NATS ask for, of all installations."""
        each = self.nats.servers * self.nats.cpu + self.processors.pods * self.processors.cpu
        if self.load.isolation is Isolation.SHARED:
            each += self.receivers.pods * self.receivers.cpu
        else:
            # The operator asks for what each one's share costs: in all, for each webhook once.
            rest = self.receivers.pods * AT_REST_MILLICORES
            used = rest + self.webhooks * self.webhook_cpu / 1000
            each += math.ceil(used / CPU_SHARE_RECEIVER)
        return self.installations * each

    @property
    def total_memory(self) -> int:
        """MiB that they ask for, of all installations."""
        each = self.nats.servers * self.nats.memory
        each += sum(part.pods * part.memory for part in (self.receivers, self.processors))
        return self.installations * each

    @property
    def total_disk(self) -> int:
        """GiB of all volumes."""
        return self.installations * self.nats.servers * self.nats.volume

    @property
    def gives_way(self) -> tuple[str, int]:
        """What is at its end first when more comes than was asked for, and at which webhooks/s.

        Of an installation as it stands, without its autoscalers, with all pods up.
        """
        ends = {
            "processors": self.processors.pods * self.processors.rate,
            "receivers": self.receivers.pods * self.receivers.rate,
            "NATS": self.shards * self.shard_rate,
        }
        first = min(ends, key=lambda part: (ends[part], part))
        return first, ends[first]


def size(load: ExpectedLoad) -> InstallationSize:
    """Return an installation for a load.

    Raises:
        ConfigurationError: where the load cannot be, or is beyond what the model reaches.
    """
    load.check()
    more_kb = max(0.0, load.body_bytes / 1000 - 0.5)
    per_item = costs.PROCESSOR_CPU.value + more_kb * costs.RECEIVER_CPU_KB.value
    item_rate = max(1, math.floor(CPU_SHARE_PROCESSOR * 1e6 / per_item))
    shard_rate = _shard_rate(load, more_kb)
    most = (PROCESSORS - 1) * item_rate  # one may be away
    installations = math.ceil(load.webhooks / most)
    if installations > INSTALLATIONS:
        message = (
            f"{load.webhooks:,} webhooks/s are more than the {INSTALLATIONS * most:,} that the "
            "model reaches: size a part of the load, and measure it first"
        )
        raise ConfigurationError(message)
    webhooks = math.ceil(load.webhooks / installations)  # of each
    channels = math.ceil(load.channels / installations)
    shards = math.ceil(webhooks / shard_rate)
    if shards > SHARDS:
        message = (
            f"{webhooks:,} webhooks/s of {load.body_bytes:,} bytes take {shards} shards, and an "
            f"installation has {SHARDS} at most: give --servers 3, or size a part of the load"
        )
        raise ConfigurationError(message)
    webhook_cpu = costs.RECEIVER_CPU.value + more_kb * costs.RECEIVER_CPU_KB.value
    nats_load = _NatsLoad(load=load, webhooks=webhooks, shards=shards, more_kb=more_kb)
    server = nats_load.server
    if server.memory_limit > MOST_MEMORY_MIB or server.volume > MOST_VOLUME_GIB:
        message = (
            f"a NATS server would need {server.memory_limit // 1024:,} GiB of memory and "
            f"{server.volume:,} GiB of disk: keep less by --retention or --busy"
        )
        raise ConfigurationError(message)
    return InstallationSize(
        load=load,
        installations=installations,
        webhooks=webhooks,
        receivers=_receivers(load, webhooks, channels, webhook_cpu),
        processors=_processors(webhooks, item_rate, per_item),
        shards=shards,
        shard=nats_load.shard,
        nats=server,
        keys=nats_load.keys,
        claim_bytes=math.ceil(nats_load.keys * costs.KEY_MEMORY.value),
        shard_rate=shard_rate,
        webhook_cpu=webhook_cpu,
    )


def _shard_rate(load: ExpectedLoad, more_kb: float) -> int:
    """Return what a shard stores, less for larger bodies as nats-server's CPU rises with them."""
    measured = costs.SINGLE_SERVER_RATE if load.servers == 1 else costs.STREAM_RATE
    store = costs.NATS_STORE_CPU.value
    rise = (store + more_kb * costs.NATS_STORE_CPU_KB.value) / store
    return math.floor(measured.value / rise)


def _receivers(load: ExpectedLoad, webhooks: int, channels: int, per_webhook: float) -> PodSize:
    full = costs.RECEIVER_RATE.value
    rate = max(1, math.floor(min(full, CPU_SHARE_RECEIVER * 1e6 / per_webhook)))
    if load.isolation is Isolation.SHARED:
        pods = math.ceil(webhooks / rate) + 1  # of the receivers, one may be away
        cpu = max(SMALLEST_CPU, min(webhooks, full) * per_webhook / CPU_SHARE_RECEIVER / 1000)
    else:
        # Whatever the shares of the channels are: two each, and more for those that need them.
        pods = 2 * channels + webhooks // rate
        cpu = used_millicores(webhooks / pods, per_webhook) / CPU_SHARE_RECEIVER
    return PodSize(
        pods=pods,
        most_pods=min(100, 2 * pods),
        rate=rate,
        cpu=min(CORE_MILLICORES, math.ceil(cpu)),
        # As the chart has them: what was measured is half of it.
        memory=128,
        memory_limit=512,
    )


def _processors(webhooks: int, rate: int, per_item: float) -> PodSize:
    pods = math.ceil(webhooks / rate) + 1  # of the processors, too
    cpu = webhooks * per_item / CPU_SHARE_PROCESSOR / 1000
    return PodSize(
        pods=pods,
        most_pods=min(PROCESSORS, 2 * pods),
        rate=rate,
        cpu=min(CORE_MILLICORES, max(SMALLEST_CPU, math.ceil(cpu))),
        memory=256,
        memory_limit=1024,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _NatsLoad:
    """What NATS has to hold, of one installation."""

    load: ExpectedLoad
    webhooks: int
    shards: int
    more_kb: float

    def _kept(self, hours: int) -> int:
        """Return what comes within that many hours."""
        days = math.ceil(hours / DAY_HOURS)
        return self.webhooks * MINUTE * self.load.busy_minutes * days

    @property
    def keys(self) -> int:
        return self._kept(self.load.retention_hours + EVENTS_MORE_HOURS)

    @property
    def _waiting(self) -> int:
        minutes = min(self.load.outage_minutes, self.load.busy_minutes)
        return self.webhooks * MINUTE * minutes

    @property
    def _webhook_bytes(self) -> float:
        return self.load.body_bytes + costs.MESSAGE_OVERHEAD.value

    @property
    def _item_bytes(self) -> float:
        return self._webhook_bytes + costs.CLAIM_OVERHEAD.value

    @property
    def shard(self) -> ShardSize:
        events_hours = self.load.retention_hours + EVENTS_MORE_HOURS
        return ShardSize(
            raw=self._stream(self._kept(self.load.retention_hours) * self._webhook_bytes),
            events=self._stream(self._kept(events_hours) * self._item_bytes),
            retry=self._stream(self._waiting * self._item_bytes),
            dead=self._stream(self._kept(DEAD_HOURS) * DEAD_SHARE * self._item_bytes),
            index=self._stream(self._kept(events_hours) * 2 * costs.INDEX_RECORD.value),
        )

    def _stream(self, of_all_shards: float) -> int:
        """Return the MiB of a stream; what is rounded up is less than what each one has besides."""
        return STREAM_BASE_MIB + math.ceil(of_all_shards / self.shards / ROOM / MIB)

    @property
    def server(self) -> NatsSize:
        per_webhook = (
            costs.NATS_STORE_CPU.value
            + costs.NATS_ITEM_CPU.value
            + costs.NATS_CLAIM_CPU.value
            + 2 * self.more_kb * costs.NATS_STORE_CPU_KB.value  # RAW and EVENTS
        )
        memory = NATS_BASE_MIB + math.ceil(self.keys * costs.KEY_MEMORY.value / MIB)
        waiting = math.ceil(self._waiting * costs.WAITING_MEMORY.value / MIB)
        store = self.shards * self.shard.total
        return NatsSize(
            servers=self.load.servers,
            cpu=NATS_BASE_CPU + math.ceil(self.webhooks * per_webhook / 1000),
            memory=memory,
            memory_limit=max(NATS_LEAST_LIMIT_MIB, math.ceil((memory + waiting) / LIMIT_SHARE)),
            store=store,
            volume=VOLUME_BASE_GIB + math.ceil(store * 1.2 / 1024),
            written=math.ceil(
                self.webhooks
                * (self._webhook_bytes + self._item_bytes + 2 * costs.INDEX_RECORD.value)
            ),
            restart_seconds=math.ceil(self.keys * costs.KEY_RESTART.value),
        )
