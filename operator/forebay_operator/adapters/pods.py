"""What pods say of themselves: the generations of the tables that they have read."""

from collections.abc import Mapping
from typing import Protocol

import aiohttp
from typing_extensions import override

__all__ = ["HttpPods", "PodPages", "ScriptedPods"]

ADMIN_PORT = 9090


class PodPages(Protocol):
    """Asks pods."""

    async def generations(self, address: str) -> Mapping[str, str] | None:
        """Return the generation of each table file that a pod serves by; None for no answer."""


class HttpPods(PodPages):
    """Asks `/routes` on the admin port."""

    def __init__(self, session: aiohttp.ClientSession, seconds: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=seconds)

    @override
    async def generations(self, address: str) -> Mapping[str, str] | None:
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{ADMIN_PORT}/routes"
        try:
            async with self._session.get(url, timeout=self._timeout) as answer:
                if not answer.ok:
                    return None
                page = await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
        found = page.get("generations") if isinstance(page, dict) else None
        return {str(key): str(value) for key, value in found.items()} if found else {}


class ScriptedPods(PodPages):
    """The double: says what it was told to, by address."""

    def __init__(self) -> None:
        self.pages: dict[str, Mapping[str, str]] = {}

    @override
    async def generations(self, address: str) -> Mapping[str, str] | None:
        return self.pages.get(address)
