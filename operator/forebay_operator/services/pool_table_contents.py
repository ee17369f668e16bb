"""What the tables of one pool are to say, and what they said when they were written last.

An endpoint that grows out of its table goes to another one in two steps, so that pods that read one
file before the other never miss it: it is written into the new table while the old one still has
what it had; once every pod has read the new one, it leaves the old one. If the operator dies in
between, it finds the endpoint in two tables at its next start, and goes on.

A table that the API server refuses is written without what is new in it, but for one endpoint at a
time: so a refusal meets the endpoint that it is about.
"""

from typing import Generic, TypeVar

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import ProcessorEndpoint, ReceiverRoute, entry_bytes
from forebay_operator.services.table_placement import TableAllocator

__all__ = ["Entry", "PoolEntries"]

Entry = TypeVar("Entry", ReceiverRoute, ProcessorEndpoint)


class PoolEntries(Generic[Entry]):
    """The entries of one pool, by table."""

    def __init__(self, count: int) -> None:
        """Begin with `count` empty tables."""
        self._allocator = TableAllocator(count)
        self._wanted: list[dict[EndpointName, Entry]] = [{} for _ in range(count)]
        self._leftovers: list[dict[EndpointName, Entry]] = [{} for _ in range(count)]
        self._written: list[dict[EndpointName, Entry]] = [{} for _ in range(count)]
        self._unwritten: list[set[EndpointName]] = [set() for _ in range(count)]
        self._left: dict[EndpointName, set[int]] = {}

    # --- what is wanted

    def load(self, index: int, entries: tuple[Entry, ...]) -> None:
        """Take what stands in a table at the start."""
        for entry in entries:
            name = entry.endpoint
            if self._allocator.is_placed(name):
                self._leftovers[index][name] = entry
                self._left.setdefault(name, set()).add(index)
            else:
                self._wanted[index][name] = entry
            self._written[index][name] = entry
            self._allocator.adopt(name, entry_bytes(entry), index)

    def names(self) -> set[EndpointName]:
        """Return all endpoints that are to be in a table."""
        return {name for table in self._wanted for name in table}

    def place(self, endpoint: EndpointName) -> int:
        """Return the table that an endpoint is in, or would be."""
        return self._allocator.place(endpoint)

    def get(self, endpoint: EndpointName) -> Entry | None:
        """Return what is to stand of an endpoint."""
        return self._wanted[self.place(endpoint)].get(endpoint)

    def put(self, entry: Entry) -> bool:
        """Set what is to stand of an endpoint; False, and all as it was, if no table has room."""
        name = entry.endpoint
        if entry == self.get(name):
            return True
        before = self.place(name) if self._allocator.is_placed(name) else None
        index = self._allocator.reserve(name, entry_bytes(entry))
        if index is None:
            return False
        if before is not None and before != index:
            self._wanted[before].pop(name, None)
            self._leave(name, before)
        self._leftovers[index].pop(name, None)
        self._left.get(name, set()).discard(index)
        self._wanted[index][name] = entry
        self._unwritten[index].add(name)
        return True

    def remove(self, endpoint: EndpointName) -> None:
        """Take an endpoint out of every table; where it stood is kept for who asks later."""
        found = self.indices(endpoint)
        for index in found:
            self._wanted[index].pop(endpoint, None)
            self._leftovers[index].pop(endpoint, None)
            self._allocator.release(endpoint, index)
            if endpoint in self._written[index]:
                self._unwritten[index].add(endpoint)
        self._left[endpoint] = set(found)

    def take_freed(self) -> bool:
        """Say whether any table got room since this was asked last."""
        return self._allocator.take_freed()

    def write_again(self, index: int, endpoint: EndpointName) -> None:
        """Take it that something about an endpoint is not written in a table yet."""
        self._unwritten[index].add(endpoint)

    def _leave(self, name: EndpointName, index: int) -> None:
        """Keep what stands of an endpoint in a table that it grew out of."""
        standing = self._written[index].get(name)
        if standing is None:
            self._allocator.release(name, index)
            self._unwritten[index].discard(name)
            return
        self._leftovers[index][name] = standing
        self._left.setdefault(name, set()).add(index)

    # --- tables that an endpoint grew out of

    def has_left(self, endpoint: EndpointName) -> bool:
        """Say whether an endpoint grew out of a table, and pods may have read that one last."""
        return bool(self._left.get(endpoint))

    def leftovers(self, endpoint: EndpointName) -> list[int]:
        """Return the tables that an endpoint stands in besides its own."""
        return [index for index, table in enumerate(self._leftovers) if endpoint in table]

    def drop_leftover(self, endpoint: EndpointName, index: int) -> None:
        """Take an endpoint out of a table that it grew out of."""
        del self._leftovers[index][endpoint]
        self._allocator.release(endpoint, index)
        self._unwritten[index].add(endpoint)

    def forget_left(self, endpoint: EndpointName) -> None:
        """Take it that no pod has what a table said of an endpoint before it left."""
        self._left.pop(endpoint, None)

    # --- writing

    def indices(self, endpoint: EndpointName) -> list[int]:
        """Return every table that says, is to say, or still said something of an endpoint."""
        found = {self.place(endpoint), *self._left.get(endpoint, ())}
        found |= {index for index, names in enumerate(self._unwritten) if endpoint in names}
        return sorted(found)

    def is_written(self, endpoint: EndpointName, index: int) -> bool:
        """Say whether a table says of an endpoint what it is to say in the end."""
        return endpoint not in self._unwritten[index] and endpoint not in self._leftovers[index]

    def news(self, index: int) -> set[EndpointName]:
        """Return the endpoints of which a table does not say yet what it is to say."""
        return set(self._unwritten[index])

    def content(self, index: int, only: EndpointName | None = None) -> dict[EndpointName, Entry]:
        """Return what a table is to say.

        Args:
            index: Which.
            only: The one endpoint whose news are to be in it; None for all of them.
        """
        whole = self._wanted[index] | self._leftovers[index]
        if only is None:
            return whole
        entries = dict(self._written[index])
        entries.pop(only, None)
        if only in whole:
            entries[only] = whole[only]
        return entries

    def begin(self, index: int, names: set[EndpointName]) -> None:
        """Take news as written; what comes for them meanwhile makes them news again."""
        self._unwritten[index] -= names

    def failed(self, index: int, names: set[EndpointName]) -> None:
        """Take it back."""
        self._unwritten[index] |= names

    def done(self, index: int, content: dict[EndpointName, Entry]) -> None:
        """Take it that a table says this now."""
        self._written[index] = content
