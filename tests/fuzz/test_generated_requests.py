"""Our protocol against the list of what it serves, against uvicorn's own protocol and against h11.

Whenever it answers 200, the stored bytes are the sent ones, and both others found the same body;
what is on the list is stored, what is not is not; there is one answer for each request and in their
order, however the bytes are cut, and whether they come before an answer or right behind it; and
what does not end is ended. In one process, without sockets, for the numbers: 100,000 requests by
`make fuzz`, 2,000 in CI.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import h11
import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from forebay.core.tables import Authentication, HeaderCheck, ReceiverRoute
from support.inputs.tables import META_SIGNATURE
from support.receiver.generated_requests import TOKEN, GeneratedRequest, cut, generate
from support.receiver.receiver_in_process import InProcessReceiver, MemoryTransport, Outcome

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
REQUESTS = 100_000 if SECONDS else 2_000
SEED = int(time.time()) if SECONDS else 20261129

KIBIBYTE = 1024
SLACK = 2 * 32 * KIBIBYTE + 16 * KIBIBYTE
"""Head limit, the slice in which it is exceeded, and the pieces that are sent here."""

ROUTES = (
    ReceiverRoute(namespace="demo", name="meta", provider="meta", authentication=META_SIGNATURE),
    ReceiverRoute(
        namespace="demo",
        name="d360",
        provider="360dialog",
        authentication=Authentication(
            headers=(HeaderCheck(name="authorization", values=(TOKEN,)),)
        ),
    ),
)


def judge(requests: list[GeneratedRequest], outcome: Outcome, context: object) -> list[bool]:
    """Hold what came of a connection to what its requests are; returns which were stored."""
    assert len(outcome.statuses) <= len(requests), ("two answers for one request", context)
    stored = [status == 200 for status in outcome.statuses]
    for request, status in zip(requests, outcome.statuses, strict=False):
        assert request.is_served == (status == 200), (request, status, context)
        assert status in {200, 400, 401, 403, 404, 405, 415, 417, 505}, (request, status, context)
    bodies = [request.body for request, is_in in zip(requests, stored, strict=False) if is_in]
    assert outcome.stored == bodies, ("stored is not what was sent", context)
    if len(stored) < len(requests):
        # Nothing is left out, unless an answer has ended the connection.
        assert outcome.has_ended, ("no answer", context)
        last = requests[len(stored) - 1] if stored else None
        assert last is not None, ("closed without a word", context)
        assert last.is_last or not last.is_served, ("closed without a reason", context)
    return stored


def bodies_by_h11(data: bytes) -> Iterator[bytes]:
    """Return the bodies of a connection's requests as h11 finds them, until it refuses one."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=256 * KIBIBYTE)
    connection.receive_data(data.lstrip(b"\r\n"))
    body = b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return
        match event:
            case h11.Request(method=b"CONNECT"):
                return
            case h11.Request():
                body = b""
            case h11.Data():
                body += bytes(event.data)
            case h11.EndOfMessage():
                yield body
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE:
                    return
                if connection.their_state is not h11.DONE:
                    return
                connection.start_next_cycle()
            case _:
                return


class Uvicorn:
    """uvicorn's own protocol on httptools, with an application that keeps each body."""

    def __init__(self) -> None:
        self._config = uvicorn.Config(
            self._serve, interface="asgi3", lifespan="off", log_config=None, ws="none"
        )
        self._config.load()
        self._bodies: list[bytes] = []

    async def bodies(self, data: bytes) -> list[bytes]:
        """Return the bodies of a connection's requests."""
        self._bodies = []
        state: Any = SimpleNamespace(
            connections=set(), tasks=set(), default_headers=[], total_requests=0
        )
        protocol = HttpToolsProtocol(self._config, state, {})
        protocol.connection_made(MemoryTransport())
        protocol.data_received(data)
        while state.tasks:
            await asyncio.sleep(0)
            if protocol.cycle.more_body:
                # What is missing will not come.
                protocol.cycle.disconnected = True
                protocol.cycle.message_event.set()
        protocol._unset_keepalive_if_required()  # noqa: SLF001  # a timer of 5 s for each
        return self._bodies

    async def _serve(self, _scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  # ASGI's
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        self._bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})


@pytest.mark.timeout(1200)  # 100,000 requests, of which a busy machine takes 200 a second
async def test_a_200_is_for_the_bytes_that_were_sent_and_for_nothing_else() -> None:
    receiver, reference = InProcessReceiver(*ROUTES), Uvicorn()
    rand, timing = random.Random(SEED), random.Random(SEED)
    seen: Counter[str] = Counter()
    while seen["requests"] < REQUESTS:
        requests = [generate(rand) for _ in range(rand.choice((1, 1, 2, 3)))]
        seen["requests"] += len(requests)
        data = b"".join(request.data for request in requests)
        context = (SEED, seen["requests"], data)
        receiver.store.answers_later = rand.random() < 0.5
        stored = judge(requests, await receiver.send([data]), context)
        receiver.store.answers_on_request = timing.random() < 0.5
        # What comes right behind an answer must not be served before what waits.
        outcome = await receiver.send(cut(data, rand), lambda: timing.random() < 0.5)
        receiver.store.answers_on_request = False
        again = judge(requests, outcome, context)
        # How it is cut decides nothing but whether a 401 ends the connection.
        assert again == stored[: len(again)], context
        assert len(again) == len(stored) or not again[-1], context
        seen["stored"] += sum(stored)
        compare(requests, stored, list(bodies_by_h11(data)), "h11", seen, context)
        compare(requests, stored, await reference.bodies(data), "uvicorn", seen, context)
        if seen["requests"] % 100 == 0:
            await asyncio.sleep(0)
    # It is no test where the others refuse most, or where nothing is refused.
    assert REQUESTS * 0.3 < seen["stored"] < REQUESTS * 0.9, seen
    assert seen["h11"] > seen["stored"] * 0.9, seen
    assert seen["uvicorn"] > seen["stored"] * 0.6, seen


def compare(
    requests: list[GeneratedRequest],
    stored: list[bool],
    bodies: list[bytes],
    who: str,
    seen: Counter[str],
    context: object,
) -> None:
    """See that another server found the same bodies, as far as it came."""
    for request, is_stored, body in zip(requests, stored, bodies, strict=False):
        if not is_stored:
            # Whether they take it too is their matter, and from here on their count may differ.
            return
        if who == "uvicorn" and any(name == "Upgrade" for name, _ in request.headers):
            # It drops the body of these: the fault that this test is here for.
            return
        assert body == request.body, (who, request, context)
        seen[who] += 1


ENDLESS = {
    "trailers": (b"0\r\n", b"X: 1\r\n"),
    "a trailer": (b"0\r\nX: ", b"y"),
    "a size": (b"", b"0"),
    "an extension": (b"1;", b"x"),
    "extensions": (b"", b"1;" + b"x" * 100 + b"\r\n \r\n"),
}
HEAD = f"POST /v1/webhooks/demo/d360 HTTP/1.1\r\nHost: a\r\nAuthorization: {TOKEN}\r\n".encode()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
STARTS = {
    **{kind: (CHUNKED + start, piece) for kind, (start, piece) in ENDLESS.items()},
    "a header": (HEAD + b"X: ", b"y"),
    "headers": (HEAD, b"X: 1\r\n"),
    "blank lines": (b"", b"\r\n"),
    "blank lines behind a webhook": (HEAD + b"Content-Length: 1\r\n\r\n1", b"\r\n"),
    "an upgrade's trailers": (
        HEAD + b"Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"X: 1\r\n",
    ),
}


@pytest.mark.parametrize("kind", STARTS)
@pytest.mark.parametrize("size", [1, 1000, 256 * KIBIBYTE])
async def test_what_does_not_end_is_ended_within_the_limit(kind: str, size: int) -> None:
    receiver = InProcessReceiver(*ROUTES)
    start, piece = STARTS[kind]
    whole = start + piece * (KIBIBYTE * KIBIBYTE // len(piece))
    pieces = (whole[place : place + size] for place in range(0, len(whole), size))
    outcome = await receiver.send(pieces)
    assert outcome.has_ended
    assert outcome.statuses[-1] == 400
    assert outcome.fed <= max(SLACK, size)
