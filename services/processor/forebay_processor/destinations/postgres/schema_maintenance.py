"""The layout of a destination's schema: its version, its partitions, and what is removed from it.

Whoever comes first to a schema brings it to the version of this processor, under an advisory lock:
of several processors that start at once the others wait and find it done. A schema that is newer
is left as it is; a version only adds, so an older processor goes on.

`events` has one partition for each day (UTC) of receipt. A day's partition is made before its first
row, by whoever has that row, and `AHEAD` days before by the hourly `keep_up`; it is built beside
`events` and then attached, which locks out neither readers nor writers. `keep_up` also removes what
is older than `retentionDays`, under a lock that one processor has at a time: whole partitions of
`events`, rows of `messages` and `conversations`. Where destinations share a schema the longest wish
holds, and one that keeps everything keeps it for all.

If the process dies: each step is a transaction of its own, and the next round finds what is left.
"""

import asyncio
import contextlib
import importlib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import PostgresTarget
from forebay_processor.destinations.postgres.connection import (
    PostgresClient,
    PostgresConnection,
    PostgresTls,
)
from forebay_processor.destinations.postgres.errors import FAILURES, failure_of, sqlstate_of
from forebay_processor.destinations.postgres.rows import PostgresRow
from forebay_processor.destinations.postgres.statements import (
    AGES,
    LATEST_VERSION,
    PARTITION_PREFIX,
    VERSION_TABLE,
    longest_wish,
    partition_of,
    schema_lock,
    too_old,
    wish,
)

__all__ = ["PostgresTables"]

AHEAD: Final = 3
"""Days for which partitions are there before they are needed."""

ROUND_SECONDS: Final = 3600.0
AGAIN_SECONDS: Final = 300.0
"""After a round that failed."""

LAYOUT_SECONDS: Final = 60.0
"""For what changes the layout, the wait for another processor's lock included."""

DROP_SECONDS: Final = 2
"""How long the removal of a partition waits for readers: writers wait behind it meanwhile."""

REMOVED: Final = 5000
"""Rows in one transaction."""

_log = structlog.get_logger(__name__)


class PostgresTables:
    """Knows what of a schema is there, and sees to the rest."""

    def __init__(self, target: PostgresTarget, tls: PostgresTls, client: PostgresClient) -> None:
        """Know nothing yet; see `PostgresDestination`."""
        self._target = target
        self._tls = tls
        self._client = client
        self._schema = target.schema
        self._is_current = False
        self._days: set[date] = set()
        """Whose partitions are there."""

        self._lock = asyncio.Lock()
        """One connection of this process at a time changes the layout."""

        self._upkeep: asyncio.Task[None] | None = None
        self._is_closed = False

    def forget(self) -> None:
        """Look again for what was there."""
        self._is_current = False
        self._days.clear()

    def close(self) -> None:
        """End the upkeep."""
        self._is_closed = True
        if self._upkeep is not None:
            self._upkeep.cancel()

    async def wait_closed(self) -> None:
        """Wait until the upkeep has ended."""
        if self._upkeep is not None:
            await asyncio.gather(self._upkeep, return_exceptions=True)

    async def prepare(
        self,
        connection: PostgresConnection,
        endpoint: EndpointName,
        destination: str,
        rows: Iterable[PostgresRow],
    ) -> None:
        """See to it that rows have tables and partitions; does nothing where they have.

        Raises what the client raises, of `FAILURES`.
        """
        days = {row.received_at.date() for row in rows}
        if self._is_current and days <= self._days:
            return
        async with asyncio.timeout(LAYOUT_SECONDS), self._lock:
            if not self._is_current:
                await self._bring_up_to_date(connection, endpoint, destination)
                self._is_current = True
            await self._make_partitions(connection, days - self._days)
        if self._upkeep is None and not self._is_closed:
            self._upkeep = asyncio.get_running_loop().create_task(
                self._keep_up_hourly(endpoint, destination), name="postgres-upkeep"
            )

    # -- versions

    async def _bring_up_to_date(
        self, connection: PostgresConnection, endpoint: EndpointName, destination: str
    ) -> None:
        if await self._version(connection) >= LATEST_VERSION:
            return
        # Alembic and what it needs are 30 MB, for who has such a destination only; the loop goes
        # on while they are read.
        upgrading = await asyncio.to_thread(
            importlib.import_module, "forebay_processor.destinations.postgres.upgrade"
        )
        async with self._client.upgrading(endpoint):
            own = await self._client.connect(
                self._target, self._tls, endpoint, destination, statement_seconds=LAYOUT_SECONDS
            )
            await upgrading.upgrade(own, self._schema)

    async def _version(self, connection: PostgresConnection) -> str:
        """Return the version of the layout; empty where there is none."""
        table = f'"{self._schema}".{VERSION_TABLE}'
        if await connection.fetchval("select to_regclass($1)", table) is None:
            return ""
        return str(await connection.fetchval(f"select max(version_num) from {table}") or "")  # noqa: S608  # held to a pattern

    # -- partitions

    async def _make_partitions(self, connection: PostgresConnection, days: Iterable[date]) -> None:
        for day in sorted(days):
            name = partition_of(day)
            after = day + timedelta(days=1)
            table, events = f'"{self._schema}".{name}', f'"{self._schema}".events'
            async with connection.transaction():
                await self._take_lock(connection)
                if await connection.fetchval("select to_regclass($1)", table) is None:
                    await connection.execute(f"create table {table} (like {events} including all)")
                    await connection.execute(
                        f"alter table {events} attach partition {table} "
                        f"for values from ('{day} 00:00+00') to ('{after} 00:00+00')"
                    )
            self._days.add(day)

    async def _take_lock(self, connection: PostgresConnection) -> None:
        await connection.execute(
            "select pg_advisory_xact_lock(hashtextextended($1, 0))", schema_lock(self._schema)
        )

    # -- upkeep

    async def _keep_up_hourly(self, endpoint: EndpointName, destination: str) -> None:
        while True:
            pause = ROUND_SECONDS
            try:
                await self.keep_up(endpoint, destination)
            except Exception as error:  # noqa: BLE001  # it is not to end before its destination
                pause = AGAIN_SECONDS
                is_known = isinstance(error, FAILURES)
                _log.warning(
                    "postgres_upkeep_failed",
                    namespace=endpoint.namespace,
                    endpoint=endpoint.name,
                    destination=destination,
                    error=failure_of(error).error if is_known else type(error).__name__,
                )
            await asyncio.sleep(pause)

    async def keep_up(self, endpoint: EndpointName, destination: str) -> None:
        """Make the next days' partitions, and remove what is too old.

        Raises what the client raises, of `FAILURES`.
        """
        connection = await self._client.connect(
            self._target, self._tls, endpoint, destination, statement_seconds=LAYOUT_SECONDS
        )
        try:
            today = datetime.now(UTC).date()
            ahead = {today + timedelta(days=each) for each in range(AHEAD + 1)}
            async with self._lock:
                await self._make_partitions(connection, ahead - self._days)
            days = await self._retention_days(connection, endpoint, destination)
            if days:
                await self._remove(connection, today - timedelta(days=days))
        finally:
            with contextlib.suppress(*FAILURES):
                await connection.close(timeout=1)

    async def _retention_days(
        self, connection: PostgresConnection, endpoint: EndpointName, destination: str
    ) -> int:
        """Say what this destination wishes, and return for how long rows are kept; 0 for ever."""
        await connection.execute(
            wish(self._schema), str(endpoint), destination, self._target.retention_days
        )
        return int(await connection.fetchval(longest_wish(self._schema)) or 0)

    async def _remove(self, connection: PostgresConnection, first: date) -> None:
        """Remove what was received before a day."""
        for name in await self._partitions(connection):
            if name >= partition_of(first):
                break
            try:
                async with connection.transaction():
                    await self._take_lock(connection)
                    await connection.execute(f"set local lock_timeout = '{DROP_SECONDS}s'")
                    await connection.execute(f'drop table if exists "{self._schema}".{name}')
            except FAILURES as error:
                if not sqlstate_of(error).startswith("55"):
                    raise
                # Somebody reads it, and everybody would wait behind us: the next round.
                break
            with contextlib.suppress(ValueError):
                self._days.discard(_day_of(name))
        limit = datetime(first.year, first.month, first.day, tzinfo=UTC)
        for table in AGES:
            statement, removed = too_old(self._schema, table), REMOVED
            while removed >= REMOVED:
                tag = await connection.execute(statement, limit, REMOVED)
                removed = int(tag.rpartition(" ")[2])

    async def _partitions(self, connection: PostgresConnection) -> Sequence[str]:
        """Return the partitions that are there, the oldest first."""
        found = await connection.fetch(
            "select child.relname from pg_inherits "
            "join pg_class child on child.oid = inhrelid "
            "where inhparent = to_regclass($1) and child.relname ~ $2 order by 1",
            f'"{self._schema}".events',
            f"^{PARTITION_PREFIX}[0-9]{{8}}$",
        )
        return [str(each[0]) for each in found]


def _day_of(name: str) -> date:
    return datetime.strptime(name.removeprefix(PARTITION_PREFIX), "%Y%m%d").date()  # noqa: DTZ007  # a day
