"""The webhook path as a bare ASGI application, in front of any framework.

It answers all that `handlers.wire` leaves to it: the GET challenge, other methods, other paths, and
webhooks whose connection began with one of those. FastAPI's router and request objects were
measured at half of the rate (docs/design/0002), and this path needs none of what they offer.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from forebay_receiver.errors import Reason
from forebay_receiver.services.intake import Answer, Intake
from forebay_receiver.services.routes import ServedEndpoint
from forebay_receiver.settings import ReceiverSettings

__all__ = ["WebhookApplication"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class WebhookApplication:
    """ASGI: reads one request, asks the intake, writes the answer."""

    def __init__(self, intake: Intake, settings: ReceiverSettings) -> None:
        self._intake = intake
        self._settings = settings

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            # No lifespan and no WebSockets here: the server is told not to offer them.
            return
        started = asyncio.get_running_loop().time()
        # As it was sent: an endpoint's name needs no escapes, so a path with some names none.
        path, method = scope["raw_path"].decode("latin-1"), scope["method"]
        if method == "GET":
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            await _send(send, self._intake.challenge(path, query))
            return
        headers = _headers(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        admitted = self._intake.admit(path, method, int(declared) if declared.isdigit() else 0)
        if isinstance(admitted, Answer):
            await _send(send, admitted)
            return
        body = await self._read(admitted, receive)
        if isinstance(body, Answer):
            await _send(send, body)
            return
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._intake.take(
            admitted,
            headers,
            body,
            started,
            lambda result: None if answer.done() else answer.set_result(result),
        )
        await _send(send, await answer)

    async def _read(self, endpoint: ServedEndpoint, receive: Receive) -> bytes | Answer:
        body, intake = bytearray(), self._intake
        held = 0
        try:
            async with asyncio.timeout(self._settings.reading_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return intake.refuse(endpoint, Reason.CLIENT_GONE)
                    body += message.get("body", b"")
                    if len(body) > self._settings.max_body_bytes:
                        return intake.refuse(endpoint, Reason.TOO_LARGE)
                    if not message.get("more_body", False):
                        return bytes(body)
                    refusal = intake.hold(endpoint, len(body) - held)
                    if refusal is not None:
                        return refusal
                    held = len(body)
        except TimeoutError:
            return intake.refuse(endpoint, Reason.TOO_SLOW)
        finally:
            intake.let_go(endpoint, held)


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for name, value in pairs:
        # Joined as RFC 9110 says: a second value of a checked header then matches no secret.
        headers[name] = headers[name] + b", " + value if name in headers else value
    return headers


async def _send(send: Send, answer: Answer) -> None:
    # Always: `handlers.otherwise` lets a connection of this kind carry one answer.
    headers = (*answer.headers, (b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
