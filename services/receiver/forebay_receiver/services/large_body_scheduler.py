"""Work on large bodies in small pieces, between which every other webhook is served.

To hash a body of 4 MiB for its signature and its message id and to find its lane takes 10 ms and
more, and much more where the machine is busy. Done at once, nobody else would be served meanwhile.
So such work is a generator that gives up control after each piece, and this class runs one turn of
it in each turn of the event loop: `TURN_SECONDS`, however many large bodies there are. Endpoints
come in turn, so that one tenant's large bodies do not hold up another's.

If the process dies here, nothing is stored and nothing answered.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Hashable
from typing import Final

__all__ = ["LARGE_BODY", "LargeBodies"]

LARGE_BODY: Final = 128 * 1024
"""Bytes of a body from which it is worked through in pieces. One below takes less than a
millisecond, which is not worth a turn of its own."""

TURN_SECONDS: Final = 0.001
"""How long large bodies are worked on in one turn of the loop. A piece takes up to 0.5 ms."""

Work = Generator[None, None, None]
"""All that is to be done with one body; it answers its webhook by itself."""


class LargeBodies:
    """All that is to be done with large bodies of a process."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        """Prepare; the clock is the loop's, where none is given."""
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._waiting: dict[Hashable, deque[Work]] = {}
        """By endpoint, the next one first."""

    def add(self, endpoint: Hashable, work: Work) -> None:
        """Begin with a body soon."""
        if not self._waiting:
            self._loop.call_soon(self._turn)
        self._waiting.setdefault(endpoint, deque()).append(work)

    def _turn(self) -> None:
        until = self._clock() + TURN_SECONDS
        try:
            while self._waiting:
                self._piece()
                if self._clock() >= until:
                    break
        finally:
            if self._waiting:
                self._loop.call_soon(self._turn)

    def _piece(self) -> None:
        """Do one piece of the next endpoint's first body."""
        endpoint = next(iter(self._waiting))
        works = self._waiting.pop(endpoint)
        try:
            next(works[0])
        except BaseException as end:
            works.popleft()
            if not isinstance(end, StopIteration):
                raise
        finally:
            if works:
                self._waiting[endpoint] = works
