"""`forebay run` with a destination `postgres`: from a manifest and its Secret to rows."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from support.destinations.postgres_server import PASSWORD, USER, PostgresServer, needs_postgres
from support.programs.local_run import LocalRun
from support.programs.ports import HOST
from support.timing.wait import eventually

pytestmark = needs_postgres

ITEMS: Final = 20


async def test_webhooks_become_rows(tmp_path: Path) -> None:
    reference = {"secretKeyRef": {"name": "warehouse", "key": "dsn"}}
    destination = {"name": "warehouse", "postgres": {"dsn": reference, "schemaName": "shop"}}
    async with PostgresServer(tmp_path) as server:
        dsn = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{HOST}:{server.port}/{USER}"
        running = LocalRun(
            tmp_path, destination, secrets={"warehouse": {"dsn": f"{dsn}?sslmode=disable"}}
        )
        async with running:
            await running.simulate("--rate", "20", "--duration", "1")

            async def stored() -> bool:
                there = await server.rows("shop", "select to_regclass('events') is not null")
                if there != [(True,)]:
                    return False
                rows = await server.value("shop", "select count(*) from events")
                return int(rows) >= ITEMS

            await eventually(stored, within=20, saying="the rows")
        assert PASSWORD not in (tmp_path / "run.log").read_text()
