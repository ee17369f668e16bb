"""Brings a schema to the latest version of the tables, by Alembic.

Alembic is SQLAlchemy's own, and speaks by SQLAlchemy: neither is imported before a schema has to be
changed (`tables` imports this module then, in a thread). The connection is ours: address,
TLS and time limits are those of every other one.
"""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from forebay_processor.destinations.postgres.connection import PostgresConnection
from forebay_processor.destinations.postgres.errors import FAILURES
from forebay_processor.destinations.postgres.statements import schema_lock

__all__ = ["MIGRATIONS", "upgrade"]

MIGRATIONS: Final = Path(__file__).parent / "migrations"


async def upgrade(own: PostgresConnection, schema: str) -> None:
    """Make a schema with its tables, or add what a later version has; one transaction.

    Args:
        own: A connection that nobody else uses; closed at the end. One in this process at a time:
            Alembic's `op` and `context` are the process'.
        schema: Its name.

    Raises what the client raises (`errors.FAILURES`), also where SQLAlchemy has wrapped
    it: one who is locked out, or may not create, is reported as with any other statement.
    """

    async def lend() -> PostgresConnection:
        return own

    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lend, poolclass=NullPool, hide_parameters=True
    )
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, schema)
    except DBAPIError as error:
        cause = None if error.orig is None else error.orig.__cause__
        if isinstance(cause, FAILURES):
            raise cause from error
        raise
    finally:
        await engine.dispose()
        own.terminate()


def _upgrade(connection: Connection, schema: str) -> None:
    connection.exec_driver_sql(
        "select pg_advisory_xact_lock(hashtextextended($1, 0))", (schema_lock(schema),)
    )
    # What stands in the way now makes others wait behind us.
    connection.exec_driver_sql("set local lock_timeout = '5s'")
    # Not `if not exists`: that asks for the right to create though there is nothing to do.
    found = connection.exec_driver_sql("select to_regnamespace($1)", (f'"{schema}"',))
    if found.scalar() is None:
        connection.exec_driver_sql(f'create schema "{schema}"')
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes.update(connection=connection, schema=schema)
    command.upgrade(config, "head")
