"""Chooses a receiver for each webhook, as a load balancer does: in turns, among those ready."""

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from support.processes import Part
from support.raw_http import exchange, request_bytes

__all__ = ["Balancer"]

LOOK_SECONDS: Final = 0.1
"""Between two looks at `/readyz`; a cluster looks every few seconds, and receivers drain longer."""


class Balancer:
    """Follows the readiness of receivers."""

    def __init__(self, *receivers: Part) -> None:
        """Begin with all of them."""
        self._all = self._ready = receivers
        self._turns = itertools.count()
        self._ended = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    def next(self) -> Sequence[int]:
        """Return the port of the one whose turn it is."""
        return [self._ready[next(self._turns) % len(self._ready)].port]

    async def __aenter__(self) -> Self:
        """Begin to look."""
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look no more."""
        self._ended.set()
        if self._following is not None:
            await self._following

    async def _follow(self) -> None:
        while not self._ended.is_set():
            looks = [await _is_ready(each) for each in self._all]
            self._ready = tuple(each for each, ready in zip(self._all, looks, strict=True) if ready)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._ended.wait()


async def _is_ready(receiver: Part) -> bool:
    request = request_bytes("GET", "/readyz", headers={"Connection": "close"})
    try:
        return (await exchange(receiver.admin_port, request)).status == 200
    except (OSError, EOFError):
        return False
