"""Checks a shard's streams and the consumers of owned partitions: nothing may go unnoticed.

A consumer or a stream that is deleted by hand, or set back with a backup, leaves no error behind:
requests for messages fail, and what waits is counted by nobody. So it is asked, every
few seconds and at once when a request failed, whether all is there and as it should be.
What is not there is logged once, counted, shown at `/readyz`, and put right as far as it is ours:
consumers are, streams are the operator's (docs/design/0017).

Each check also brings how far the consumers are. That is written down in the table of leases: a
consumer that has to be made again begins there. And it shows what was handed out to somebody else,
such as an owner that was stopped and had a request open: it is taken over anew, instead of waiting
until the ack wait ends.

If the process dies, the next owner checks. What is written down is a few seconds old then: what was
finished since comes again where the consumer is lost as well.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.subjects import Lane, StreamKind, stream_name
from forebay.runtime.jetstream.consumers import ConsumerState, StreamView
from forebay.runtime.jetstream.errors import StoreError, StreamMissing
from forebay.runtime.jetstream.pull_status import PullRefusal
from forebay.runtime.log_once import LogOnce
from forebay_processor.ownership.consumers import ConsumerRunner
from forebay_processor.ownership.partition import OwnedPartition

__all__ = ["ConsumerWatch", "WatchedStreams"]

_log = structlog.get_logger(__name__)

REFUSED_SECONDS: Final = 0.5
"""Between two checks while requests for messages fail."""

TICK_SECONDS: Final = 0.1

NAMED: Final = 3
"""So many consumers are named in one line of the log."""

PERSISTENT: Final = frozenset({PullRefusal.REFUSED, PullRefusal.UNANSWERED})
"""Refusals that say something though the consumer is there as it should be."""


class WatchedStreams(Protocol):
    """What is asked of NATS."""

    async def view(self, stream: str) -> StreamView:
        """Return what distinguishes a stream from others of its name; raises StoreError."""

    async def consumers(self, stream: str) -> dict[str, ConsumerState]:
        """Return a stream's durable consumers by name; raises StoreError."""

    async def is_there(self, stream: str, consumer: str) -> bool:
        """Say whether a stream has a consumer; raises StoreError."""

    def changed_setting(self, shard: str, found: ConsumerState) -> str | None:
        """Return which setting of a consumer is not as ours are; None where all are."""


class ConsumerWatch:
    """Checks one shard, over one connection; `run` is its one task."""

    def __init__(  # its collaborators, each one thing
        self,
        streams: WatchedStreams,
        shard: str,
        pause: float,
        owned: Callable[[], list[OwnedPartition]],
        on_floor: Callable[[str, Lane, AckFloor], None],
    ) -> None:
        """Prepare.

        Args:
            streams: Over the connection of now.
            shard: Which.
            pause: Seconds between two checks.
            owned: The partitions that this process owns at this moment.
            on_floor: Called with a partition, a lane and how far its consumer is.
        """
        self._streams = streams
        self._shard = shard
        self._seconds = pause
        self._owned = owned
        self._on_floor = on_floor
        self._reported: dict[tuple[str, str], str] = {}
        """What was wrong at the last check, in words, by kind of trouble and stream."""

        self._found: dict[tuple[str, str], str] = {}

    @property
    def troubles(self) -> list[str]:
        """What was wrong at the last check, in words."""
        return list(self._reported.values())

    async def run(self) -> None:
        """Check again and again; until cancelled."""
        unseen = LogOnce()
        while True:
            try:
                await self.check()
                unseen.reset()
            except StoreError as error:
                if unseen.is_due():
                    _log.warning("streams_not_seen", shard=self._shard, reason=str(error))
            await self._pause()

    async def check(self) -> None:
        """See whether all is there; raises StoreError."""
        self._found = {}
        for kind in StreamKind:
            stream = stream_name(kind, self._shard)
            try:
                view = await self._streams.view(stream)
                if kind in {StreamKind.RAW, StreamKind.EVENTS}:
                    await self._check_consumers(kind, stream, view)
            except StreamMissing:
                if self._note("stream_missing", stream, f"stream {stream} is missing"):
                    _log.warning("stream_missing", shard=self._shard, stream=stream)
        for trouble, stream in self._reported.keys() - self._found.keys():
            _log.info("stream_trouble_over", shard=self._shard, stream=stream, trouble=trouble)
        self._reported = self._found

    async def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        checked = loop.time()
        while (waited := loop.time() - checked) < self._seconds:
            if waited >= REFUSED_SECONDS and any(
                each.consumers.is_refused for each in self._owned()
            ):
                break
            await asyncio.sleep(TICK_SECONDS)
        for partition in self._owned():
            partition.consumers.is_refused = False

    async def _check_consumers(self, kind: StreamKind, stream: str, view: StreamView) -> None:
        found = await self._streams.consumers(stream)
        broken: dict[str, OwnedPartition] = {}
        refusals: Counter[PullRefusal] = Counter()
        for partition in self._owned():
            if partition.kind != kind or not partition.consumers.is_attached:
                continue
            refusals.update(partition.consumers.refusals().values())
            for runner in partition.consumers.runners:
                state = found.get(runner.consumer)
                if state is None:
                    is_broken = not await self._streams.is_there(stream, runner.consumer)
                else:
                    is_broken = self._streams.changed_setting(self._shard, state) is not None
                if is_broken:
                    broken[runner.consumer] = partition
                elif state is not None:
                    self._note_floor(partition, runner, state, view)
                    partition.consumers.compare(runner.consumer, state.delivered.consumer_seq)
        self._put_right(stream, broken)
        for reason in PERSISTENT & refusals.keys():
            count = refusals[reason]
            text = f"{count} consumers of {stream} give nothing: {reason}"
            if self._note("pulls_refused", stream, text):
                _log.warning(
                    "pulls_refused", shard=self._shard, stream=stream, reason=reason, count=count
                )

    def _put_right(self, stream: str, broken: Mapping[str, OwnedPartition]) -> None:
        """Report consumers that are missing or were changed, then have them made anew."""
        if not broken:
            return
        text = f"consumer {min(broken)} of {stream} is missing or was changed"
        if len(broken) > 1:
            text = f"{len(broken)} consumers of {stream} are missing or were changed"
        if self._note("consumers_broken", stream, text):
            _log.warning(
                "consumers_broken",
                shard=self._shard,
                stream=stream,
                count=len(broken),
                consumers=sorted(broken)[:NAMED],
            )
        for consumer, partition in broken.items():
            # Asked again: it may be somebody else's by now.
            if partition.consumers.is_attached:
                partition.consumers.put_right(consumer)

    def _note_floor(
        self,
        partition: OwnedPartition,
        runner: ConsumerRunner,
        state: ConsumerState,
        view: StreamView,
    ) -> None:
        known = runner.recently_acked.floor(runner.consumer)
        if known is not None and not view.is_of(known):
            runner.recently_acked.forget_floor(runner.consumer)
        if state.ack_floor.stream_seq:
            floor = runner.recently_acked.raise_floor(runner.consumer, state.floor)
            self._on_floor(partition.partition_id, runner.lane, floor)

    def _note(self, trouble: str, stream: str, text: str) -> bool:
        """Note what is wrong, in words; returns whether that is new, and to be logged."""
        self._found[trouble, stream] = text
        return (trouble, stream) not in self._reported
