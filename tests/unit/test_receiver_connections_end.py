"""When a connection ends: at its age, behind an answer, and never instead of one."""

import asyncio

import pytest

from forebay.core.tables import Authentication, HeaderCheck, ReceiverRoute
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay_receiver.handlers.limits import SLICE_BYTES
from forebay_receiver.services.large_body_scheduler import LARGE_BODY
from forebay_receiver.settings import ReceiverSettings
from support.receiver.raw_http import request_bytes
from support.receiver.receiver_in_process import InProcessReceiver, statuses_in
from support.timing.clocks import LoopClock
from support.timing.wait import eventually

PATH = "/v1/webhooks/demo/d360"
ROUTE = ReceiverRoute(
    namespace="demo",
    name="d360",
    provider="360dialog",
    authentication=Authentication(headers=(HeaderCheck(name="authorization", values=("it",)),)),
)


def post(body: bytes) -> bytes:
    return request_bytes("POST", PATH, headers={"Authorization": "it"}, body=body)


async def passes(seconds: float) -> None:
    """Wait until so much time is over, and timers of that time have fired."""
    clock = asyncio.get_running_loop().time
    over = clock() + seconds
    await eventually(lambda: clock() > over, saying=f"{seconds} s")


async def test_the_answer_after_its_age_ends_a_connection_that_is_never_idle() -> None:
    receiver = InProcessReceiver(ROUTE, settings=ReceiverSettings(max_connection_seconds=0.2))
    clock = asyncio.get_running_loop().time
    young_until = clock() + 0.2
    protocol, transport = receiver.connect()

    def ends_with_a_webhook() -> bool:
        protocol.data_received(post(b"A"))
        return transport.has_ended

    await eventually(ends_with_a_webhook, saying="the connection to end")
    assert clock() > young_until
    # Each webhook is stored and gets its 200, the last one too: what comes next goes elsewhere.
    *before, last = transport.written.lower().split(b"http/1.1 200")[1:]
    assert statuses_in(bytes(transport.written)) == [200] * len(receiver.store.bodies)
    assert len(before) > 1
    assert [each for each in before if b"connection: close" in each] == []
    assert b"connection: close" in last


async def test_a_young_connection_is_kept() -> None:
    receiver = InProcessReceiver(ROUTE)
    protocol, transport = receiver.connect()
    for _ in range(3):
        protocol.data_received(post(b"A"))
    assert statuses_in(bytes(transport.written)) == [200] * 3
    assert b"close" not in transport.written.lower()
    assert not transport.has_ended


@pytest.mark.parametrize("cuts", [(-1,), (40,), (40, -1)], ids=["body", "head", "three"])
async def test_a_webhook_that_came_in_pieces_is_answered_though_its_store_takes_long(
    cuts: tuple[int, ...],
) -> None:
    settings = ReceiverSettings(body_seconds=0.1, budget_seconds=10)
    receiver = InProcessReceiver(ROUTE, settings=settings)
    receiver.store.answers_on_request = True
    protocol, transport = receiver.connect()
    whole, start = post(b"{}"), 0
    for cut in (*cuts, None):
        end = None if cut is None else cut % len(whole)
        protocol.data_received(whole[start:end])
        start = end or 0
    # It was whole in time: from now on it is the store that it waits for.
    await passes(0.3)
    receiver.store.answer_next(StoreUnavailable("NATS gave no answer in time"))
    assert statuses_in(bytes(transport.written)) == [503]
    assert b"retry-after" in transport.written.lower()
    protocol.connection_lost(None)


async def test_half_a_webhook_is_late_and_says_so() -> None:
    settings = ReceiverSettings(body_seconds=0.1, budget_seconds=10)
    receiver = InProcessReceiver(ROUTE, settings=settings)
    protocol, transport = receiver.connect()
    protocol.data_received(post(b"{}")[:-1])
    await eventually(lambda: transport.has_ended, saying="the connection to end")
    assert statuses_in(bytes(transport.written)) == [408]
    protocol.connection_lost(None)


async def test_who_never_begins_is_cut_off_without_an_answer() -> None:
    receiver = InProcessReceiver(ROUTE, settings=ReceiverSettings(idle_seconds=0.1))
    protocol, transport = receiver.connect()
    await eventually(transport.is_closing, saying="the connection to be cut off")
    assert not transport.written
    protocol.connection_lost(None)


async def test_who_asks_in_http_1_0_for_the_connection_to_be_kept_sees_it_closed() -> None:
    receiver = InProcessReceiver(ROUTE)
    protocol, transport = receiver.connect()
    request = request_bytes(
        "POST", PATH, headers={"Authorization": "it", "Connection": "keep-alive"}, body=b"{}"
    )
    protocol.data_received(request.replace(b"HTTP/1.1", b"HTTP/1.0"))
    # Such a client takes an answer that does not agree to it for one that ends with the connection.
    assert statuses_in(bytes(transport.written)) == [200]
    assert b"connection: close" in transport.written.lower()
    assert transport.has_ended
    protocol.connection_lost(None)


async def test_while_it_leaves_each_answer_ends_its_connection() -> None:
    receiver = InProcessReceiver(ROUTE)
    protocol, transport = receiver.connect()
    protocol.data_received(post(b"A"))
    assert not transport.has_ended
    receiver.rules.is_draining = True
    protocol.data_received(post(b"B"))
    assert statuses_in(bytes(transport.written)) == [200, 200]
    assert transport.written.lower().count(b"connection: close") == 1
    assert transport.has_ended


async def test_who_does_not_read_its_answers_is_not_read_until_it_does() -> None:
    receiver = InProcessReceiver(ROUTE)
    protocol, transport = receiver.connect()
    protocol.pause_writing()
    assert transport.is_paused
    protocol.resume_writing()
    assert not transport.is_paused
    protocol.connection_lost(None)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    return LoopClock(monkeypatch)


async def test_a_connection_that_is_idle_after_its_answer_is_cut_off_at_its_time(
    clock: LoopClock,
) -> None:
    receiver = InProcessReceiver(ROUTE, settings=ReceiverSettings(idle_seconds=300))
    protocol, transport = receiver.connect()
    protocol.data_received(post(b"A"))
    assert statuses_in(bytes(transport.written)) == [200]
    # In two steps: the timer of the first byte is due in between, and must not end it.
    clock.ahead += 200
    await passes(0.05)
    assert not transport.is_closing()
    clock.ahead += 200
    await eventually(transport.is_closing, within=2, saying="the connection to be cut off")
    assert statuses_in(bytes(transport.written)) == [200]
    protocol.connection_lost(None)


# What a webhook may take counts from its first byte


async def test_the_budget_of_a_store_began_with_the_first_byte(clock: LoopClock) -> None:
    settings = ReceiverSettings(body_seconds=5, budget_seconds=5)
    receiver = InProcessReceiver(ROUTE, settings=settings)
    receiver.store.answers_on_request = True
    protocol, transport = receiver.connect()
    before = asyncio.get_running_loop().time()
    protocol.data_received(post(b"{}")[:-1])
    clock.ahead += 3
    protocol.data_received(post(b"{}")[-1:])
    # 2 s are left of it, and not 5.
    assert receiver.store.unanswered[0].deadline < before + 5 + 1
    receiver.store.answer_next()
    assert statuses_in(bytes(transport.written)) == [200]
    protocol.connection_lost(None)


async def test_a_large_body_is_not_stored_when_its_budget_is_over(clock: LoopClock) -> None:
    settings = ReceiverSettings(body_seconds=5, budget_seconds=5)
    receiver = InProcessReceiver(ROUTE, settings=settings)
    protocol, transport = receiver.connect()
    whole = post(b"x" * (2 * LARGE_BODY))
    for start in range(0, len(whole) - 1, SLICE_BYTES):
        protocol.data_received(whole[start : min(start + SLICE_BYTES, len(whole) - 1)])
        await asyncio.sleep(0)
    protocol.data_received(whole[-1:])
    # It is whole, and worked through in later turns of the loop; those come late.
    clock.ahead += 6
    await eventually(lambda: transport.written, saying="an answer")
    assert statuses_in(bytes(transport.written)) == [503]
    assert receiver.store.bodies == []
    assert receiver.intake.in_flight_bytes == 0
    protocol.connection_lost(None)


async def test_one_connection_too_many_is_turned_away_and_its_place_is_given_on() -> None:
    receiver = InProcessReceiver(settings=ReceiverSettings(max_connections=2))
    first, _ = receiver.connect()
    _, second = receiver.connect()
    turned_away, third = receiver.connect()
    assert statuses_in(bytes(third.written)) == [503]
    assert third.has_ended
    assert not second.written
    turned_away.connection_lost(None)
    first.connection_lost(None)
    _, fourth = receiver.connect()
    assert not fourth.written
