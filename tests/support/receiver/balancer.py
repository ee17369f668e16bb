"""Chooses a receiver for each webhook, as a load balancer does: in turns, among those ready."""

import itertools
from collections.abc import Sequence
from typing import ClassVar

from support.programs.processes import Part
from support.receiver.raw_http import exchange, request_bytes

__all__ = ["Balancer"]


class Balancer:
    """Follows the readiness of receivers, inside `following`."""

    pause: ClassVar = 0.1
    """A cluster asks `/readyz` every few seconds, and receivers drain longer."""

    def __init__(self, *receivers: Part) -> None:
        """Begin with all of them."""
        self._all = self._ready = receivers
        self._turns = itertools.count()

    def next(self) -> Sequence[int]:
        """Return the port of the one whose turn it is."""
        return [self._ready[next(self._turns) % len(self._ready)].port]

    async def poll(self) -> None:
        """See who is ready."""
        answers = [await _is_ready(each) for each in self._all]
        self._ready = tuple(each for each, ready in zip(self._all, answers, strict=True) if ready)


async def _is_ready(receiver: Part) -> bool:
    request = request_bytes("GET", "/readyz", headers={"Connection": "close"})
    try:
        return (await exchange(receiver.admin_port, request)).status == 200
    except (OSError, EOFError):
        return False
