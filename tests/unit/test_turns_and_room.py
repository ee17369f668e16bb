"""Who takes a large body apart lets others run, and few bodies are taken apart at a time."""

import asyncio
import contextlib

from forebay_processor.splitting.large_body_scheduler import Room, Turns


async def test_a_turn_that_is_over_lets_others_run() -> None:
    ran: list[str] = []
    asyncio.get_running_loop().call_soon(ran.append, "other")
    await Turns(60).breathe()
    assert ran == []
    await Turns(0).breathe()
    assert ran == ["other"]


async def test_room_goes_to_who_came_first() -> None:
    room, order = Room(10), []

    async def take(name: str, size: int, until: asyncio.Event) -> None:
        async with room.of(size):
            order.append(name)
            await until.wait()

    first, rest = asyncio.Event(), asyncio.Event()
    rest.set()
    tasks = [
        asyncio.create_task(take(name, size, until))
        for name, size, until in (("a", 6, first), ("b", 7, rest), ("c", 1, rest))
    ]
    for _ in range(3):
        await asyncio.sleep(0)
    assert order == ["a"]
    first.set()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]


async def test_one_that_is_larger_than_all_the_room_gets_all_of_it() -> None:
    async with asyncio.timeout(5), Room(10).of(1000):
        pass


async def test_who_gives_up_waiting_leaves_its_room_to_others() -> None:
    room, release = Room(10), asyncio.Event()

    async def take(size: int) -> None:
        async with room.of(size):
            await release.wait()

    holder, waiting = asyncio.create_task(take(10)), asyncio.create_task(take(10))
    await asyncio.sleep(0)
    last = asyncio.create_task(take(5))
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    release.set()
    async with asyncio.timeout(5):
        await asyncio.gather(holder, last)
        async with room.of(10):
            pass
