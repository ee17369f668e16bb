"""A stream that is almost full, or refuses: 503 at once and without a publish, and back in time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from forebay_receiver.adapters.store import PROBE_SECONDS
from support.nats.nats_server import settled
from support.receiver.receiver_harness import RAW, ReceiverHarness, path_of
from support.timing.starvation import Stopwatch
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

BACK_SECONDS = 2.0
"""What is promised: from NATS being able to store to webhooks being stored."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver of this module, whose stream the tests fill and take away."""
    async with ReceiverHarness(tmp_path_factory.mktemp("full")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def receiver(served: ReceiverHarness) -> AsyncIterator[ReceiverHarness]:
    """Give that receiver, and bring its stream into order afterwards."""
    yield served
    await served.stack.provision()
    await eventually(lambda: stores(served), saying="webhooks to be stored again")


async def stores(receiver: ReceiverHarness) -> bool:
    return (await receiver.post(receiver.new_body())).status == 200


async def fill(receiver: ReceiverHarness) -> int:
    """Store 300 KB; returns the limit that leaves room for little more."""
    for _ in range(3):
        answer = await receiver.post(receiver.new_body().ljust(100_000), path=path_of("meta"))
        assert answer.status == 200
    # Room for two or three more small webhooks, and less than 2 % of all.
    return (await receiver.state()).bytes + 5_000


async def leave_little_room(receiver: ReceiverHarness) -> int:
    """Store 300 KB, leave room for little more, and wait until the receiver refuses for it.

    Returns:
        How large the stream may be now, in bytes.
    """
    limit = await fill(receiver)
    await receiver.limit_raw(limit)
    await eventually(lambda: refuses(receiver), within=4, saying="the receiver to notice")
    return limit


async def refuses(receiver: ReceiverHarness) -> bool:
    return (await receiver.post(receiver.new_body())).status == 503


async def test_an_almost_full_stream_is_not_filled_up(receiver: ReceiverHarness) -> None:
    limit = await leave_little_room(receiver)
    before = await receiver.refused("stream_full")
    async with receiver.nothing_stored():
        answers = await asyncio.gather(*(receiver.post(receiver.new_body()) for _ in range(20)))
    assert {answer.status for answer in answers} == {503}
    assert {int(answer.headers["retry-after"]) for answer in answers} <= set(range(1, 31))
    assert len({answer.headers["retry-after"] for answer in answers}) > 1
    assert await receiver.refused("stream_full") == before + 20
    assert (await receiver.state()).bytes < limit
    assert (await receiver.part.admin("/readyz")).status == 200


async def test_service_is_back_soon_after_there_is_room_again(receiver: ReceiverHarness) -> None:
    await leave_little_room(receiver)
    await receiver.limit_raw(64 * 1024 * 1024)
    watch = Stopwatch(receiver.part)
    await eventually(lambda: stores(receiver), saying="webhooks to be stored again")
    assert watch.busy_seconds < BACK_SECONDS


async def pause_after_finding_it_full(receiver: ReceiverHarness) -> float:
    """Fill the stream and post nothing, so that the probe finds it; return its next pause in s."""
    loop = asyncio.get_running_loop()
    looks: list[float] = []

    async def note(_: object) -> None:
        looks.append(loop.time())

    limit = await fill(receiver)
    known = len(receiver.part.logged("store_state"))
    async with receiver.stack.nats_server.client() as client:
        await client.subscribe(f"$JS.API.STREAM.INFO.{RAW}", cb=note)
        await settled(client)
        # Asks for the stream itself, before it sets the limit.
        await receiver.limit_raw(limit)
        await eventually(
            lambda: len(receiver.part.logged("store_state")) > known,
            saying="the probe to find the stream full",
        )
        await settled(client)
        found = len(looks)
        await eventually(lambda: len(looks) > found, saying="the next look")
    assert receiver.part.logged("store_state")[known]["trouble"] == "stream_full"
    return looks[found] - looks[found - 1]


async def test_what_found_it_full_looks_again_sooner_than_in_peace(
    receiver: ReceiverHarness,
) -> None:
    # A pause in peace is never shorter than 2 s, however busy the machine is, while one in trouble,
    # of 0.5 s, can be made longer by others. So one shorter pause of several proves it.
    for _ in range(5):
        if await pause_after_finding_it_full(receiver) < PROBE_SECONDS:
            return
        await receiver.stack.provision()
        await eventually(lambda: stores(receiver), saying="webhooks to be stored again")
    pytest.fail("each look after the one that found the stream full came as late as in peace")


async def test_a_flood_onto_a_missing_stream_is_not_passed_on_to_nats(
    receiver: ReceiverHarness,
) -> None:
    async with receiver.stack.nats_server.client() as client:
        await client.jetstream().delete_stream(RAW)
        seen = 0

        async def count(_: object) -> None:
            nonlocal seen
            seen += 1

        # Whoever listens is an answer to NATS that somebody is there, but only to what comes now.
        answers = await asyncio.gather(*(receiver.post(receiver.new_body()) for _ in range(20)))
        assert {answer.status for answer in answers} == {503}
        await client.subscribe("forebay.raw.0.*.live.>", cb=count)
        await settled(client)
        answers = await asyncio.gather(*(receiver.post(receiver.new_body()) for _ in range(20)))
        await settled(client)
    assert {answer.status for answer in answers} == {503}
    assert seen < 10


async def test_the_first_webhook_after_the_stream_is_back_is_stored(
    receiver: ReceiverHarness,
) -> None:
    async with receiver.stack.nats_server.client() as client:
        await client.jetstream().delete_stream(RAW)
    answers = await asyncio.gather(*(receiver.post(receiver.new_body()) for _ in range(20)))
    assert {answer.status for answer in answers} == {503}
    await receiver.stack.provision()
    assert await stores(receiver)
