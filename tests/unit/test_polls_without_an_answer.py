"""What polls streams goes on with its next poll where NATS gave no answer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from forebay.core import envelope
from forebay.core.subjects import REPLAY, RetrySubject
from forebay.runtime.jetstream.api import StoredMessage
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay_processor.adapters.streams import Streams
from forebay_processor.delivery.incidents import Incidents
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.replay_watch import POLL_SECONDS, Replays
from forebay_processor.delivery.shares import ShardShares
from forebay_processor.delivery.stream_sizes import HURRY, StreamSizes
from forebay_processor.maintenance.retention import StreamRetention
from forebay_processor.maintenance.unsplit_monitor import UnsplitMonitor
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.stream_time import StreamTime
from support.processor.queue_alone import NAME
from support.timing.clocks import HandClock, LoopClock
from support.timing.wait import eventually

RAW, EVENTS = "FOREBAY_RAW_0", "FOREBAY_EVENTS_0"


class FullStreams:
    """RAW and EVENTS, nearly full of what is processed."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        """Streams of which nothing is answered."""

        self.asked: list[str] = []
        self.purged: list[str] = []

    async def stream_info(self, stream: str) -> Any:  # noqa: ANN401  # a part of nats-py's record
        """Return its state, or no answer."""
        self.asked.append(stream)
        if stream in self.silent:
            raise StoreUnavailable(stream)
        return SimpleNamespace(
            state=SimpleNamespace(bytes=95, messages=95, first_seq=1, last_seq=95),
            config=SimpleNamespace(max_bytes=100),
        )

    async def consumer_info(self, _: str, __: str) -> Any:  # noqa: ANN401
        """Return that nothing is left to do."""
        return SimpleNamespace(num_pending=0, num_ack_pending=0)

    async def purge_below(self, stream: str, below: int) -> int:
        """Remove what is below a sequence."""
        self.purged.append(stream)
        return below - 1


class Replayed:
    """RETRY, with the rows that somebody replayed."""

    def __init__(self) -> None:
        self.rows: list[StoredMessage] = []
        self.is_silent = False
        self.asked = 0

    def add(self, key: str, sequence: int, *, more: str = "") -> None:
        """Let somebody replay an item, or store what has more to its subject than a row has."""
        subject = str(RetrySubject("0", 0, REPLAY, NAME, "sink", "c", key)) + more
        headers = {envelope.ORDER: "0"}
        stored_at = datetime.fromtimestamp(0, tz=UTC)
        self.rows.append(StoredMessage(subject, sequence, stored_at, headers, b""))

    async def replayed(self, _: str, __: int, start: int) -> list[StoredMessage]:
        """Return the rows from a sequence on, or no answer."""
        self.asked += 1
        if self.is_silent:
            raise StoreUnavailable
        return [row for row in self.rows if row.sequence >= start]


class Shown:
    """The queues, as far as they are shown rows."""

    def __init__(self) -> None:
        self.time = StreamTime(HandClock())
        self.incidents = Incidents(self.time.steady)
        self.keys: list[str] = []

    def of(self, *_: object) -> Any:  # noqa: ANN401  # the only queue
        """Return the queue of any destination."""
        return SimpleNamespace(shown=lambda _, subject, *__: self.keys.append(subject.key))


@contextlib.asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Let it run within the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def metrics() -> ProcessorMetrics:
    return ProcessorMetrics(pool="test")


def events(logged: list[Any]) -> list[str]:
    return [each["event"] for each in logged]


# Room


@pytest.mark.parametrize(("silent", "other"), [(RAW, EVENTS), (EVENTS, RAW)])
async def test_room_is_made_in_one_stream_while_the_other_is_silent_and_then_in_both(
    silent: str, other: str
) -> None:
    streams = FullStreams()
    streams.silent = {silent}
    retention = StreamRetention(cast("Streams", streams), "0", metrics(), pause=0.001)
    with capture_logs() as logged:
        async with running(retention.run()):
            await eventually(lambda: streams.purged.count(other) >= 2, saying="two polls")
            assert silent not in streams.purged
            streams.silent = set()
            await eventually(lambda: silent in streams.purged, saying="room in both")
    assert "retention_failed" in events(logged)


async def test_it_is_asked_again_how_full_retry_and_dead_are_and_what_was_known_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, streams, shares = LoopClock(monkeypatch), FullStreams(), ShardShares()
    sizes = StreamSizes(cast("Streams", streams), "0", shares)
    with capture_logs() as logged:
        async with running(sizes.run()):
            await eventually(lambda: shares.dead.limit, saying="the first poll")
            streams.silent = {"FOREBAY_RETRY_0"}
            clock.ahead += POLL_SECONDS
            await eventually(lambda: logged, saying="no answer")
            shares.retry.stored(3)
            assert (shares.retry.used, shares.retry.limit) == (98, 100)
            streams.silent = set()
            # It is nearly full, so it is asked more often.
            clock.ahead += POLL_SECONDS * HURRY
            await eventually(lambda: shares.retry.used == 95, saying="the next answer")
    assert events(logged) == ["stream_sizes_not_seen"]


# Webhooks that nobody splits


async def test_the_check_for_unsplit_webhooks_is_made_again() -> None:
    clock, streams = HandClock(), FullStreams()
    streams.silent = {RAW}
    ages = RetentionAges(raw=1000.0)
    monitor = UnsplitMonitor(
        cast("Streams", streams), "0", metrics(), ages, StreamTime(clock), 0.001, lambda: True
    )
    with capture_logs() as logged:
        async with running(monitor.run()):
            await eventually(lambda: streams.asked, saying="the first poll")
            streams.silent = set()
            clock.gone_by += 1000.0
            await eventually(lambda: len(streams.asked) > 1, saying="the next poll")
    assert events(logged) == ["unsplit_not_seen"]


# What somebody replayed


async def test_replayed_rows_are_found_when_nats_answers_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, streams, queues = LoopClock(monkeypatch), Replayed(), Shown()
    own = cast("Partition", SimpleNamespace(number=0, partition_id="event.00"))
    shown = cast("DestinationQueues", queues)
    replays = Replays(cast("Streams", streams), "0", own, shown)
    streams.add("first", 1)
    streams.is_silent = True

    async def poll_once() -> None:
        before = streams.asked
        clock.ahead += POLL_SECONDS
        await eventually(lambda: streams.asked > before, saying="a poll")

    with capture_logs() as logged:
        async with running(replays.run()):
            await asyncio.sleep(0)  # so that it has begun to wait
            await poll_once()
            await poll_once()
            assert queues.keys == []
            streams.is_silent = False
            await poll_once()
            await eventually(lambda: queues.keys == ["first"], saying="the row")
    assert events(logged) == ["replays_not_seen"], "logged once, however long it takes"


async def test_a_replayed_row_that_cannot_be_read_holds_up_no_other() -> None:
    streams, queues = Replayed(), Shown()
    own = cast("Partition", SimpleNamespace(number=0, partition_id="event.00"))
    shown = cast("DestinationQueues", queues)
    replays = Replays(cast("Streams", streams), "0", own, shown)
    streams.add("unreadable", 1, more=".odd")
    streams.add("next", 2)
    with capture_logs() as logged:
        assert await replays.poll() == 2
        assert await replays.poll() == 0
    assert queues.keys == ["next"]
    assert [(each["event"], each["seq"]) for each in logged] == [("row_unreadable", 1)]
