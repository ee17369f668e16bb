"""When NATS cannot store, a webhook gets an honest 503 in time, and service comes back."""

import asyncio
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.receiver.raw_http import RawResponse
from support.receiver.receiver_harness import RAW, ReceiverHarness, path_of
from support.timing.starvation import Stopwatch
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

BUDGET = 0.4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shaken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver whose NATS the tests of this module take away."""
    folder = tmp_path_factory.mktemp("shaken")
    settings = {
        "FOREBAY_RECEIVER_BUDGET_SECONDS": str(BUDGET),
        "FOREBAY_RECEIVER_MAX_IN_FLIGHT": "20",
        "FOREBAY_RECEIVER_MAX_IN_FLIGHT_BYTES": "240000",
        "FOREBAY_RECEIVER_MAX_BODY_BYTES": "100000",
    }
    async with ReceiverHarness(folder, **settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def receiver(shaken: ReceiverHarness) -> AsyncIterator[ReceiverHarness]:
    """Give that receiver in good order, and bring everything back into order afterwards."""
    yield shaken
    server = shaken.stack.nats_server
    if not server.running:
        await server.start()
    server.thaw()
    await shaken.stack.provision()
    await eventually(lambda: _stores(shaken), saying="webhooks to be stored again")


async def _stores(receiver: ReceiverHarness) -> bool:
    return (await receiver.post(receiver.new_body())).status == 200


async def delete_raw(receiver: ReceiverHarness) -> None:
    """Take the RAW stream away."""
    async with receiver.stack.nats_server.client() as client:
        await client.jetstream().delete_stream(RAW)


def assert_unavailable(answer: RawResponse) -> None:
    assert (answer.status, answer.body) == (503, b"")
    assert 1 <= int(answer.headers["retry-after"]) <= 30


@dataclasses.dataclass(frozen=True, slots=True)
class Took:
    """How long an answer took, in seconds: `busy` is without what the machine had no time for."""

    seconds: float
    busy: float


async def timed(
    receiver: ReceiverHarness, body: bytes, path: str = path_of("meta")
) -> tuple[RawResponse, Took]:
    """Send a webhook; return the answer and how long it took."""
    watch = Stopwatch(receiver.part)
    answer = await receiver.post(body, path=path)
    return answer, Took(watch.seconds, watch.busy_seconds)


@pytest.mark.parametrize("prefix", [b"", b"no JSON: "], ids=["a webhook", "an unreadable body"])
async def test_a_full_stream_is_503_and_stores_nothing(
    receiver: ReceiverHarness, prefix: bytes
) -> None:
    await receiver.limit_raw((await receiver.state()).bytes + 100)
    before = await receiver.refused("stream_full")
    async with receiver.nothing_stored():
        assert_unavailable(await receiver.post(prefix + receiver.new_body()))
    assert await receiver.refused("stream_full") == before + 1


async def test_there_is_room_again_after_a_full_stream(receiver: ReceiverHarness) -> None:
    body = receiver.new_body()
    await receiver.limit_raw((await receiver.state()).bytes + 100)
    assert_unavailable(await receiver.post(body))
    before = await receiver.stored()
    await receiver.limit_raw(64 * 1024 * 1024)

    async def is_taken() -> bool:
        return (await receiver.post(body)).status == 200

    # It may know the stream as almost full; then the next look, every 0.5 s, finds the room.
    await eventually(is_taken, within=2, saying="the webhook to be taken")
    assert await receiver.stored() == before + 1


async def test_a_missing_stream_is_503_at_once(receiver: ReceiverHarness) -> None:
    await delete_raw(receiver)
    before = await receiver.refused("no_stream")
    answer, took = await timed(receiver, receiver.new_body())
    assert_unavailable(answer)
    assert took.busy < BUDGET
    assert await receiver.refused("no_stream") == before + 1


async def test_many_refusals_for_a_missing_stream_do_not_outlast_it(
    receiver: ReceiverHarness,
) -> None:
    await delete_raw(receiver)
    for _ in range(10):
        assert_unavailable(await receiver.post(receiver.new_body()))
    await receiver.stack.provision()
    assert (await receiver.post(receiver.new_body())).status == 200


async def test_a_stopped_server_is_503_at_once(receiver: ReceiverHarness) -> None:
    await receiver.stack.nats_server.stop()
    await eventually(lambda: _is_away(receiver), saying="the receiver to notice")
    before = await receiver.refused("nats_away")
    answer, took = await timed(receiver, receiver.new_body())
    assert_unavailable(answer)
    assert took.busy < BUDGET
    assert await receiver.refused("nats_away") == before + 1


async def _is_away(receiver: ReceiverHarness) -> bool:
    return await receiver.part.metric("forebay_receiver_nats_connected") == 0


async def test_a_receiver_without_its_server_lives_and_stays_ready_for_a_while(
    receiver: ReceiverHarness,
) -> None:
    await receiver.stack.nats_server.kill()
    await eventually(lambda: _is_away(receiver), saying="the receiver to notice")
    assert (await receiver.part.admin("/livez")).status == 200
    assert (await receiver.part.admin("/readyz")).status == 200


async def test_a_killed_server_fails_what_is_in_flight_at_once(receiver: ReceiverHarness) -> None:
    receiver.stack.nats_server.freeze()
    sending = asyncio.create_task(timed(receiver, receiver.new_body()))
    await eventually(lambda: _in_flight(receiver, 1), saying="the webhook to be in flight")
    await receiver.stack.nats_server.kill()
    answer, _ = await sending
    assert_unavailable(answer)


async def _in_flight(receiver: ReceiverHarness, count: int) -> bool:
    load: dict[str, int] = json.loads((await receiver.part.admin("/load")).body)
    return load["in_flight"] == count


async def test_service_comes_back_with_the_server(receiver: ReceiverHarness) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    await receiver.stack.nats_server.kill()
    assert_unavailable(await receiver.post(body))
    await receiver.stack.nats_server.start()

    async def is_taken() -> bool:
        return (await receiver.post(body)).status == 200

    await eventually(is_taken, within=3, saying="the webhook to be taken")
    assert await receiver.stored() == before + 1


async def test_a_frozen_server_is_503_within_the_budget(receiver: ReceiverHarness) -> None:
    before = await receiver.refused("nats_silent")
    receiver.stack.nats_server.freeze()
    answer, took = await timed(receiver, receiver.new_body())
    assert_unavailable(answer)
    assert took.seconds > BUDGET - 0.05
    assert took.busy < BUDGET + 0.1
    assert await receiver.refused("nats_silent") == before + 1


async def test_a_server_that_stays_silent_is_503_at_once(receiver: ReceiverHarness) -> None:
    receiver.stack.nats_server.freeze()
    silent = await asyncio.gather(*(receiver.post(receiver.new_body()) for _ in range(10)))
    for answer in silent:
        assert_unavailable(answer)
    answer, took = await timed(receiver, receiver.new_body())
    assert_unavailable(answer)
    assert took.busy < BUDGET / 2


async def test_what_was_stored_too_late_is_counted_and_its_repeat_is_no_second_one(
    receiver: ReceiverHarness,
) -> None:
    async def late() -> float:
        return await receiver.part.metric("forebay_receiver_late_stored_total")

    body, counted, before = receiver.new_body(), await late(), await receiver.stored()
    receiver.stack.nats_server.freeze()
    assert_unavailable(await receiver.post(body))
    receiver.stack.nats_server.thaw()

    async def is_counted() -> bool:
        return await late() == counted + 1

    await eventually(is_counted, saying="the late webhook to be counted")
    assert (await receiver.post(body)).status == 200
    assert await receiver.stored() == before + 1


async def test_an_endpoint_at_its_limit_is_503_and_its_neighbour_is_served(
    receiver: ReceiverHarness,
) -> None:
    before = await receiver.refused("endpoint_overloaded")
    receiver.stack.nats_server.freeze()
    first = asyncio.create_task(receiver.post(receiver.new_body(), path=path_of("narrow")))
    await eventually(lambda: _in_flight(receiver, 1), saying="the first to be in flight")
    second, took = await timed(receiver, receiver.new_body(), path_of("narrow"))
    neighbour = asyncio.create_task(receiver.post(receiver.new_body()))
    await eventually(lambda: _in_flight(receiver, 2), saying="the neighbour to be in flight")
    receiver.stack.nats_server.thaw()
    assert_unavailable(second)
    assert took.busy < BUDGET / 2
    assert ((await first).status, (await neighbour).status) == (200, 200)
    assert await receiver.refused("endpoint_overloaded") == before + 1


@pytest.mark.parametrize(("count", "size"), [(20, 100), (2, 90_000)], ids=["requests", "bytes"])
async def test_a_receiver_at_its_limit_says_503_at_once(
    receiver: ReceiverHarness, count: int, size: int
) -> None:
    before = await receiver.refused("overloaded")
    receiver.stack.nats_server.freeze()
    bodies = [receiver.new_body().ljust(size) for _ in range(count + 1)]
    # Of two endpoints: one alone does not get all of the process.
    paths = itertools.cycle([path_of("meta"), path_of("rotated")])
    taken = [asyncio.create_task(receiver.post(body, path=next(paths))) for body in bodies[:-1]]
    await eventually(lambda: _in_flight(receiver, count), saying="the first to be in flight")
    refused, took = await timed(receiver, bodies[-1])
    receiver.stack.nats_server.thaw()
    assert_unavailable(refused)
    assert took.busy < BUDGET / 2
    assert {(await each).status for each in taken} == {200}
    assert await receiver.refused("overloaded") == before + 1
    assert (await receiver.post(bodies[-1])).status == 200


async def test_bytes_in_flight_are_given_back(receiver: ReceiverHarness) -> None:
    receiver.stack.nats_server.freeze()
    assert_unavailable(await receiver.post(receiver.new_body()))
    assert json.loads((await receiver.part.admin("/load")).body) == {
        "in_flight": 0,
        "in_flight_bytes": 0,
    }
