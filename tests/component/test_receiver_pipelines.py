"""Requests of one connection are served in their order, and what they take has a bound.

In one process without sockets: what is tested is what a connection does in between two turns of the
loop, and that is where a test over a socket cannot put anything.
"""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from forebay.core.tables import Authentication, HeaderCheck, ReceiverRoute
from forebay_receiver.handlers.request_reader import Request, RequestReader
from support.raw_http import request_bytes
from support.receiver_in_process import InProcessReceiver, statuses_in

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
    receiver.store.answers_when_told = True
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
    receiver.store.answers_when_told = True
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
    receiver.store.answers_when_told = True
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
    receiver.store.answers_when_told = True
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
