"""Which generations of a table say of an endpoint what the latest one says.

Pods report the generation that they have read. Another one that comes only changed neighbours, so a
pod that lags serves an endpoint as well as one that does not, as long as nothing of it changed.
"""

import itertools
from collections import deque
from typing import Final, Generic, TypeVar

from forebay.core.endpoint_name import EndpointName

__all__ = ["TableGenerations"]

Table = TypeVar("Table")

REMEMBERED: Final = 64
"""Generations of a table that a pod may lag behind: at one a second more than any kubelet needs."""


class TableGenerations(Generic[Table]):
    """What was written of each table by this process, or found as it is to be."""

    def __init__(self) -> None:
        self._written: dict[Table, deque[tuple[int, str]]] = {}
        self._number = 0
        self._since: dict[EndpointName, dict[Table, int]] = {}

    def __contains__(self, table: Table) -> bool:
        """Say whether a table was written, or found so."""
        return table in self._written

    def note(self, table: Table, generation: str, news: set[EndpointName]) -> None:
        """Remember what was written, and since when it speaks of the endpoints that are news."""
        written = self._written.setdefault(table, deque(maxlen=REMEMBERED))
        if not written or written[-1][1] != generation:
            self._number += 1
            written.append((self._number, generation))
        for each in news:
            self._since.setdefault(each, {})[table] = written[-1][0]

    def latest(self, table: Table) -> str | None:
        """Return the generation that was written last; None where none was."""
        written = self._written.get(table)
        return written[-1][1] if written else None

    def of(self, table: Table, endpoint: EndpointName) -> frozenset[str]:
        """Return the generations that say of an endpoint what the latest one says."""
        since = self._since.get(endpoint, {}).get(table, 0)
        latest_first = reversed(self._written.get(table, ()))
        young = itertools.takewhile(lambda each: each[0] >= since, latest_first)
        return frozenset(generation for _, generation in young)

    def forget(self, endpoint: EndpointName) -> None:
        """Take it that nobody asks of an endpoint any more."""
        self._since.pop(endpoint, None)
