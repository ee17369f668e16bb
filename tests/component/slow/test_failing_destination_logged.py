"""The log says that a destination fails, by what, and that it is well again; nothing private."""

from typing import Any

import pytest

from forebay.core.tables import Retry
from support.processor.processor_harness import ProcessorHarness, token
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_destination_that_fails_and_comes_back_has_two_lines(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=60)
    await processor.serve(name, processor.http(name, retry=retry))

    def lines(event: str) -> list[dict[str, Any]]:
        about = f"demo/{name}"
        return [each for each in processor.part.logged(event) if each["endpoint"] == about]

    key = token("wamid.failing")
    processor.sink.answer_key(key, 500, 502, 500)
    await processor.wait_delivered(name, await processor.send(name, "wamid.failing"))
    (failing,) = lines("destination_failing")
    assert failing["level"] == "warning"
    assert failing["answer"] == "5xx"
    assert failing["error"] == "status 500"
    assert failing["count"] == 1
    assert 0 <= failing["next_attempt_seconds"] <= 0.2
    # Once nothing failed for ten seconds.
    (recovered,) = await eventually(
        lambda: lines("destination_recovered"), within=30, saying="the line on its recovery"
    )
    assert (recovered["destination"], recovered["failures"]) == ("sink", 3)


async def test_what_the_log_held_back_is_in_it_when_the_processor_ends(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name))
    for number in range(5):
        processor.sink.answer_key(token(f"wamid.rejected.{number}"), 422)
    await processor.send(name, *(f"wamid.rejected.{number}" for number in range(5)))

    async def all_are_dead() -> bool:
        return await processor.letters(name) == 5

    await eventually(all_are_dead, saying="all to be dead letters")
    assert await processor.part.terminate() == 0
    lines = [
        each for each in processor.part.logged("dead_letter") if each["endpoint"] == f"demo/{name}"
    ]
    await processor.part.start()
    assert [each["count"] for each in lines] == [1, 4]
