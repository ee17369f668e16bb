"""When a status takes another backlog or time of the latest webhook: seldom, and rightly."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import StreamKind
from forebay_operator.adapters.streams import NoStreams
from forebay_operator.models.endpoint import ClusterEndpoint, write_time
from forebay_operator.models.stored_rows import (
    LanePosition,
    ParkedItems,
    RowPosition,
    StreamPosition,
)
from forebay_operator.services.endpoint_backlog import EndpointFigures

OWN = EndpointName("acme", "sales")
POLL_SECONDS = 10.0


class Figures:
    """Figures over streams that a test fills, by a clock that it turns."""

    def __init__(self) -> None:
        self.streams = NoStreams()
        self.now = 1000.0
        self.figures = EndpointFigures(
            lambda: ("0",),
            self.streams,
            self._ask_processors,
            self._ask_processors,
            POLL_SECONDS,
            lambda: self.now,
        )
        self.status: dict[str, object] = {}
        self.writes = 0

    async def _ask_processors(self) -> Sequence[ParkedItems] | None:
        return None

    def store(self, kind: StreamKind, items: int, *, ago: float, processed: bool = False) -> None:
        """Let a stream hold items of the endpoint and nothing else."""
        at = datetime.now(UTC).timestamp() - ago
        rows = [RowPosition(number, OWN, "03.live", at) for number in range(1, items + 1)]
        waiting = 0 if processed else items
        lane = LanePosition("03.live", items - waiting, waiting)
        self.streams.stored[kind] = rows
        lanes = () if kind is StreamKind.RETRY else (lane,)
        self.streams.places[kind] = StreamPosition(1, items, items, lanes)

    @property
    def endpoint(self) -> ClusterEndpoint:
        """The endpoint as it stands."""
        metadata = {
            "namespace": OWN.namespace,
            "name": OWN.name,
            "uid": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        return ClusterEndpoint.of({"metadata": metadata, "status": self.status})

    async def poll(self) -> tuple[int, int] | None:
        """Poll once, and write what is shown where it is another than stands there."""
        await self.figures.poll([self.endpoint])
        self.now += POLL_SECONDS
        shown = self.figures.backlog(self.endpoint)
        if shown is None:
            return None
        document = {"items": shown.items, "oldestSeconds": shown.oldest_seconds}
        if self.status.get("backlog") != document:
            self.writes += 1
            self.status = {**self.status, "backlog": document}
        return shown.items, shown.oldest_seconds


async def test_a_backlog_that_stands_for_three_days_is_written_twenty_times() -> None:
    figures = Figures()
    polls = int(72 * 3600 / POLL_SECONDS)
    for number in range(polls):
        # One poll in a hundred is enough to see every step.
        if number % 100 == 0 or number < 200:
            figures.store(StreamKind.RETRY, 40, ago=number * POLL_SECONDS)
            await figures.poll()
            await asyncio.sleep(0)
    assert figures.status["backlog"] == {"items": 40, "oldestSeconds": 48 * 3600}
    assert 12 <= figures.writes <= 20


async def test_what_is_on_its_way_is_no_backlog() -> None:
    figures = Figures()
    for number in range(20):
        figures.store(StreamKind.EVENTS, 1 + number % 7, ago=POLL_SECONDS - 2)
        assert await figures.poll() == (0, 0)
    assert figures.writes == 1


async def test_a_number_that_moves_is_written_when_it_is_a_quarter_away() -> None:
    figures = Figures()
    figures.store(StreamKind.RETRY, 100, ago=40)
    assert await figures.poll() == (100, 30)
    for items in (105, 95, 120, 80, 124, 76):
        figures.store(StreamKind.RETRY, items, ago=40)
        figures.now += 1000
        assert await figures.poll() == (100, 30)
    figures.store(StreamKind.RETRY, 126, ago=40)
    assert await figures.poll() == (126, 30)


async def test_between_two_changes_are_six_polls_but_the_end_is_said_at_once() -> None:
    figures = Figures()
    figures.store(StreamKind.RETRY, 10, ago=40)
    assert await figures.poll() == (10, 30)
    figures.store(StreamKind.RETRY, 1000, ago=40)
    figures.now -= POLL_SECONDS
    first = [await figures.poll() for _ in range(6)]
    assert first == [(1000, 30)] * 6  # of the first change nobody knows how long ago it was
    figures.store(StreamKind.RETRY, 3000, ago=40)
    seen = [await figures.poll() for _ in range(3)]
    assert seen[-1] == (3000, 30)
    figures.store(StreamKind.RETRY, 9000, ago=40)
    assert [await figures.poll() for _ in range(5)] == [(3000, 30)] * 5
    assert await figures.poll() == (9000, 30)
    figures.streams.places.clear()
    assert await figures.poll() == (0, 0)


async def test_without_nats_it_stays_as_it_stands() -> None:
    figures = Figures()
    figures.store(StreamKind.RETRY, 10, ago=40)
    assert await figures.poll() == (10, 30)
    figures.streams.is_away = True
    assert await figures.poll() == (10, 30)
    assert figures.writes == 1


async def test_before_the_first_poll_nothing_is_known() -> None:
    figures = Figures()
    assert figures.figures.backlog(figures.endpoint) is None
    figures.streams.is_away = True
    assert await figures.poll() is None


# --- the latest webhook


def ago(seconds: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)


async def latest(known: datetime | None, stored: datetime | None) -> datetime | None:
    figures = Figures()
    figures.status = {} if known is None else {"lastEventTime": write_time(known)}
    if stored is not None:
        figures.streams.times[OWN] = stored
    await figures.poll()
    return figures.figures.latest(figures.endpoint)


async def test_the_first_time_is_written_at_once() -> None:
    stored = ago(1)
    assert await latest(None, stored) == stored
    assert await latest(None, None) is None


async def test_a_newer_time_is_written_after_a_minute() -> None:
    known, stored = ago(61), ago(1)
    assert await latest(known, stored) == stored


async def test_a_newer_one_within_the_minute_is_not() -> None:
    known = ago(30)
    assert await latest(known, ago(1)) == known


async def test_what_was_purged_was_stored_nevertheless() -> None:
    known = ago(1000)
    assert await latest(known, None) == known
    assert await latest(known, ago(2000)) == known


async def test_an_old_webhook_is_not_followed_by_the_next_within_the_minute() -> None:
    figures = Figures()
    figures.status = {"lastEventTime": write_time(ago(600))}
    figures.store(StreamKind.RAW, 1, ago=300, processed=True)
    await figures.poll()
    first = figures.figures.latest(figures.endpoint)
    assert first is not None
    assert abs((first - ago(300)).total_seconds()) <= 1
    figures.status = {"lastEventTime": write_time(first)}
    figures.store(StreamKind.RAW, 2, ago=0, processed=True)
    await figures.poll()
    assert figures.figures.latest(figures.endpoint) == first
    figures.now += 60
    second = figures.figures.latest(figures.endpoint)
    assert second is not None
    assert second > first


@pytest.mark.parametrize("is_away", [True, False])
async def test_without_an_answer_it_stays_as_it_was(*, is_away: bool) -> None:
    figures, known = Figures(), ago(600)
    figures.status = {"lastEventTime": write_time(known)}
    figures.streams.is_away = is_away
    await figures.poll()
    assert figures.figures.latest(figures.endpoint) == known
