"""Finds the addresses of destinations' names, such that no name holds up another tenant's.

The system's resolver blocks a thread for as long as a name server is silent, and there are four
threads: four names that hang, which anybody may write into a manifest, stopped all new connections.
c-ares asks without a thread for each name. It reads `/etc/resolv.conf` (search domains, `ndots`,
`timeout`, `attempts`) and `/etc/hosts` as the system's does, goes over to TCP for long answers, and
knows no other sources of names (`nsswitch.conf`: no mDNS, no LDAP).

- A name is asked for once at a time, whoever needs it, and its addresses are kept for as long as
  the name server says: by c-ares, and here for some seconds of that.
- An endpoint has `LOOKUPS` at a time: what its names take from the name server is bounded, and what
  is above waits within its attempt's own time. A lookup counts until it is over, also where nobody
  waits for it any more: c-ares cannot take one back.

If the process dies nothing is lost: a lookup is part of an attempt.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakValueDictionary

from forebay.core.endpoint_name import EndpointName

if TYPE_CHECKING:
    from aiodns import DNSResolver
    from pycares import AddrInfoResult

__all__ = ["CACHE_SECONDS", "LOOKUPS", "FoundAddress", "NameNotFound", "Names", "looking_for"]

LOOKUPS: Final = 4
"""Names that one endpoint asks for at a time."""

CACHE_SECONDS: Final = (1.0, 10.0)
"""How long addresses are kept here at least and at most: 64 attempts at once are one question."""

CACHED: Final = 4096
"""Names; more are kept only while their time lasts."""

_endpoint: ContextVar[EndpointName | None] = ContextVar("endpoint", default=None)


class NameNotFound(OSError):  # noqa: N818  # named for what happened
    """A name has no address, or the name server gave no answer."""


class FoundAddress(NamedTuple):
    """One address of a name."""

    host: str
    family: socket.AddressFamily


@contextlib.contextmanager
def looking_for(endpoint: EndpointName) -> Iterator[None]:
    """Let the lookups within the block count as this endpoint's."""
    token = _endpoint.set(endpoint)
    try:
        yield
    finally:
        _endpoint.reset(token)


class Names:
    """Resolves names for one process."""

    def __init__(
        self,
        clock: Callable[[], float],
        nameservers: Sequence[str] = (),
        *,
        limit: int = CACHED,
        **options: object,
    ) -> None:
        """Prepare; the resolver itself is made for the first name.

        Args:
            clock: Seconds that never go back.
            nameservers: Whom to ask instead of the system's, with ports where they are not 53.
            limit: How many names are kept before those whose time is over are removed.
            options: Of c-ares' channel, instead of those of `/etc/resolv.conf`.
        """
        self._clock = clock
        self._nameservers = tuple(nameservers)
        self._limit = limit
        self._options = options
        self._resolver: DNSResolver | None = None
        self._under_way: dict[str, asyncio.Task[list[FoundAddress]]] = {}
        self._kept: dict[str, tuple[float, list[FoundAddress]]] = {}
        self._shares: WeakValueDictionary[EndpointName | None, asyncio.Semaphore] = (
            WeakValueDictionary()
        )
        """Of endpoints that look something up."""

    @property
    def under_way(self) -> int:
        """How many names are asked for at this moment."""
        return len(self._under_way)

    @property
    def kept(self) -> int:
        """How many names' addresses are kept, those whose time is over among them."""
        return len(self._kept)

    async def addresses(self, name: str) -> list[FoundAddress]:
        """Return the addresses of a name, of both families, the best first.

        Raises:
            NameNotFound: where there are none, or the name server is silent.
        """
        until, found = self._kept.get(name, (0.0, []))
        if self._clock() < until:
            return found
        asked = self._under_way.get(name)
        if asked is None:
            asked = await self._ask(name)
        # Others may wait for it, too.
        return await asyncio.shield(asked)

    async def _ask(self, name: str) -> asyncio.Task[list[FoundAddress]]:
        """Begin a lookup when the endpoint has one to spare."""
        endpoint = _endpoint.get()
        share = self._shares.get(endpoint)
        if share is None:
            share = self._shares[endpoint] = asyncio.Semaphore(LOOKUPS)
        await share.acquire()
        asked = self._under_way.get(name)
        if asked is not None:
            # Somebody else began it meanwhile.
            share.release()
            return asked
        asked = asyncio.create_task(self._look_up(name, share))
        # Where nobody waits any more nobody takes the error.
        asked.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._under_way[name] = asked
        return asked

    async def _look_up(self, name: str, share: asyncio.Semaphore) -> list[FoundAddress]:
        try:
            answer = await self._answer(name)
        finally:
            del self._under_way[name]
            share.release()
        found = [
            FoundAddress(node.addr[0].decode("ascii"), socket.AddressFamily(node.family))
            for node in answer.nodes
        ]
        if not found:
            raise NameNotFound
        self._keep(name, found, min(node.ttl for node in answer.nodes))
        return found

    async def _answer(self, name: str) -> "AddrInfoResult":
        # Late: only who has names needs the library.
        from aiodns.error import DNSError  # noqa: PLC0415

        try:
            return await self._channel().getaddrinfo(
                name, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM
            )
        except (DNSError, UnicodeError) as error:
            raise NameNotFound from error

    def _keep(self, name: str, found: list[FoundAddress], seconds: float) -> None:
        now = self._clock()
        if len(self._kept) >= self._limit:
            self._kept = {each: kept for each, kept in self._kept.items() if now < kept[0]}
        shortest, longest = CACHE_SECONDS
        self._kept[name] = (now + min(max(seconds, shortest), longest), found)

    def _channel(self) -> "DNSResolver":
        if self._resolver is None:
            from aiodns import DNSResolver  # noqa: PLC0415  # as above

            loop = asyncio.get_running_loop()
            self._resolver = DNSResolver(self._nameservers or None, loop, **self._options)
        return self._resolver

    async def close(self) -> None:
        """End what is under way."""
        for task in self._under_way.values():
            task.cancel()
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None
