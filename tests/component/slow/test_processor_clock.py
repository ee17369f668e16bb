"""A machine's clock may jump: items are tried when they are due, and none grows old by it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from forebay.core.tables import Retry
from support.processor.processor_harness import ProcessorHarness, token
from support.programs import wrong_clock
from support.timing.wait import eventually

HOUR = 3600.0

PATIENT = Retry(initial_delay_seconds=0.2, max_delay_seconds=0.4, max_age_seconds=72 * HOUR)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of Standard Webhooks


class ClockedProcessorHarness(ProcessorHarness):
    """A processor that runs on a machine with a clock that can be set."""

    def __init__(self, folder: Path) -> None:
        """Begin with the right time."""
        super().__init__(folder)
        self._file = folder / "clock"
        self.set_ahead(0.0)
        self.part.launcher = (wrong_clock.__file__, str(self._file))

    def set_ahead(self, seconds: float) -> None:
        """Let the processor's clock jump."""
        self._file.write_text(str(seconds))

    async def wait_tried(self, name: str, times: int = 2) -> None:
        """Wait until an endpoint's destination was asked so often."""
        await eventually(lambda: len(self.arrivals(name)) >= times, within=30)


@pytest.fixture
async def processor(tmp_path: Path) -> AsyncIterator[ClockedProcessorHarness]:
    async with ClockedProcessorHarness(tmp_path) as running:
        yield running


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR, -1000 * HOUR])
async def test_what_waits_goes_on_when_the_clock_jumps(
    processor: ClockedProcessorHarness, ahead: float
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=PATIENT))
    key = token("wamid.waits")
    processor.sink.answer_key(key, *[503] * 6)
    await processor.send(name, "wamid.waits", "wamid.behind")
    await processor.wait_tried(name)
    processor.set_ahead(ahead)
    await processor.wait_delivered(name, [key, token("wamid.behind")], within=30)
    assert await processor.letters(name) == 0


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR, -1000 * HOUR])
async def test_what_waited_before_a_restart_goes_on_after_it(
    processor: ClockedProcessorHarness, ahead: float
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=PATIENT))
    key = token("wamid.restarted")
    processor.sink.refuse_key(key)
    await processor.send(name, "wamid.restarted", "wamid.behind")
    await processor.wait_tried(name)
    await processor.part.terminate()
    processor.set_ahead(ahead)
    await processor.part.start()
    await processor.wait_tried(name, len(processor.arrivals(name)) + 3)
    processor.sink.forgive_key(key)
    await processor.wait_delivered(name, [key, token("wamid.behind")], within=30)
    assert await processor.letters(name) == 0


async def test_a_row_of_a_processor_with_a_wrong_clock_is_right_for_the_next(
    processor: ClockedProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=PATIENT))
    processor.set_ahead(-80 * HOUR)
    await processor.restart()
    key = token("wamid.moved")
    processor.sink.refuse_key(key)
    await processor.send(name, "wamid.moved")
    await processor.wait_tried(name)
    await processor.part.terminate()
    processor.set_ahead(0.0)
    await processor.part.start()
    await processor.wait_tried(name, len(processor.arrivals(name)) + 3)
    processor.sink.forgive_key(key)
    await processor.wait_delivered(name, [key], within=30)
    assert await processor.letters(name) == 0


async def test_what_is_paused_does_not_end_with_a_window_that_is_not_over(
    processor: ClockedProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=PATIENT), paused=True)
    await processor.send(name, "wamid.paused")

    async def is_parked() -> bool:
        return await processor.rows(name) == 1

    await eventually(is_parked, within=30)
    processor.set_ahead(1000 * HOUR)
    await processor.restart()
    await processor.serve(name, processor.http(name, retry=PATIENT))
    await processor.wait_delivered(name, [token("wamid.paused")], within=30)
    assert await processor.letters(name) == 0


async def test_a_clock_that_is_wrong_is_reported_once(processor: ClockedProcessorHarness) -> None:
    processor.set_ahead(-HOUR)
    await processor.restart()
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    await processor.wait_delivered(name, await processor.send(name, "wamid.reported"), within=30)
    (line,) = processor.part.logged("clock_jumped")
    assert line["seconds"] == pytest.approx(-HOUR, abs=2)
    assert processor.part.logged("stream_clock_jumped") == []


async def test_signatures_have_the_right_time_all_the_same(
    processor: ClockedProcessorHarness,
) -> None:
    processor.set_ahead(-HOUR)
    await processor.restart()
    name = processor.new_name()
    await processor.serve(name, processor.http(name, signing_secrets=(SECRET,)))
    await processor.wait_delivered(name, await processor.send(name, "wamid.signed"), within=30)
    (arrival,) = processor.arrivals(name)
    # The standard's own code takes nothing that is five minutes old.
    Webhook(SECRET).verify(arrival.body, dict(arrival.headers))
