"""Which table holds which endpoint: by size, and where it was as long as it fits.

An endpoint's home follows from its name, so that everybody's first guess is the same. Where its
home has no room for it, it goes to the first table of an order of its own that has. Once somewhere
it stays there, until it grows out of it. Pure: nothing here knows what a Secret is.
"""

import hashlib
from typing import Final

from forebay.core.endpoint_name import EndpointName
from forebay_operator.builders.names import table_index

__all__ = ["TABLE_BYTES", "TableAllocator"]

TABLE_BYTES: Final = 896 * 1024
"""Room for the entries of one table. A Secret holds 1 MiB of values; the rest is for the names of
endpoints that were deleted (`builders.tables.DELETED_MOST`)."""


class TableAllocator:
    """The places of one pool's endpoints and the bytes that they take there."""

    def __init__(self, count: int, room: int = TABLE_BYTES) -> None:
        """Begin with `count` empty tables of `room` bytes each."""
        self._room = room
        self._sizes: list[dict[EndpointName, int]] = [{} for _ in range(count)]
        self._used = [0] * count
        self._is_freed = False
        self._places: dict[EndpointName, int] = {}

    def place(self, endpoint: EndpointName) -> int:
        """Return the table that an endpoint is in, or would be put into first."""
        return self._places.get(endpoint, table_index(endpoint, len(self._used)))

    def is_placed(self, endpoint: EndpointName) -> bool:
        """Say whether an endpoint is in any table."""
        return endpoint in self._places

    def used(self, index: int) -> int:
        """Return the bytes of a table that are taken."""
        return self._used[index]

    def adopt(self, endpoint: EndpointName, size: int, index: int) -> None:
        """Take it that an endpoint stands in a table, whether it fits or not."""
        self._set(index, endpoint, size)
        self._places.setdefault(endpoint, index)

    def reserve(self, endpoint: EndpointName, size: int) -> int | None:
        """Give an endpoint a place for its size; None, and all as it was, where no table has room.

        What it took at the place before stays taken, until `release`.
        """
        for index in self._order(endpoint):
            free = self._room - self._used[index] + self._sizes[index].get(endpoint, 0)
            if size <= free:
                self._set(index, endpoint, size)
                self._places[endpoint] = index
                return index
        return None

    def release(self, endpoint: EndpointName, index: int) -> None:
        """Free what an endpoint takes in a table."""
        freed = self._sizes[index].pop(endpoint, 0)
        self._used[index] -= freed
        self._is_freed |= freed > 0
        if self._places.get(endpoint) == index:
            del self._places[endpoint]

    def take_freed(self) -> bool:
        """Say whether any table got room since this was asked last."""
        freed, self._is_freed = self._is_freed, False
        return freed

    def _set(self, index: int, endpoint: EndpointName, size: int) -> None:
        more = size - self._sizes[index].get(endpoint, 0)
        self._used[index] += more
        self._is_freed |= more < 0
        self._sizes[index][endpoint] = size

    def _order(self, endpoint: EndpointName) -> list[int]:
        """Return all tables: the one that it is in or its home, then the others."""
        first = self.place(endpoint)
        others = [index for index in range(len(self._used)) if index != first]
        return [first, *sorted(others, key=lambda index: _weight(endpoint, index))]


def _weight(endpoint: EndpointName, index: int) -> bytes:
    return hashlib.sha256(f"{endpoint} {index}".encode()).digest()
