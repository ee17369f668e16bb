"""Which of many names a wrong one was meant to be, found without a comparison with each of them.

To compare two names of an endpoint takes up to a millisecond, and an installation has thousands.
"""

import bisect
import difflib
from collections.abc import Collection, Iterable
from typing import Final

__all__ = ["nearest_name"]

NEIGHBOURS: Final = 16
"""On each side, in the order by first and in that by last letters: 64 names are compared."""

LONGEST: Final = 256
"""Characters of a name that is looked for; what is longer was no name."""


def nearest_name(name: str, names: Collection[str]) -> str:
    """Return the name that was meant, as far as can be guessed; empty where none is near.

    Args:
        name: What was given.
        names: What there is. Of more than 32, only those are compared with which it shares the most
            letters at its beginning or its end.
    """
    if len(name) > LONGEST:
        return ""
    by_ends = _around(name[::-1], (each[::-1] for each in names))
    near = {*_around(name, names), *(each[::-1] for each in by_ends)}
    return next(iter(difflib.get_close_matches(name, sorted(near), n=1)), "")


def _around(name: str, names: Iterable[str]) -> list[str]:
    ordered = sorted(names)
    place = bisect.bisect(ordered, name)
    return ordered[max(place - NEIGHBOURS, 0) : place + NEIGHBOURS]
