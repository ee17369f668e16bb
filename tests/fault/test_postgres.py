"""PostgreSQL is killed, its connections are cut, the processor is killed: every row is there once.

`make bench-postgres` is the long form, with 100,000 items.
"""

from pathlib import Path

from forebay.core.tables import Batch
from support.destinations.postgres_server import PostgresServer, needs_postgres
from support.processor.postgres_drill import postgres_drill

pytestmark = needs_postgres


async def test_every_row_is_there_once_whatever_is_killed(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path) as server:
        found = await postgres_drill(
            tmp_path,
            server,
            1500,
            batch=Batch(max_items=50, max_wait_seconds=0.02),
            with_faults=True,
            within=50,
        )
    assert found.is_right, found
    assert len(found.events) == 3
