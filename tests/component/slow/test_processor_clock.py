"""A machine's clock may jump: items are tried when they are due, and none grows old by it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from forebay.core.tables import Retry
from support import wrong_clock
from support.plant import Plant, token
from support.wait import eventually

HOUR = 3600.0

PATIENT = Retry(initial_delay_seconds=0.2, max_delay_seconds=0.4, max_age_seconds=72 * HOUR)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of Standard Webhooks


class ClockedPlant(Plant):
    """A plant whose processor runs on a machine with a clock that can be set."""

    def __init__(self, folder: Path) -> None:
        """Begin with the right time."""
        super().__init__(folder)
        self._file = folder / "clock"
        self.set_ahead(0.0)
        self.processor.launcher = (wrong_clock.__file__, str(self._file))

    def set_ahead(self, seconds: float) -> None:
        """Let the processor's clock jump."""
        self._file.write_text(str(seconds))

    async def wait_tried(self, name: str, times: int = 2) -> None:
        """Wait until an endpoint's destination was asked so often."""
        await eventually(lambda: len(self.arrivals(name)) >= times, within=30)


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[ClockedPlant]:
    async with ClockedPlant(tmp_path) as running:
        yield running


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR, -1000 * HOUR])
async def test_what_waits_goes_on_when_the_clock_jumps(plant: ClockedPlant, ahead: float) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name, retry=PATIENT))
    key = token("wamid.waits")
    plant.sink.answer_key(key, *[503] * 6)
    await plant.send(name, "wamid.waits", "wamid.behind")
    await plant.wait_tried(name)
    plant.set_ahead(ahead)
    await plant.wait_delivered(name, [key, token("wamid.behind")], within=30)
    assert await plant.letters(name) == 0


@pytest.mark.parametrize("ahead", [-HOUR, 80 * HOUR, -1000 * HOUR])
async def test_what_waited_before_a_restart_goes_on_after_it(
    plant: ClockedPlant, ahead: float
) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name, retry=PATIENT))
    key = token("wamid.restarted")
    plant.sink.refuse_key(key)
    await plant.send(name, "wamid.restarted", "wamid.behind")
    await plant.wait_tried(name)
    await plant.processor.terminate()
    plant.set_ahead(ahead)
    await plant.processor.start()
    await plant.wait_tried(name, len(plant.arrivals(name)) + 3)
    plant.sink.forgive_key(key)
    await plant.wait_delivered(name, [key, token("wamid.behind")], within=30)
    assert await plant.letters(name) == 0


async def test_a_row_of_a_processor_with_a_wrong_clock_is_right_for_the_next(
    plant: ClockedPlant,
) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name, retry=PATIENT))
    plant.set_ahead(-80 * HOUR)
    await plant.restart()
    key = token("wamid.moved")
    plant.sink.refuse_key(key)
    await plant.send(name, "wamid.moved")
    await plant.wait_tried(name)
    await plant.processor.terminate()
    plant.set_ahead(0.0)
    await plant.processor.start()
    await plant.wait_tried(name, len(plant.arrivals(name)) + 3)
    plant.sink.forgive_key(key)
    await plant.wait_delivered(name, [key], within=30)
    assert await plant.letters(name) == 0


async def test_what_is_paused_does_not_end_with_a_window_that_is_not_over(
    plant: ClockedPlant,
) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name, retry=PATIENT), paused=True)
    await plant.send(name, "wamid.paused")

    async def is_parked() -> bool:
        return await plant.rows(name) == 1

    await eventually(is_parked, within=30)
    plant.set_ahead(1000 * HOUR)
    await plant.restart()
    await plant.serve(name, plant.http(name, retry=PATIENT))
    await plant.wait_delivered(name, [token("wamid.paused")], within=30)
    assert await plant.letters(name) == 0


async def test_a_clock_that_is_wrong_is_told_once(plant: ClockedPlant) -> None:
    plant.set_ahead(-HOUR)
    await plant.restart()
    name = plant.new_name()
    await plant.serve(name, plant.http(name))
    await plant.wait_delivered(name, await plant.send(name, "wamid.told"), within=30)
    (line,) = plant.processor.logged("clock_jumped")
    assert line["seconds"] == pytest.approx(-HOUR, abs=2)
    assert plant.processor.logged("stream_clock_jumped") == []


async def test_signatures_have_the_right_time_all_the_same(plant: ClockedPlant) -> None:
    plant.set_ahead(-HOUR)
    await plant.restart()
    name = plant.new_name()
    await plant.serve(name, plant.http(name, signing_secrets=(SECRET,)))
    await plant.wait_delivered(name, await plant.send(name, "wamid.signed"), within=30)
    (arrival,) = plant.arrivals(name)
    # The standard's own code takes nothing that is five minutes old.
    Webhook(SECRET).verify(arrival.body, dict(arrival.headers))
