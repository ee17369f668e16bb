"""A destination: notes every arrival before it answers, and answers what the test wants."""

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

from support.programs.ports import HOST, free_port
from support.timing.wait import eventually

__all__ = ["NO_ANSWER", "Arrival", "Sink"]

NO_ANSWER: Final = 0
"""As a status: the connection is closed and no answer is sent."""

_BODY_LIMIT = 16 * 1024 * 1024
"""Above the receiver's own limit, so that the sink is never the one that refuses."""

_ACCEPTED = range(200, 300)


@dataclass(slots=True, kw_only=True)
class Arrival:
    """One request as it reached the sink."""

    key: str
    """The header `webhook-id`."""

    attempt: int
    """The header `Forebay-Attempt`; 0 where it is missing."""

    path: str
    headers: Mapping[str, str]
    """Names in lower case."""

    body: bytes = field(repr=False)
    at: float
    """Unix seconds."""

    status: int | None = None
    """What was answered; None while it is held."""

    @property
    def accepted(self) -> bool:
        """Whether it was answered with a 2xx."""
        return self.status in _ACCEPTED

    @property
    def event(self) -> dict[str, Any]:
        """The body as JSON: a CloudEvent."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def is_batch(self) -> bool:
        """Whether it brings several CloudEvents."""
        return "forebay-items" in self.headers

    @property
    def items(self) -> list[str]:
        """The `webhook-id`s of what it brings: its own, or those of its CloudEvents."""
        return [each["id"] for each in json.loads(self.body)] if self.is_batch else [self.key]


class Sink:
    """An HTTP server in the test's own process, on a port that it keeps while it is down."""

    def __init__(self) -> None:
        """Prepare a sink; it listens after `up` or `async with`."""
        self.port = free_port()
        self.arrivals: list[Arrival] = []
        """Every request in the order of arrival, whatever it was answered."""

        self.status = 200
        """What is answered where nothing else was asked for."""

        self.headers: dict[str, str] = {}
        """What answers carry besides, such as `Retry-After`."""

        self.text: str | None = None
        """What answers say; nothing by default."""

        self.delay_seconds = 0.0
        """How long each answer takes."""

        self._next: deque[int] = deque()
        self._by_key: dict[str, deque[int]] = {}
        self._refused: dict[str, int] = {}
        self._refused_paths: dict[str, int] = {}
        self._gate = asyncio.Event()
        self._gate.set()
        self._runner: web.AppRunner | None = None

    def url(self, path: str = "/") -> str:
        """Return the address of a path; every path is served alike."""
        return f"http://{HOST}:{self.port}{path}"

    # What it answers

    def answer_next(self, *statuses: int) -> None:
        """Answer the next arrivals so, one status each, whatever they carry."""
        self._next.extend(statuses)

    def answer_key(self, key: str, *statuses: int) -> None:
        """Answer the next arrivals of one item so; goes before `answer_next`."""
        self._by_key.setdefault(key, deque()).extend(statuses)

    def refuse_key(self, key: str, status: int = 503) -> None:
        """Answer every arrival of one item so, alone or among others, until `forgive_key`."""
        self._refused[key] = status

    def forgive_key(self, key: str) -> None:
        """Answer one item like the others again."""
        del self._refused[key]

    def refuse_path(self, path: str, status: int = 503) -> None:
        """Answer every arrival at one path so, until `forgive_path`."""
        self._refused_paths[path] = status

    def forgive_path(self, path: str) -> None:
        """Answer what comes to one path like the rest again."""
        del self._refused_paths[path]

    def hold(self) -> None:
        """Take requests and leave them without an answer until `release`."""
        self._gate.clear()

    def release(self) -> None:
        """Answer what was held, and everything after it."""
        self._gate.set()

    # What it saw

    @property
    def accepted(self) -> list[Arrival]:
        """The arrivals that were answered with a 2xx."""
        return [arrival for arrival in self.arrivals if arrival.accepted]

    @property
    def keys(self) -> set[str]:
        """The items that were accepted."""
        return {item for arrival in self.accepted for item in arrival.items}

    @property
    def repeats(self) -> Counter[str]:
        """How many times too often an item was accepted; empty where each came once."""
        counts = Counter(item for arrival in self.accepted for item in arrival.items)
        return Counter({key: count - 1 for key, count in counts.items() if count > 1})

    def of(self, key: str) -> list[Arrival]:
        """Return the arrivals of one item in their order."""
        return [arrival for arrival in self.arrivals if arrival.key == key]

    async def wait_for(self, count: int, *, within: float = 10.0) -> list[Arrival]:
        """Wait until so many different items are accepted, and return all accepted arrivals."""
        await eventually(
            lambda: len(self.keys) >= count,
            within=within,
            saying=f"{count} items at the sink ({len(self.keys)} were there at the start)",
        )
        return self.accepted

    # Being there

    async def up(self) -> None:
        """Listen."""
        if self._runner is not None:
            return
        application = web.Application(client_max_size=_BODY_LIMIT)
        application.router.add_route("*", "/{path:.*}", self._take)
        # No access log; and what is held when the sink goes down is cut off at once.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, HOST, self.port, reuse_address=True).start()
        self._runner = runner

    async def down(self) -> None:
        """Stop listening and cut off what is open; the ledger stays."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        """Listen."""
        await self.up()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Answer what is held and stop."""
        self.release()
        await self.down()

    async def _take(self, request: web.Request) -> web.Response:
        arrival = Arrival(
            key=request.headers.get("webhook-id", ""),
            attempt=int(request.headers.get("Forebay-Attempt", "0")),
            path=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
            at=time.time(),
        )
        self.arrivals.append(arrival)
        # Chosen on arrival, so that holding and delays do not change who gets which answer.
        status = self._choose(arrival)
        await self._gate.wait()
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        arrival.status = status
        if status == NO_ANSWER:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return web.Response(status=status, headers=self.headers, text=self.text)

    def _choose(self, arrival: Arrival) -> int:
        if arrival.path in self._refused_paths:
            return self._refused_paths[arrival.path]
        for item in arrival.items if self._refused else ():
            if item in self._refused:
                return self._refused[item]
        for script in (self._by_key.get(arrival.key), self._next):
            if script:
                return script.popleft()
        return self.status
