"""Ten destinations of one endpoint, one of which falls ill: what the others notice of it."""

import asyncio
import contextlib
import math
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from support.destinations.sink import Sink
from support.processor.processor_harness import ProcessorHarness, token
from support.timing.wait import eventually

__all__ = ["HEALTHY", "Neighbours", "percentile", "ten_destinations", "usual_percentile"]

HEALTHY: Final = 9
"""Destinations beside the one that falls ill."""

PEOPLE: Final = 40
"""Conversations: each has several items waiting when the ill one comes back."""


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the time that such a share of all stays within."""
    return sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)]


def usual_percentile(seconds: Sequence[float], share: float, windows: int = 8) -> float:
    """Return the median of the percentiles of so many parts of a measurement, in its order.

    A machine that stands still for a moment spoils one part; who is hurt by a neighbour is hurt in
    all of them.
    """
    size = len(seconds) // windows
    parts = [seconds[start * size : (start + 1) * size] for start in range(windows)]
    return statistics.median(percentile(part, share) for part in parts)


@dataclass
class Neighbours:
    """The endpoint, its nine healthy destinations at one sink and the tenth at another."""

    processor: ProcessorHarness
    ill: Sink
    name: str
    sent: list[tuple[str, str]] = field(default_factory=list)
    """Key and person of each item, in order."""

    @classmethod
    async def serve(cls, processor: ProcessorHarness, ill: Sink) -> Self:
        """Serve the endpoint."""
        made = cls(processor, ill, processor.new_name())
        healthy = [processor.http(path, name=path.rpartition("/")[2]) for path in made.paths]
        tenth = processor.http("", name="ill", url=ill.url("/ill"), timeout_seconds=15)
        await processor.serve(made.name, *healthy, tenth)
        return made

    @property
    def paths(self) -> list[str]:
        """The healthy destinations' paths at the processor's sink."""
        return [f"{self.name}/healthy-{number}" for number in range(HEALTHY)]

    async def phase(self, *, rate: float, seconds: float) -> list[float]:
        """Store webhooks by the clock; return the seconds to each healthy arrival, in order."""
        count, first = round(rate * seconds), len(self.sent)
        stored: dict[str, float] = {}
        began = time.time()
        for number in range(count):
            await asyncio.sleep(began + number / rate - time.time())
            message, person = f"wamid.{first + number}", f"1555{number % PEOPLE:07}"
            stored[token(message)] = time.time()
            self.sent.append((token(message), person))
            await self.processor.send(self.name, message, person=person)
        waits: list[tuple[float, float]] = []
        for path in self.paths:
            await self.processor.wait_delivered(path, list(stored), within=30)
            arrivals = [each for each in self.processor.arrivals(path) if each.key in stored]
            assert len(arrivals) == count, "a healthy destination got an item twice"
            waits += [(stored[each.key], each.at - stored[each.key]) for each in arrivals]
        return [wait for _, wait in sorted(waits)]

    async def wait_all_at_the_ill_one(self, *, within: float) -> None:
        """Wait until the tenth has everything, and hold it to once and in order."""
        keys = [key for key, _ in self.sent]
        await eventually(
            lambda: len(self.ill.keys) == len(keys),
            within=within,
            saying=f"{len(keys)} items at the destination that was ill",
        )
        assert not self.ill.repeats
        arrived = [arrival.key for arrival in self.ill.accepted]
        of = dict(self.sent)
        for person in set(of.values()):
            expected = [key for key in keys if of[key] == person]
            assert [key for key in arrived if of[key] == person] == expected


@contextlib.asynccontextmanager
async def ten_destinations(folder: Path) -> AsyncIterator[Neighbours]:
    """Give the endpoint with a processor of its own."""
    async with ProcessorHarness(folder) as processor, Sink() as ill:
        made = await Neighbours.serve(processor, ill)
        await made.phase(rate=20, seconds=1)  # connections and caches: before is not the start
        yield made
