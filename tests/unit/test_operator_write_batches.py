"""What is asked for together is written once; what comes alone is written at once."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from forebay_operator.errors import ApiRefused
from forebay_operator.services.pass_places import PassPlaces
from forebay_operator.services.write_batches import PAUSE_SECONDS, WriteBatches
from support.timing.turned_loop import TurnedLoop

TABLE = "processors-03"


class Table:
    """A table of which is remembered when it was written, and what with."""

    def __init__(self) -> None:
        self.batches: WriteBatches[str, None] = WriteBatches()
        self.wanted: set[int] = set()
        self.writes: list[tuple[float, frozenset[int]]] = []
        self.refused = 0

    async def put(self, entry: int) -> float:
        """Want an entry, and wait until it is written; returns when it was."""
        self.wanted.add(entry)
        await self.batches.join(TABLE, self._write)
        assert any(entry in content for _, content in self.writes)
        return asyncio.get_running_loop().time()

    async def _write(self) -> None:
        content = frozenset(self.wanted)
        await asyncio.sleep(0.05)
        if self.refused:
            self.refused -= 1
            message = "a policy refuses it"
            raise ApiRefused(message)
        self.writes.append((asyncio.get_running_loop().time(), content))


def turned(work: Coroutine[Any, Any, None]) -> None:
    loop = TurnedLoop()
    try:
        loop.turn(work)
    finally:
        loop.close()


def test_a_thousand_at_a_hundred_a_second_are_a_dozen_writes() -> None:
    async def flood() -> None:
        table = Table()
        async with asyncio.TaskGroup() as group:
            for number in range(1_000):
                group.create_task(table.put(number))
                await asyncio.sleep(0.01)
        assert table.writes[-1][1] == set(range(1_000))
        assert len(table.writes) <= 12

    turned(flood())


def test_one_alone_is_written_at_once() -> None:
    async def one_after_the_other() -> None:
        table, loop = Table(), asyncio.get_running_loop()
        for number in range(5):
            began = loop.time()
            assert await table.put(number) - began < 0.1
            await asyncio.sleep(60)

    turned(one_after_the_other())


def test_nobody_waits_longer_than_the_longest_pause() -> None:
    async def flood() -> None:
        table, loop = Table(), asyncio.get_running_loop()
        waited: list[float] = []

        async def put(number: int) -> None:
            began = loop.time()
            waited.append(await table.put(number) - began)

        async with asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(put(number))
                await asyncio.sleep(0.03)
        assert max(waited) <= PAUSE_SECONDS[1] + 0.2

    turned(flood())


def test_a_refusal_comes_to_all_who_asked_together_and_to_nobody_after() -> None:
    async def refused() -> None:
        table = Table()
        await table.put(0)
        table.refused = 1
        together = [asyncio.create_task(table.put(number)) for number in range(1, 4)]
        await asyncio.wait(together)
        assert all(isinstance(each.exception(), ApiRefused) for each in together)
        await table.put(4)
        assert table.writes[-1][1] == {0, 1, 2, 3, 4}

    turned(refused())


def test_who_stops_waiting_does_not_end_it_for_the_others() -> None:
    async def one_goes() -> None:
        table = Table()
        first, second = (asyncio.create_task(table.put(number)) for number in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert table.writes[-1][1] == {0, 1}

    turned(one_goes())


def test_at_the_end_nothing_is_left_running() -> None:
    async def closed() -> None:
        table = Table()
        waiting = asyncio.create_task(table.put(0))
        await asyncio.sleep(0)
        await table.batches.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert table.writes == []

    turned(closed())


def test_a_pass_that_waits_for_a_table_leaves_its_place_to_others() -> None:
    async def many() -> None:
        table, places = Table(), PassPlaces(1)

        async def one_pass(number: int) -> None:
            await places.take()
            try:
                async with places.left():
                    await table.put(number)
            finally:
                places.give_back()

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(one_pass(number))
        # With places that are kept it would be dozens.
        assert len(table.writes) <= 3

    turned(many())
