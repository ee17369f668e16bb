"""The queue: repeats are merged, live changes go first, failures wait longer each time."""

import asyncio
import itertools
import random

import pytest

from forebay_operator.services.queue import BACKOFF_SECONDS, WorkQueue


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue(random.Random(7))


async def test_repeats_are_one(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_live_changes_go_before_the_flood(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "c"):
        queue.add(key, live=False)
    queue.add("new")
    queue.add("c")
    assert [await queue.get() for _ in range(4)] == ["new", "c", "a", "b"]


async def test_key_is_with_one_worker_and_comes_again_afterwards(queue: WorkQueue[str]) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_key_that_was_not_added_meanwhile_does_not_come_again(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.done(await queue.get())
    assert len(queue) == 0


async def test_worker_waits_for_a_key(queue: WorkQueue[str]) -> None:
    taking = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("late")
    assert await taking == "late"


async def test_several_workers_get_each_key_once(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in ("a", "b", "c"):
        queue.add(key)
    assert sorted(await asyncio.gather(*workers)) == ["a", "b", "c"]


async def test_later_key_ripens(queue: WorkQueue[str]) -> None:
    queue.add_later("later", 0.02)
    queue.add("now")
    assert [await queue.get(), await queue.get()] == ["now", "later"]


async def test_earlier_of_two_times_counts(queue: WorkQueue[str]) -> None:
    queue.add_later("a", 3600)
    queue.add_later("a", 0.01)
    queue.add_later("a", 3600)
    async with asyncio.timeout(1):
        assert await queue.get() == "a"


async def test_key_that_comes_now_does_not_come_later_too(queue: WorkQueue[str]) -> None:
    queue.add_later("a", 0.01)
    queue.add("a")
    queue.done(await queue.get())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await queue.get()


async def test_failures_wait_longer_and_longer_and_success_forgets(queue: WorkQueue[str]) -> None:
    shortest, longest = BACKOFF_SECONDS
    waits = [queue.failed("a") for _ in range(12)]
    assert 0.8 * shortest <= waits[0] <= 1.2 * shortest
    assert all(later > earlier for earlier, later in itertools.pairwise(waits[:7]))
    assert max(waits) <= 1.2 * longest
    queue.succeeded("a")
    assert queue.failed("a") <= 1.2 * shortest
