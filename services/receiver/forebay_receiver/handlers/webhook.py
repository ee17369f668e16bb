"""The webhook path on the wire: a bare ASGI application, in front of any framework.

FastAPI's router and its request objects were measured at half of the rate (docs/design/0001), and
this path needs none of what they offer.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from forebay_receiver.errors import Reason
from forebay_receiver.services.intake import Answer, Intake
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
        path, method = scope["path"], scope["method"]
        if method == "GET":
            query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
            await _send(send, self._intake.challenge(path, query))
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        admitted = self._intake.admit(path, method, headers)
        if isinstance(admitted, Answer):
            await _send(send, admitted)
            return
        body = await self._read(receive)
        if isinstance(body, Reason):
            answer = self._intake.refuse(admitted, body)
        else:
            answer = await self._intake.take(admitted, headers, body, started)
        await _send(send, answer)

    async def _read(self, receive: Receive) -> bytes | Reason:
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                message = await receive()
                if not message.get("more_body", False) and message["type"] == "http.request":
                    body: bytes = message.get("body", b"")
                    return body if len(body) <= self._settings.max_body_bytes else Reason.TOO_LARGE
                return await self._read_on(message, receive)
        except TimeoutError:
            return Reason.TOO_SLOW

    async def _read_on(self, message: Message, receive: Receive) -> bytes | Reason:
        body = bytearray()
        while True:
            if message["type"] == "http.disconnect":
                return Reason.CLIENT_GONE
            body += message.get("body", b"")
            if len(body) > self._settings.max_body_bytes:
                return Reason.TOO_LARGE
            if not message.get("more_body", False):
                return bytes(body)
            message = await receive()


async def _send(send: Send, answer: Answer) -> None:
    headers = answer.headers
    if answer.close:
        headers = (*headers, (b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
