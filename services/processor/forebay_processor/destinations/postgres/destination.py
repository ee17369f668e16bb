"""Destination `postgres`: each item as a row, several in one statement, each row once.

| what comes of it | what follows |
| --- | --- |
| the statement is committed | delivered; rows that were there are left as they are |
| no connection, restart, full disk, read-only, too many connections | tried again, later |
| wrong password, no such database, no right | tried again after pauses up to hours |
| data that PostgreSQL cannot hold, even as text | rejected: a dead letter at once |

A batch is one transaction, and an item's id is in the primary key: if this process or the
connection dies at any moment, the batch is there or not, and is sent again.

`statements` has the SQL, `rows` what it is given, `errors` what a failure means, `tables` the
layout of a schema and its partitions.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import PostgresTarget
from forebay_processor.destinations.network.tls import UnusableTls
from forebay_processor.destinations.port import Attempt, Delivered, Failed, Result, Trouble
from forebay_processor.destinations.postgres.connection import (
    PostgresClient,
    PostgresConnection,
    PostgresTls,
)
from forebay_processor.destinations.postgres.errors import (
    FAILURES,
    REPEATED,
    failure_of,
    is_about_data,
    is_missing_partition,
    sqlstate_of,
)
from forebay_processor.destinations.postgres.rows import PostgresRow, columns_of, has_pairs, row_of
from forebay_processor.destinations.postgres.schema_maintenance import PostgresTables
from forebay_processor.destinations.postgres.statements import storing

__all__ = ["PostgresDestination"]

KEPT_SECONDS: Final = 60.0
"""How long a connection is kept that nobody needs."""

CLOSE_SECONDS: Final = 2.0
"""For a goodbye; then the connection is cut."""

TRIES: Final = 3
"""Of a batch that another one, or a missing partition, was in the way of."""


class PostgresDestination:
    """Stores items in one schema of one database."""

    def __init__(self, target: PostgresTarget, client: PostgresClient) -> None:
        """Prepare; nothing is opened before it is needed, and nothing raises here.

        Args:
            target: Where to, and how.
            client: Opens connections.
        """
        self._target = target
        self._client = client
        self._tls = PostgresTls(target.tls)
        self._tables = PostgresTables(target, self._tls, client)
        self._free: list[tuple[float, PostgresConnection]] = []
        """Connections that nobody uses, with the time on the loop's clock since when."""

        self._sweep: asyncio.TimerHandle | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def deliver(self, attempt: Attempt) -> Result:
        """Store the item, as text where it cannot be held as it is."""
        row = row_of(attempt)
        result, is_data = await self._store(attempt.endpoint, attempt.destination, [row])
        if is_data:
            given = (attempt.endpoint, attempt.destination, [row.as_text()])
            result, _ = await self._store(*given)
        return result

    def encode(self, attempt: Attempt) -> "_Encoded":
        """Return an item as it stands in a batch."""
        return _Encoded(row_of(attempt), attempt.destination)

    async def deliver_batch(
        self,
        endpoint: EndpointName,
        tokens: Sequence[str],  # noqa: ARG002  # the rows have them
        items: Sequence[Any],
        traceparent: str = "",  # noqa: ARG002  # PostgreSQL takes none
    ) -> Result:
        """Store items of one endpoint together."""
        rows = [each.row for each in items]
        result, _ = await self._store(endpoint, items[0].destination, rows)
        return result

    async def _store(
        self, endpoint: EndpointName, destination: str, rows: Sequence[PostgresRow]
    ) -> tuple[Result, bool]:
        """Store rows; returns whether a failure is about what is in them, too."""
        statement = storing(self._target.schema, has_pairs=has_pairs(rows))
        columns = columns_of(rows)
        for tried in range(1, TRIES + 1):
            try:
                async with self._connection(endpoint, destination) as connection:
                    await self._tables.prepare(connection, endpoint, destination, rows)
                    await connection.fetchval(statement, str(endpoint), *columns)
            except UnusableTls as error:
                return Failed(str(error), trouble=Trouble.REFUSED), False
            except FAILURES as error:
                is_partition = is_missing_partition(error)
                if is_partition or sqlstate_of(error).startswith("42"):
                    # Somebody removed what was there: it is looked for anew.
                    self._tables.forget()
                if tried < TRIES and (is_partition or sqlstate_of(error) in REPEATED):
                    continue
                if is_partition:
                    return Failed("sqlstate 23514", trouble=Trouble.DESTINATION), False
                return failure_of(error), is_about_data(error)
            else:
                return Delivered(), False
        raise AssertionError  # the last try returns

    @contextlib.asynccontextmanager
    async def _connection(
        self, endpoint: EndpointName, destination: str
    ) -> AsyncIterator[PostgresConnection]:
        """Lend a connection: a free one, or a new one. There are as many as attempts under way."""
        connection = None
        while self._free and connection is None:
            _, last = self._free.pop()
            connection = None if last.is_closed() else last
        if connection is None:
            connection = await self._client.connect(self._target, self._tls, endpoint, destination)
        is_sound = False
        try:
            yield connection
            is_sound = True
        except FAILURES as error:
            # What the server reports leaves it as it was; of anything else nobody knows.
            is_sound = bool(sqlstate_of(error))
            raise
        finally:
            if is_sound and not connection.is_closed():
                self._put_back(connection)
            else:
                connection.terminate()

    def _put_back(self, connection: PostgresConnection) -> None:
        if self._is_closed:
            self._say_goodbye(connection)
            return
        loop = asyncio.get_running_loop()
        self._free.append((loop.time(), connection))
        if self._sweep is None:
            self._sweep = loop.call_later(KEPT_SECONDS, self._close_unused)

    def _close_unused(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() - KEPT_SECONDS
        while self._free and self._free[0][0] <= latest:
            self._say_goodbye(self._free.pop(0)[1])
        self._sweep = loop.call_later(KEPT_SECONDS, self._close_unused) if self._free else None

    def _say_goodbye(self, connection: PostgresConnection) -> None:
        task = asyncio.get_running_loop().create_task(_close(connection))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    def close(self) -> None:
        """Close connections; attempts that are under way go on."""
        self._is_closed = True
        self._tables.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._free:
            self._say_goodbye(self._free.pop()[1])

    async def wait_closed(self) -> None:
        """Wait until all that `close` has begun is done."""
        await asyncio.gather(*self._goodbyes, self._tables.wait_closed())


class _Encoded:
    """A row and whose destination it is for."""

    __slots__ = ("destination", "row")

    def __init__(self, row: PostgresRow, destination: str) -> None:
        self.row = row
        self.destination = destination

    def __len__(self) -> int:
        return len(self.row)


async def _close(connection: PostgresConnection) -> None:
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except FAILURES:
        connection.terminate()
