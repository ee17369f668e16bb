"""Three processors share a shard while they come and go, are killed and are stopped.

Every item arrives; twice only where it was in flight at a fault; first arrivals in the order of
their conversation. What happens when comes from a seed: `FAULT_SEEDS` says how many there are.
"""

import asyncio
import contextlib
import math
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Final, Literal, NamedTuple

import pytest
from nats.js.errors import NotFoundError

from forebay_simulator import Plan, Result, simulate
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import endpoint, http_destination, route
from support.processor.processor_harness import RAW
from support.processor.shares import ALL, processors, shares, wait_shared
from support.programs.processes import Part
from support.programs.stack import Stack
from support.programs.under_load import IN_FLIGHT, assert_in_order, tokens, wait_all_done
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(120)

SEEDS: Final = range(int(os.environ.get("FAULT_SEEDS", "3")))

ENDPOINTS: Final = ("demo/one", "demo/two", "demo/three")
"""Of three partitions of RAW; their conversations are in all partitions of EVENTS."""

ITEMS: Final = 2_000
PEOPLE: Final = 50
BATCH: Final = 5
SECONDS: Final = 8.0
PROCESSORS: Final = 3
FAULTS: Final = 3

AROUND_SECONDS: Final = 3.0
"""What arrived so long before or after a fault counts as in flight at it: an attempt takes 20 ms,
and its ack may wait for a processor that gets no share of two busy cores."""

How = Literal["killed", "killed for long", "stopped", "stopped for long"]


class Fault(NamedTuple):
    """One fault: when it began and when the process went on, both on the sink's clock."""

    how: How
    began: float
    ended: float


@contextlib.asynccontextmanager
async def traffic(receiver: Part, seed: int) -> AsyncIterator[asyncio.Task[list[Result]]]:
    """Let the simulator play all endpoints beside the block, which awaits the task."""
    plans = [
        Plan(
            url=receiver.url(f"/v1/webhooks/{name}"),
            rate=ITEMS / BATCH / SECONDS / len(ENDPOINTS),
            duration=SECONDS,
            secret=APP_SECRET,
            batch=BATCH,
            people=math.ceil(PEOPLE / len(ENDPOINTS)),
            duplicates=0.1,
            retry_for=30,
            seed=seed * len(ENDPOINTS) + number,
        )
        for number, name in enumerate(ENDPOINTS)
    ]

    async def play() -> list[Result]:
        return await asyncio.gather(*map(simulate, plans))

    async with asyncio.TaskGroup() as group:
        yield group.create_task(play())


async def repeat_late(stack: Stack, random: Random, count: int) -> None:
    """Store webhooks once more, in any order, as providers do after hours.

    The duplicate window of RAW is over then: their items meet their claims.
    """
    async with stack.nats_server.client() as client:
        context = client.jetstream()
        last = (await context.stream_info(RAW)).state.last_seq
        for _ in range(count):
            with contextlib.suppress(NotFoundError):
                found = await context.get_msg(RAW, random.randint(1, last))
                headers = {
                    name: value
                    for name, value in (found.headers or {}).items()
                    if not name.startswith("Nats-")
                }
                await context.publish(str(found.subject), found.data or b"", headers=headers)


def serve(stack: Stack) -> None:
    """Serve all endpoints, each delivered to a path of its own."""
    stack.tables.write_routes(*(route(name) for name in ENDPOINTS))
    stack.tables.write_endpoints(
        *(endpoint(http_destination(stack.sink.url(f"/{name}")), name=name) for name in ENDPOINTS)
    )
    stack.sink.delay_seconds = 0.02


async def arrived(stack: Stack, count: int, or_else: Callable[[], bool] = lambda: False) -> None:
    await eventually(
        lambda: len(stack.sink.keys) >= count or or_else(),
        within=30,
        saying=f"{count} items to arrive",
    )


async def do(
    how: How,
    stack: Stack,
    victim: Part,
    others: list[Part],
    playing: asyncio.Task[list[Result]],
) -> Fault:
    """Bring a fault about, and let the process go on."""
    began = time.time()
    if how.startswith("killed"):
        await victim.kill()
    else:
        victim.freeze()
    if how.endswith("long"):
        # The others have everything: what the victim believes is wrong when it goes on.
        await eventually(lambda: have_all(others), within=20, saying="the others to take over")
    else:
        # After two long ones all may have arrived already.
        await arrived(stack, len(stack.sink.keys) + 20, or_else=playing.done)
    if how.startswith("killed"):
        await victim.start(until_ready=False)
    else:
        victim.thaw()
    return Fault(how, began, time.time())


async def have_all(parts: list[Part]) -> bool:
    return frozenset().union(*await shares(parts)) == ALL


def in_flight_at(fault: Fault, at: float) -> bool:
    """Say whether an arrival was around the beginning or the end of a fault."""
    return any(abs(at - moment) <= AROUND_SECONDS for moment in (fault.began, fault.ended))


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_item_arrives_in_order_whoever_is_killed_or_stopped(
    stack: Stack, seed: int
) -> None:
    random = Random(seed)  # a seed is what it is for
    serve(stack)
    receiver, parts = await stack.receiver(), await processors(stack, PROCESSORS)
    faults: list[Fault] = []
    async with traffic(receiver, seed) as playing:
        for number in range(FAULTS):
            await arrived(stack, random.randint(100, 500) + number * 400)
            # Some attempts fail, so that RETRY moves along.
            stack.sink.answer_next(*[503] * random.randint(0, 20))
            await repeat_late(stack, random, 20)
            victim = random.choice(parts)
            how: How = random.choice(("killed", "killed for long", "stopped", "stopped for long"))
            others = [part for part in parts if part is not victim]
            faults.append(await do(how, stack, victim, others, playing))
        results = await playing
    for result in results:
        assert result.lost == 0
        await wait_all_done(stack, result)
    wanted = set[str]().union(*map(tokens, results))
    assert stack.sink.keys == wanted
    assert len(wanted) >= ITEMS * 0.9
    arrivals: dict[str, list[float]] = defaultdict(list)
    for arrival in stack.sink.accepted:
        arrivals[arrival.key].append(arrival.at)
    for key in stack.sink.repeats:
        assert any(in_flight_at(fault, at) for fault in faults for at in arrivals[key])
    places = math.ceil(IN_FLIGHT / PROCESSORS) * len(ENDPOINTS)
    assert stack.sink.repeats.total() <= places * FAULTS
    await assert_in_order(stack)


async def test_nothing_is_repeated_while_processors_join_and_leave(stack: Stack) -> None:
    serve(stack)
    receiver, parts = await stack.receiver(), await processors(stack, 1)
    more = [stack.part("processor") for _ in range(2)]
    async with traffic(receiver, seed=99) as playing:
        await arrived(stack, 200)
        for part in more:
            await part.start()
            parts.append(part)
            await wait_shared(parts)
        # A rolling upgrade, and back to one.
        assert await parts[0].terminate() == 0
        await parts[0].start()
        await wait_shared(parts)
        assert [await part.terminate() for part in more] == [0, 0]
        await wait_shared(parts[:1])
        results = await playing
    for result in results:
        assert result.lost == 0
        await wait_all_done(stack, result)
    assert stack.sink.keys == set[str]().union(*map(tokens, results))
    assert not stack.sink.repeats
    await assert_in_order(stack)
