"""Several items in one request: what goes together, when, and what a failure says of each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import Batch
from forebay_processor.delivery import batched_attempts
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.delivery.batched_attempts import ILL, BatchedAttempts
from forebay_processor.destinations.port import (
    Attempt,
    BatchPort,
    Delivered,
    Failed,
    Rejected,
    Result,
    Trouble,
)
from support.processor.attempts import attempt
from support.processor.queue_alone import QueueAlone
from support.timing.wait import eventually

SOON: Final = Batch(max_items=3, max_wait_seconds=0.01)
LATE: Final = Batch(max_items=3, max_wait_seconds=3600)
ILL_ITEM: Final = Failed("status 500")


class Together(BatchPort):
    """A destination that notes what comes together, and what it says of each item."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        self.says: dict[str, Result] = {}
        """Of items; a batch with one of them fails."""

        self.of_all: Result = Delivered()
        """What it says where it says nothing of an item."""

        self.of_batch: Result = ILL_ITEM
        """What it says of a batch with one of them."""

        self.noticed: Callable[[list[str]], None] = lambda _: None
        """Called with the items of each request."""

        self.is_free = asyncio.Event()
        self.is_free.set()
        self.under_way = 0

    @override
    async def deliver(self, attempt: Attempt) -> Result:
        return await self._answer([attempt.item.key])

    @override
    def encode(self, attempt: Attempt) -> bytes:
        if attempt.item.key == "no bytes":
            message = "a fault of ours"
            raise RuntimeError(message)
        return attempt.item.key.encode()

    @override
    async def deliver_batch(
        self,
        endpoint: EndpointName,
        tokens: Sequence[str],
        items: Sequence[bytes],
        traceparent: str = "",
    ) -> Result:
        assert len(set(tokens)) == len(tokens) == len(items)
        return await self._answer([each.decode() for each in items])

    async def _answer(self, keys: list[str]) -> Result:
        self.requests.append(keys)
        self.noticed(keys)
        self.under_way += 1
        await self.is_free.wait()
        self.under_way -= 1
        if "crash" in keys:
            message = "a fault of ours"
            raise RuntimeError(message)
        if len(keys) > 1 and any(key in self.says for key in keys):
            return self.of_batch
        return self.says.get(keys[0], self.of_all)

    @override
    def close(self) -> None:
        """Nothing to let go of."""


class Gathering:
    """Attempts at one destination, and what came of each."""

    def __init__(self, places: int = 8, settings: Batch = LATE) -> None:
        self.limiter = AttemptLimiter(places)
        """Of requests."""

        self.attempts = AttemptLimiter(1000)
        self.batches = BatchedAttempts(self.limiter, self.attempts.serve)
        self.attempts.take_part_in(self.batches)
        self.partition = QueueAlone().partitions[0]
        self.port = Together()
        self.settings = settings
        self.tasks: dict[str, asyncio.Task[Result]] = {}

    async def offer(self, *keys: str, size: int = 2) -> None:
        """Begin attempts of items, and let all run that can run at once."""
        self.batches.settings = self.settings
        for key in keys:
            made = attempt(key=key)
            made = replace(made, item=replace(made.item, data=msgspec.Raw(b"x" * size)))
            self.tasks[key] = asyncio.create_task(self._try(made, self.port))
        for _ in range(30):
            await asyncio.sleep(0)

    async def _try(self, made: Attempt, port: BatchPort) -> Result:
        while not self.attempts.try_take():
            free = asyncio.Event()
            self.attempts.call_when_free(free.set)
            await free.wait()
        try:
            return await self.batches.deliver(made, port, self.partition)
        finally:
            self.attempts.give_back()

    async def results(self) -> dict[str, Result]:
        """Wait for all attempts."""
        found = await asyncio.wait_for(asyncio.gather(*self.tasks.values()), 5)
        return dict(zip(self.tasks, found, strict=True))


@pytest.fixture
async def gathering() -> AsyncIterator[Gathering]:
    made = Gathering()
    yield made
    for task in made.tasks.values():
        task.cancel()


async def test_a_full_batch_goes_at_once_and_the_rest_waits(gathering: Gathering) -> None:
    await gathering.offer("a", "b", "c", "d")
    assert gathering.port.requests == [["a", "b", "c"]]
    assert [key for key, task in gathering.tasks.items() if task.done()] == ["a", "b", "c"]


async def test_what_has_waited_long_enough_goes_with_all_that_is_there(
    gathering: Gathering,
) -> None:
    gathering.settings = SOON
    await gathering.offer("a", "b")
    assert gathering.port.requests == []
    assert await gathering.results() == {"a": Delivered(), "b": Delivered()}
    assert gathering.port.requests == [["a", "b"]]


async def test_one_alone_goes_as_an_event_of_its_own(gathering: Gathering) -> None:
    gathering.settings = SOON
    gathering.port.says["a"] = Rejected("status 400")
    await gathering.offer("a")
    assert await gathering.results() == {"a": Rejected("status 400")}
    assert gathering.port.requests == [["a"]]


async def test_a_request_has_no_more_bytes_than_it_may() -> None:
    gathering = Gathering(settings=Batch(max_items=100, max_bytes=20, max_wait_seconds=0.01))
    keys = ["four", "five", "six and more than twenty bytes", "seven", "eight", "nine"]
    await gathering.offer(*keys)
    await gathering.results()
    assert sorted(key for request in gathering.port.requests for key in request) == sorted(keys)
    for request in gathering.port.requests:
        assert len(request) == 1 or len("[" + ",".join(request) + "]") <= 20
    assert len(gathering.port.requests) < len(keys)


async def test_no_more_requests_are_under_way_than_may_be() -> None:
    gathering = Gathering(places=2)
    gathering.port.is_free.clear()
    await gathering.offer(*(f"k{number}" for number in range(12)))
    assert gathering.port.under_way == 2
    gathering.port.is_free.set()
    assert set((await gathering.results()).values()) == {Delivered()}
    assert len(gathering.port.requests) == 4
    await eventually(lambda: not gathering.limiter.taken, saying="all requests to be over")
    assert gathering.attempts.taken == 0


async def test_what_waits_for_a_request_gathers_meanwhile() -> None:
    gathering = Gathering(places=1, settings=SOON)
    gathering.port.is_free.clear()
    await gathering.offer("a")
    await eventually(lambda: gathering.port.requests == [["a"]], saying="the first request")
    await gathering.offer("b", "c")
    gathering.port.is_free.set()
    await gathering.results()
    assert gathering.port.requests == [["a"], ["b", "c"]]


async def test_requests_begin_no_faster_than_the_rate() -> None:
    now = 0.0
    gathering = Gathering(places=8, settings=Batch(max_items=1, max_wait_seconds=3600))
    gathering.limiter.limit_rate(0.001, lambda: now)
    await gathering.offer("a", "b", "c")
    assert gathering.port.requests == [["a"]]
    for _ in range(2):
        now += 1001
        gathering.limiter.serve()
        await asyncio.sleep(0)
    await gathering.results()
    assert gathering.port.requests == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    "result",
    [
        Failed("ConnectionRefused", trouble=Trouble.DESTINATION),
        Failed("status 503", 7.0, Trouble.DESTINATION),
        Failed("status 401", trouble=Trouble.REFUSED),
    ],
)
async def test_what_speaks_of_the_destination_is_said_of_all_by_one_request(
    gathering: Gathering, result: Result
) -> None:
    gathering.port.of_all = result
    await gathering.offer("a", "b", "c")
    assert await gathering.results() == dict.fromkeys("abc", result)
    assert gathering.port.requests == [["a", "b", "c"]]


@pytest.mark.parametrize("result", [Rejected("status 422"), ILL_ITEM])
async def test_one_bad_item_holds_up_no_other(gathering: Gathering, result: Result) -> None:
    gathering.port.says["b"] = result
    await gathering.offer("a", "b", "c")
    assert await gathering.results() == {"a": Delivered(), "b": result, "c": Delivered()}
    assert gathering.port.requests == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_who_failed_alone_is_tried_alone_until_it_got_through(gathering: Gathering) -> None:
    gathering.port.says["b"] = ILL_ITEM
    await gathering.offer("a", "b", "c")
    await gathering.results()
    for _ in range(2):
        await gathering.offer("b")
        assert gathering.tasks["b"].result() == ILL_ITEM
        assert gathering.port.requests[-1] == ["b"]
    del gathering.port.says["b"]
    await gathering.offer("b")
    assert gathering.tasks["b"].result() == Delivered()
    await gathering.offer("b", "e", "f")
    assert gathering.port.requests[-1] == ["b", "e", "f"]


async def test_a_destination_that_takes_nothing_is_asked_a_few_times_only() -> None:
    gathering = Gathering(settings=Batch(max_items=50, max_wait_seconds=3600))
    gathering.port.of_all = ILL_ITEM
    keys = [f"k{number}" for number in range(50)]
    await gathering.offer(*keys)
    assert await gathering.results() == dict.fromkeys(keys, ILL_ITEM)
    assert [len(request) for request in gathering.port.requests] == [50, *[1] * ILL]


async def test_one_that_goes_down_meanwhile_is_asked_no_more(gathering: Gathering) -> None:
    gone = Failed("ConnectionRefused", trouble=Trouble.DESTINATION)
    gathering.port.says = {"a": gone}
    await gathering.offer("a", "b", "c")
    assert await gathering.results() == dict.fromkeys("abc", gone)
    assert gathering.port.requests == [["a", "b", "c"], ["a"]]


async def test_nothing_more_is_tried_alone_of_a_partition_that_is_lost(
    gathering: Gathering,
) -> None:
    gathering.port.says["b"] = ILL_ITEM
    gathering.port.noticed = lambda keys: gathering.partition.lose() if keys == ["a"] else None
    await gathering.offer("a", "b", "c")
    results = await gathering.results()
    assert gathering.port.requests == [["a", "b", "c"], ["a"]]
    assert results["a"] == Delivered()
    assert isinstance(results["b"], Failed)
    assert isinstance(results["c"], Failed)
    assert gathering.limiter.taken == 0


@pytest.mark.parametrize("answer", [ILL_ITEM, Rejected("status 413")])
async def test_what_cannot_be_tried_alone_in_time_waits_and_is_not_rejected(
    gathering: Gathering, answer: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EVENTS keeps it unacked until then; and the rejection may be another one's."""
    monkeypatch.setattr(batched_attempts, "ALONE_SECONDS", 0.02)
    gathering.limiter.limit_rate(0.001, lambda: 0.0)
    gathering.port.of_batch = answer
    gathering.port.says["b"] = Rejected("status 422")
    await gathering.offer("a", "b", "c")
    results = await gathering.results()
    assert gathering.port.requests == [["a", "b", "c"]]
    assert {type(each) for each in results.values()} == {Failed}
    assert gathering.limiter.taken == 0


@pytest.mark.parametrize("is_busy", [False, True])
async def test_who_comes_when_its_batch_has_gone_goes_with_the_next_request(
    is_busy: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    gathering = Gathering(places=1, settings=SOON)
    gathering.batches.settings = SOON
    assert gathering.attempts.try_take()
    assert gathering.limiter.taken == 1
    await eventually(lambda: not gathering.limiter.taken, saying="the batch to go without it")
    if is_busy:
        gathering.port.is_free.clear()
        await gathering.offer("before")
        await eventually(lambda: gathering.port.requests, saying="another request")
    port, partition = gathering.port, gathering.partition
    late = asyncio.create_task(gathering.batches.deliver(attempt(key="late"), port, partition))
    await asyncio.sleep(0)
    port.is_free.set()
    assert await asyncio.wait_for(late, 5) == Delivered()
    gathering.attempts.give_back()
    await gathering.results()
    assert port.requests == [["before"], ["late"]][not is_busy :]
    assert gathering.limiter.taken == 0


async def test_who_is_not_waited_for_any_more_is_left_out(gathering: Gathering) -> None:
    gathering.settings = LATE
    await gathering.offer("a", "b")
    gathering.tasks.pop("a").cancel()
    await gathering.offer("c")
    await gathering.results()
    assert gathering.port.requests == [["b", "c"]]


async def test_what_goes_to_the_settings_of_before_goes_apart(gathering: Gathering) -> None:
    before = gathering.port
    await gathering.offer("a")
    gathering.port = Together()
    await gathering.offer("b", "c")
    await eventually(lambda: before.requests == [["a"]], saying="the first one's request")
    gathering.settings = SOON
    await gathering.offer("d")
    await gathering.results()
    assert sorted(key for each in gathering.port.requests for key in each) == ["b", "c", "d"]


@pytest.mark.parametrize("fault", ["crash", "no bytes"])
async def test_a_fault_of_ours_costs_no_place_and_leaves_nobody_waiting(
    gathering: Gathering, fault: str
) -> None:
    gathering.settings = SOON
    await gathering.offer("a", fault, "c", "d")
    ended = await asyncio.wait_for(
        asyncio.gather(*gathering.tasks.values(), return_exceptions=True), 5
    )
    assert isinstance(ended[1], RuntimeError)
    assert ended[3] == Delivered()
    await eventually(lambda: not gathering.limiter.taken, saying="all requests to be over")
    assert gathering.attempts.taken == 0


@given(
    st.lists(st.sampled_from(["good", "rejected", "ill"]), min_size=1, max_size=12),
    st.integers(1, 3),
    st.integers(2, 5),
)
def test_each_item_gets_an_answer_of_its_own(kinds: list[str], places: int, items: int) -> None:
    meant: dict[str, Result] = {
        "good": Delivered(), "rejected": Rejected("status 400"), "ill": ILL_ITEM,
    }  # fmt: skip

    async def run() -> None:
        gathering = Gathering(places, Batch(max_items=items, max_wait_seconds=0.001))
        keys = {f"{kind} {number}": meant[kind] for number, kind in enumerate(kinds)}
        bad = {key: result for key, result in keys.items() if result != Delivered()}
        gathering.port.says = bad
        await gathering.offer(*keys)
        results = await gathering.results()
        alone = {request[0] for request in gathering.port.requests if len(request) == 1}
        for key, result in results.items():
            # A good one may have to wait for another time behind items that all failed.
            assert result == keys[key] or (result == ILL_ITEM and key not in alone)
        if kinds.count("ill") < ILL:
            assert results == keys
        await eventually(lambda: not gathering.limiter.taken, saying="all requests to be over")
        assert gathering.attempts.taken == 0

    asyncio.run(run())


async def test_what_comes_late_of_a_partition_that_is_given_back_waits_for_nobody() -> None:
    gathering = Gathering()
    await gathering.partition.drain(0)
    await gathering.offer("late")
    await eventually(lambda: gathering.port.requests == [["late"]], saying="a request")
    assert await gathering.tasks["late"] == Delivered()
