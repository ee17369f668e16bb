"""What pods say of themselves: the tables that they have read, warnings, open breakers, load."""

from typing import Annotated, Final, Protocol, TypeVar

import aiohttp
import msgspec
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay_operator.models.pod_reports import Deliverable, OpenBreaker, PodPage
from forebay_operator.models.stored_rows import ParkedItems

__all__ = ["HttpPods", "PodPages", "ScriptedPods"]

ADMIN_PORT = 9090

_REFUSED: Final = "Refused"
"""The state of a breaker whose destination refuses us."""


class PodPages(Protocol):
    """Asks pods."""

    async def page(self, address: str) -> PodPage | None:
        """Return what a pod serves by; None for no answer."""

    async def breakers(self, address: str) -> tuple[OpenBreaker, ...] | None:
        """Return the open breakers of a processor; None for no answer."""

    async def deliverable(self, address: str) -> Deliverable | None:
        """Return what a processor could deliver now; None for no answer."""

    async def parked(self, address: str) -> tuple[ParkedItems, ...] | None:
        """Return what waits in RETRY for each endpoint by a processor; None for no answer."""


class _Routes(msgspec.Struct, frozen=True):
    generations: dict[str, str] = {}
    warnings: list[str] = []


class _Breaker(msgspec.Struct, frozen=True):
    namespace: str
    endpoint: str
    destination: str
    state: str
    reason: str = ""


class _Breakers(msgspec.Struct, frozen=True):
    open: list[_Breaker]


class _Deliverable(msgspec.Struct, frozen=True):
    items: Annotated[int, msgspec.Meta(ge=0)]
    oldest_seconds: Annotated[float, msgspec.Meta(ge=0)]


class _Load(msgspec.Struct, frozen=True):
    deliverable: _Deliverable


class _ParkedItems(msgspec.Struct, frozen=True):
    namespace: str
    endpoint: str
    items: Annotated[int, msgspec.Meta(ge=0)]
    oldest_seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class _Parked(msgspec.Struct, frozen=True):
    parked: list[_ParkedItems]


_Page = TypeVar("_Page")

_ROUTES: Final = msgspec.json.Decoder(_Routes)
_BREAKERS: Final = msgspec.json.Decoder(_Breakers)
_LOAD: Final = msgspec.json.Decoder(_Load)
_PARKED: Final = msgspec.json.Decoder(_Parked)


class HttpPods(PodPages):
    """Asks `/routes`, `/breakers`, `/load` and `/parked` on the admin port."""

    def __init__(self, session: aiohttp.ClientSession, seconds: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=seconds)

    @override
    async def page(self, address: str) -> PodPage | None:
        found = await self._ask(address, "routes", _ROUTES)
        return None if found is None else PodPage(found.generations, tuple(found.warnings))

    @override
    async def breakers(self, address: str) -> tuple[OpenBreaker, ...] | None:
        found = await self._ask(address, "breakers", _BREAKERS)
        if found is None:
            return None
        return tuple(
            OpenBreaker(
                EndpointName(each.namespace, each.endpoint),
                each.destination,
                each.state == _REFUSED,
                each.reason,
            )
            for each in found.open
        )

    @override
    async def deliverable(self, address: str) -> Deliverable | None:
        found = await self._ask(address, "load", _LOAD)
        return None if found is None else Deliverable(*msgspec.structs.astuple(found.deliverable))

    @override
    async def parked(self, address: str) -> tuple[ParkedItems, ...] | None:
        found = await self._ask(address, "parked", _PARKED)
        if found is None:
            return None
        return tuple(
            ParkedItems(
                EndpointName(each.namespace, each.endpoint), each.items, each.oldest_seconds
            )
            for each in found.parked
        )

    async def _ask(
        self, address: str, path: str, decoder: msgspec.json.Decoder[_Page]
    ) -> _Page | None:
        """Return a page of a pod; None where there is no answer, or it cannot be read."""
        body = await self._get(address, path)
        try:
            return None if body is None else decoder.decode(body)
        except msgspec.DecodeError:
            return None

    async def _get(self, address: str, path: str) -> bytes | None:
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{ADMIN_PORT}/{path}"
        try:
            async with self._session.get(url, timeout=self._timeout) as answer:
                return await answer.read() if answer.ok else None
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


class ScriptedPods(PodPages):
    """The double: answers what a test has set, by address."""

    def __init__(self) -> None:
        self.pages: dict[str, PodPage] = {}
        self.opened: dict[str, tuple[OpenBreaker, ...]] = {}
        self.loads: dict[str, Deliverable] = {}
        self.waiting: dict[str, tuple[ParkedItems, ...]] = {}
        self.asked = 0
        """How often a load was asked for."""

    @override
    async def page(self, address: str) -> PodPage | None:
        return self.pages.get(address)

    @override
    async def breakers(self, address: str) -> tuple[OpenBreaker, ...] | None:
        return self.opened.get(address)

    @override
    async def deliverable(self, address: str) -> Deliverable | None:
        self.asked += 1
        return self.loads.get(address)

    @override
    async def parked(self, address: str) -> tuple[ParkedItems, ...] | None:
        return self.waiting.get(address)
