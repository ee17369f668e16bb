"""Webhooks that nobody splits are reported in time and once."""

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from forebay_processor.adapters.streams import Streams
from forebay_processor.maintenance.unsplit_monitor import UnsplitMonitor
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.retention_ages import RetentionAges
from forebay_processor.shared.stream_time import StreamTime
from support.timing.clocks import HandClock

AGE = 1000.0
EVENT = "webhooks_unsplit_for_long"


class OneWaits:
    """RAW with one webhook, for which one consumer waits."""

    def __init__(self, clock: HandClock) -> None:
        self._stored_at = clock.wall()
        self.is_split = False

    async def stream_info(self, _: str) -> Any:  # noqa: ANN401  # a part of nats-py's record
        """Return its state."""
        return SimpleNamespace(state=SimpleNamespace(last_seq=1))

    async def consumer_info(self, _: str, consumer: str) -> Any:  # noqa: ANN401
        """Return what a consumer has to do."""
        waits = consumer == "split-live-03" and not self.is_split
        return SimpleNamespace(
            num_pending=int(waits),
            num_ack_pending=0,
            ack_floor=SimpleNamespace(stream_seq=0),
            config=SimpleNamespace(filter_subject="forebay.raw.0.03.live.>"),
        )

    async def first_sequence(self, _: str, __: str, start: int) -> int:
        """Return the one."""
        return start

    async def stored_at(self, _: str, __: int) -> float:
        """Return when it was stored."""
        return self._stored_at


class Alone:
    """One check after the other at RAW, with time that passes when the test says so."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.streams = OneWaits(self.clock)
        self._monitor = UnsplitMonitor(
            cast("Streams", self.streams),
            "0",
            ProcessorMetrics(pool="test"),
            RetentionAges(raw=AGE, events=math.inf),
            StreamTime(self.clock),
            1.0,
            lambda: True,
        )

    async def check_after(self, share: float) -> list[str]:
        """Let so much of RAW's age pass and check; return what was logged."""
        self.clock.gone_by += share * AGE
        with capture_logs() as logged:
            await self._monitor.check()
        return [each["event"] for each in logged]


@pytest.fixture
def alone() -> Alone:
    return Alone()


async def test_a_webhook_is_reported_when_half_of_its_age_is_over_and_once(alone: Alone) -> None:
    assert await alone.check_after(0.4) == []
    assert await alone.check_after(0.2) == [EVENT]
    assert await alone.check_after(0.2) == []


async def test_the_next_one_is_reported_again(alone: Alone) -> None:
    assert await alone.check_after(0.6) == [EVENT]
    alone.streams.is_split = True
    assert await alone.check_after(0.1) == []
    alone.streams.is_split = False
    assert await alone.check_after(0.0) == [EVENT]
