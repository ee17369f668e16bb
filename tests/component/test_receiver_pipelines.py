"""Requests of one connection are served in their order, and what they take has a bound.

In one process without sockets: what is tested is what a connection does in between two turns of the
loop, and that is where a test over a socket cannot put anything.
"""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from forebay.core.tables import Authentication, HeaderCheck, ReceiverRoute
from forebay_receiver.handlers.limits import (
    BACKLOG_LIMIT,
    PIPELINE_LIMIT,
    PIPELINE_MOST,
    SLICE_BYTES,
    WAITING_BYTES,
)
from forebay_receiver.handlers.request import Request
from forebay_receiver.handlers.request_reader import RequestReader
from support.receiver.raw_http import request_bytes
from support.receiver.receiver_in_process import InProcessReceiver, statuses_in
from support.timing.wait import eventually

PATH = "/v1/webhooks/demo/d360"
ROUTE = ReceiverRoute(
    namespace="demo",
    name="d360",
    provider="360dialog",
    authentication=Authentication(headers=(HeaderCheck(name="authorization", values=("it",)),)),
)


@pytest.fixture
async def receiver() -> InProcessReceiver:
    return InProcessReceiver(ROUTE)


def post(body: bytes, **headers: str) -> bytes:
    return request_bytes("POST", PATH, headers={"Authorization": "it", **headers}, body=body)


async def turns() -> None:
    """Let the loop do what waits for its turns."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_comes_behind_an_answer_is_stored_behind_what_waits(
    receiver: InProcessReceiver,
) -> None:
    receiver.store.answers_on_request = True
    protocol, transport = receiver.connect()
    protocol.data_received(post(b"A") + post(b"B"))
    receiver.store.answer_next()
    protocol.data_received(post(b"C"))
    await turns()
    assert receiver.store.bodies == [b"A", b"B"]
    receiver.store.answer_next()
    await turns()
    assert receiver.store.bodies == [b"A", b"B", b"C"]
    assert statuses_in(bytes(transport.written)) == [200, 200]
    receiver.store.answer_next()
    assert statuses_in(bytes(transport.written)) == [200, 200, 200]


@pytest.mark.parametrize(
    ("ending", "status"),
    [(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404), (b"nonsense\r\n\r\n", 400)],
    ids=["another path", "no HTTP"],
)
async def test_what_ends_a_connection_is_answered_behind_what_waits(
    receiver: InProcessReceiver, ending: bytes, status: int
) -> None:
    receiver.store.answers_on_request = True
    protocol, transport = receiver.connect()
    protocol.data_received(post(b"A") + post(b"B"))
    receiver.store.answer_next()
    protocol.data_received(ending)
    await turns()
    receiver.store.answer_next()
    await turns()
    assert receiver.store.bodies == [b"A", b"B"]
    assert statuses_in(bytes(transport.written)) == [200, 200, status]
    assert transport.has_ended


async def test_a_client_is_told_to_go_on_behind_the_answers_before(
    receiver: InProcessReceiver,
) -> None:
    receiver.store.answers_on_request = True
    protocol, transport = receiver.connect()
    protocol.data_received(post(b"A") + post(b"B"))
    receiver.store.answer_next()
    whole = post(b"C", Expect="100-continue")
    protocol.data_received(whole[:-1])
    await turns()
    assert b" 100 " not in transport.written
    receiver.store.answer_next()
    await turns()
    assert transport.written.endswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    protocol.data_received(whole[-1:])
    receiver.store.answer_next()
    assert statuses_in(bytes(transport.written)) == [200, 200, 200]


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> list[object]:
    """Return the requests and connections that are in memory."""
    return [each for each in gc.get_objects() if isinstance(each, Request | RequestReader)]


UPGRADE = request_bytes(
    "POST",
    PATH,
    headers={
        "Authorization": "it",
        "Connection": "upgrade",
        "Upgrade": "h2c",
        "Transfer-Encoding": "chunked",
    },
)
LARGE = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
HALF_READ = {
    "a body": (post(b"x" * 100_000)[:-1],),
    "a head": (b"POST / HTTP/1.1\r\nHost:",),
    "a body behind requests": (post(b"A") + post(b"B") + post(b"x" * 100_000)[:-1],),
    "an upgrade's body": (UPGRADE + LARGE,),
    "what is no HTTP in an upgrade's body": (UPGRADE + LARGE + b"nonsense\r\n",),
    "what was sent": (post(b"A"), post(b"B")),
}


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", HALF_READ)
async def test_a_closed_connection_leaves_nothing_in_memory(
    receiver: InProcessReceiver, kind: str
) -> None:
    receiver.store.answers_on_request = True
    before = len(alive())
    protocol, _ = receiver.connect()
    for piece in HALF_READ[kind]:
        protocol.data_received(piece)
    protocol.connection_lost(None)
    del protocol
    while receiver.store.unanswered:
        receiver.store.answer_next()
    await turns()
    assert len(alive()) == before
    assert receiver.intake.in_flight_bytes == 0


ENDLESS = 256 * 1024
"""Bytes that a socket brings at once."""


async def test_what_waits_on_a_connection_is_held_and_bounded(receiver: InProcessReceiver) -> None:
    receiver.store.answers_on_request = True
    protocol, transport = receiver.connect()
    empty = post(b"", Padding="x" * 100)
    before = len(alive())
    protocol.data_received(empty * (ENDLESS // len(empty)))
    for _ in range(10):
        assert transport.is_paused
        # The connection, the one that is stored, and those that wait, with all they take.
        waiting = len(alive()) - before - 2
        assert PIPELINE_LIMIT <= waiting <= PIPELINE_MOST
        assert receiver.intake.in_flight_bytes > waiting * (WAITING_BYTES + 100)
        while len(receiver.store.bodies) % 50:
            receiver.store.answer_next()
            await turns()
        receiver.store.answer_next()
        await turns()
    protocol.connection_lost(None)
    assert receiver.intake.in_flight_bytes == 0


async def test_a_pipeline_of_webhooks_is_stored_whole(receiver: InProcessReceiver) -> None:
    receiver.store.answers_on_request = True
    bodies = [b"%d" % number for number in range(1000)]
    protocol, transport = receiver.connect()
    padding = "x" * 100
    protocol.data_received(b"".join(post(body, Padding=padding) for body in bodies))
    for _ in bodies:
        await turns()
        receiver.store.answer_next()
    assert receiver.store.bodies == bodies
    assert statuses_in(bytes(transport.written)) == [200] * len(bodies)
    assert not transport.is_paused
    assert receiver.intake.in_flight_bytes == 0


async def test_more_requests_than_may_wait_end_the_connection(receiver: InProcessReceiver) -> None:
    receiver.store.answers_on_request = True
    protocol, transport = receiver.connect()
    tiny = f"POST {PATH} HTTP/1.1\r\nHost:a\r\nAuthorization:it\r\nContent-Length:0\r\n\r\n"
    protocol.data_received(tiny.encode() * (SLICE_BYTES // len(tiny)))
    for _ in range(PIPELINE_MOST + 1):
        receiver.store.answer_next()
        await turns()
    statuses = statuses_in(bytes(transport.written))
    assert statuses == [200] * (PIPELINE_MOST + 1) + [503]
    assert transport.has_ended
    assert receiver.intake.in_flight_bytes == 0


async def test_a_read_of_tiny_requests_leaves_others_their_turn(
    receiver: InProcessReceiver,
) -> None:
    protocol, transport = receiver.connect()
    stranger = f"POST {PATH} HTTP/1.1\r\nHost:a\r\nContent-Length:0\r\n\r\n".encode()
    count = ENDLESS // len(stranger)
    protocol.data_received(stranger * count)
    assert len(statuses_in(bytes(transport.written))) < count // 2
    assert transport.is_paused
    await eventually(lambda: not transport.is_paused, saying="all to be read")
    assert statuses_in(bytes(transport.written)) == [401] * count


async def test_what_came_before_the_end_is_read_though_others_have_their_turn(
    receiver: InProcessReceiver,
) -> None:
    protocol, transport = receiver.connect()
    webhooks = [post(b"x" * 100 + b"%d" % number) for number in range(1000)]
    protocol.data_received(b"".join(webhooks))
    protocol.eof_received()
    assert statuses_in(bytes(transport.written)) == [200] * len(webhooks)


async def test_many_connections_leave_no_more_unread_than_the_limit() -> None:
    receiver = InProcessReceiver(ROUTE)
    receiver.store.answers_on_request = True
    read = post(b"") * (ENDLESS // len(post(b"")))
    connections = [receiver.connect() for _ in range(100)]
    for protocol, _ in connections:
        protocol.data_received(read)
        assert receiver.rules.backlog_bytes <= BACKLOG_LIMIT
    for protocol, _ in connections:
        protocol.connection_lost(None)
    assert receiver.rules.backlog_bytes == 0
    assert receiver.intake.in_flight_bytes == 0


@pytest.mark.parametrize("size", [1, 200_000], ids=["small", "large"])
@pytest.mark.parametrize("is_answered_later", [True, False])
async def test_a_fault_in_storing_is_answered_once_and_reported(
    receiver: InProcessReceiver, size: int, *, is_answered_later: bool
) -> None:
    reported = list[object]()
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: reported.append(context.get("exception"))
    )
    receiver.store.answers_on_request = is_answered_later
    receiver.store.breaks = True
    protocol, transport = receiver.connect()
    protocol.data_received(post(b"x" * size))
    await eventually(lambda: reported, saying="the fault to be reported")
    receiver.store.breaks = False
    if is_answered_later:
        receiver.store.answer_next()
    assert [type(each) for each in reported] == [RuntimeError]
    expected = [503] if is_answered_later else [200]
    assert statuses_in(bytes(transport.written)) == expected
    assert receiver.intake.in_flight == receiver.intake.in_flight_bytes == 0
    receiver.store.answers_on_request = False
    protocol.data_received(post(b"{}"))
    assert statuses_in(bytes(transport.written)) == [*expected, 200]
