"""Destination `http` over aiohttp, as Forebay had it before 0021: what its own client is held to.

The tests of the two give both the same servers and compare what they say; `make bench-client`
compares what they cost. Nothing else uses it.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from forebay.core.errors import ForebayError
from forebay.core.tables import HttpTarget
from forebay_processor.destinations.http.connection import (
    ANSWER_LIMIT,
    ANSWER_SECONDS,
    HttpResponse,
)
from forebay_processor.destinations.http.destination import posted, result_of
from forebay_processor.destinations.network.address_guard import AddressRefused, Guard
from forebay_processor.destinations.network.name_resolver import Names, looking_for
from forebay_processor.destinations.network.tls import UnusableTls, tls_context
from forebay_processor.destinations.port import Attempt, Failed, Rejected, Result, Trouble

__all__ = ["AiohttpDestination", "aiohttp_session"]


class _GuardedResolver(AbstractResolver):
    """Resolves names, and leaves out what may not be connected to."""

    def __init__(self, guard: Guard, names: Names) -> None:
        self._guard = guard
        self._names = names

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=each.host,
                port=port,
                family=each.family,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each in await self._guard.open_addresses(self._names, host)
            if family in {socket.AF_UNSPEC, each.family}
        ]

    @override
    async def close(self) -> None:
        await self._names.close()


def aiohttp_session(guard: Guard, names: Names) -> aiohttp.ClientSession:
    """Return a client that reaches no address which the guard refuses."""
    connector = aiohttp.TCPConnector(
        limit=0,
        resolver=_GuardedResolver(guard, names),
        use_dns_cache=False,
        socket_factory=guard.socket,
    )
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )


class AiohttpDestination:
    """Posts items to one URL over a shared, pooled client."""

    def __init__(
        self, target: HttpTarget, session: aiohttp.ClientSession, now: Callable[[], float]
    ) -> None:
        self._target = target
        self._session = session
        self._now = now
        self._timeout = aiohttp.ClientTimeout(total=target.timeout_seconds)
        self._tls: ssl.SSLContext | bool = True
        self._server_name: str | None = None
        self._unusable = ""
        if target.tls is not None:
            self._server_name = target.tls.server_name or None
            try:
                self._tls = tls_context(target.tls)
            except UnusableTls as error:
                self._unusable = str(error)

    async def deliver(self, attempt: Attempt) -> Result:
        """Post the item once."""
        if self._unusable:
            return Failed(self._unusable, trouble=Trouble.REFUSED)
        try:
            body, headers = posted(attempt, self._target.signing_secrets, int(self._now()))
        except ForebayError:
            return Rejected("unreadable item")
        if self._target.headers:
            ours = {name.lower() for name in headers}
            own = self._target.headers.items()
            headers |= {name: value for name, value in own if name.lower() not in ours}
        try:
            with looking_for(attempt.endpoint):
                return await self._post(body, headers)
        except TimeoutError:
            return Failed("timeout")
        except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError) as error:
            # Before anything of the item was sent.
            return Failed(_described(error), trouble=Trouble.DESTINATION)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(type(error).__name__)

    async def _post(self, body: bytes, headers: dict[str, str]) -> Result:
        """Send, and judge the answer."""
        async with self._session.post(
            self._target.url,
            data=body,
            headers=headers,
            timeout=self._timeout,
            allow_redirects=False,
            ssl=self._tls,
            server_hostname=self._server_name,
        ) as response:
            answer = HttpResponse(response.status, response.headers.get("Retry-After"))
            result = result_of(answer, self._now())
            if not response.content.at_eof():
                await _read_rest(response)
            return result

    def close(self) -> None:
        """The client is shared: whoever made it closes it."""


def _described(error: aiohttp.ClientError) -> str:
    """Return what failed, without a name or an address."""
    cause = error.__cause__
    return str(cause) if isinstance(cause, AddressRefused) else type(error).__name__


async def _read_rest(response: aiohttp.ClientResponse) -> None:
    """Read a short answer, so that its connection can be used again.

    The status has decided: what goes wrong from here on must not send the item a second time.
    """
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError, ValueError):
        if (response.content_length or 0) > ANSWER_LIMIT:
            return
        async with asyncio.timeout(ANSWER_SECONDS):
            await response.content.read(ANSWER_LIMIT)
