"""Several processors on one shard: who owns what, as their admin ports show it."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from forebay.core.subjects import PARTITIONS
from support.programs.processes import Part
from support.programs.stack import Stack
from support.timing.wait import eventually

__all__ = ["ALL", "owned", "processors", "shares", "wait_shared"]

ALL = frozenset(f"{kind}.{number:02d}" for kind in ("raw", "event") for number in range(PARTITIONS))
"""Every partition of a shard."""


START_SECONDS: Final = 40.0
"""Several processes that start at once take turns on two cores."""


async def processors(stack: Stack, count: int, **settings: str) -> list[Part]:
    """Start processors and wait until they share the shard."""
    parts = [stack.part("processor", **settings) for _ in range(count)]
    await asyncio.gather(*(part.start(until_ready=False) for part in parts))
    await asyncio.gather(*(part.wait_ready(within=START_SECONDS) for part in parts))
    await wait_shared(parts, within=20)
    return parts


async def owned(part: Part) -> set[str]:
    """Return which partitions a processor works, such as `event.07`; none where it is not there."""
    try:
        answer = json.loads((await part.admin("/load")).body)
    except (OSError, EOFError):
        return set()
    return set(answer["shards"]["0"]["partitions"])


async def shares(parts: Iterable[Part]) -> list[set[str]]:
    """Return what each of them owns."""
    return await asyncio.gather(*(owned(part) for part in parts))


async def wait_shared(parts: Sequence[Part], *, within: float = 10) -> None:
    """Wait until these own all partitions, each one owner, as evenly as it comes out."""

    async def are_shared() -> bool:
        of_each = await shares(parts)
        if sum(map(len, of_each)) != len(ALL) or set().union(*of_each) != ALL:
            return False
        return all(_is_even(of_each, kind) for kind in ("raw", "event"))

    await eventually(are_shared, within=within, saying=f"{len(parts)} processors to share")


def _is_even(of_each: Sequence[set[str]], kind: str) -> bool:
    counts = Counter(
        place
        for place, units in enumerate(of_each)
        for unit in units
        if unit.startswith(f"{kind}.")
    )
    sizes = [counts[place] for place in range(len(of_each))]
    return max(sizes) - min(sizes) <= 1
