"""Webhooks by the clock, as a provider sends them: each signed, each with items of its own."""

import asyncio
import contextlib
import itertools
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

import aiohttp

from forebay.core.signatures import sign
from forebay.core.subjects import key_token
from support.timing.wait import eventually

__all__ = ["NO_ANSWER", "Traffic"]

NO_ANSWER: Final = 0
"""Counted as a status: no answer within 5 s, or a connection that failed."""

_STORED: Final = 200

_PATIENCE_SECONDS: Final = 5.0
"""360dialog's."""

_numbers = itertools.count(time.time_ns())


_CHANNEL: Final = "108200000000301"


_PEOPLE: Final = 100
"""Senders: each has a conversation of its own, whose items arrive one after the other."""


def _body(items: Iterable[tuple[str, int]], text: str) -> bytes:
    """Return text messages, each with an id and a person."""
    messages = [
        {
            "from": f"1555000{person:04d}",
            "id": own,
            "timestamp": str(int(time.time())),
            "type": "text",
            "text": {"body": text},
        }
        for own, person in items
    ]
    metadata = {"display_phone_number": "15550009999", "phone_number_id": _CHANNEL}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "messages": messages}
    changes = [{"field": "messages", "value": value}]
    entry = [{"id": "102290129340398", "changes": changes}]
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


class Traffic:
    """What was sent to one endpoint, and what came of it."""

    def __init__(self, url: str, secret: str) -> None:
        """Say where it goes and how it is signed; `secret` may be changed while it runs."""
        self.text_bytes = 0
        """Of random letters in each message, which no compression makes much smaller; 0: a word."""

        self.items = 1
        """In each webhook."""

        self.url = url
        self.secret = secret
        self.answers: Counter[int] = Counter()
        """How often each status came."""

        self.keys: set[str] = set()
        """The `webhook-id` of each item that was answered 200: each has to arrive."""

        self.slowest = 0.0
        """Seconds of the slowest answer."""

    @property
    def accepted(self) -> int:
        """Webhooks that were answered 200."""
        return self.answers[200]

    async def reached(self) -> None:
        """Wait until somebody answers: a new port is there a moment after its Service."""

        async def look() -> bool:
            async with self._session() as session:
                try:
                    async with session.get(self.url) as answer:
                        return answer.status > 0
                except (aiohttp.ClientError, TimeoutError):
                    return False

        await eventually(look, within=20, saying=f"{self.url} to answer")

    async def send(self, count: int) -> None:
        """Send webhooks one after the other."""
        async with self._session() as session:
            for _ in range(count):
                await self._post(session)

    async def until(self, is_over: Callable[[], bool], rate: float) -> None:
        """Send by the clock until it is over; waits for no answer, and for all at the end."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with self._session() as session, asyncio.TaskGroup() as group:
            for number in itertools.count(1):
                if is_over():
                    return
                group.create_task(self._post(session))
                await asyncio.sleep(max(0.0, began + number / rate - loop.time()))

    @contextlib.asynccontextmanager
    async def flowing(self, rate: float) -> AsyncIterator["Traffic"]:
        """Send by the clock for as long as the block takes."""
        over = asyncio.Event()
        sending = asyncio.create_task(self.until(over.is_set, rate), name="traffic")
        try:
            yield self
        finally:
            over.set()
            await sending

    def _session(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
        # Connections are used for some seconds: load balancers look at new ones only.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=1)
        return aiohttp.ClientSession(timeout=timeout, connector=connector)

    async def _post(self, session: aiohttp.ClientSession) -> None:
        numbers = [next(_numbers) for _ in range(self.items)]
        items = [(f"wamid.{number}", number % _PEOPLE) for number in numbers]
        text = secrets.token_urlsafe(self.text_bytes * 3 // 4) if self.text_bytes else "hello"
        body = _body(items, text)
        headers = {"X-Hub-Signature-256": f"sha256={sign(self.secret, body)}"}
        began = time.monotonic()
        try:
            async with session.post(self.url, data=body, headers=headers) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = NO_ANSWER
        self.answers[status] += 1
        if status == _STORED:
            self.keys |= {key_token(f"msg:{_CHANNEL}:{own}") for own, _ in items}
        self.slowest = max(self.slowest, time.monotonic() - began)
