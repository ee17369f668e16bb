"""A destination `postgres` without a processor, and what its tables hold."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from msgspec.structs import replace

from forebay.core.tables import PostgresTarget
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.port import Attempt, Result
from forebay_processor.destinations.postgres.connection import PostgresClient
from forebay_processor.destinations.postgres.destination import PostgresDestination
from support.destinations.http_destination import LOOPBACK
from support.inputs.events import RECEIVED_AT, attempt_of
from support.inputs.splitting import split

__all__ = ["attempts_of", "serving_postgres", "store"]


@contextlib.asynccontextmanager
async def serving_postgres(
    target: PostgresTarget, guard: Guard | None = None
) -> AsyncIterator[PostgresDestination]:
    """Give a destination as the processor has it; loopback may be reached if nothing is said."""
    names = Names(time.monotonic)
    destination = PostgresDestination(target, PostgresClient(guard or Guard(LOOPBACK), names))
    try:
        yield destination
    finally:
        destination.close()
        await destination.wait_closed()
        await names.close()


async def store(destination: PostgresDestination, attempts: Sequence[Attempt]) -> Result:
    """Deliver items in one batch."""
    items = [destination.encode(each) for each in attempts]
    tokens = [each.token for each in attempts]
    return await destination.deliver_batch(attempts[0].endpoint, tokens, items)


def attempts_of(body: bytes, *, received_at: float = RECEIVED_AT, **changes: Any) -> list[Attempt]:  # noqa: ANN401  # any field of an attempt
    """Return the attempts that a webhook of Meta's leads to."""
    made = (attempt_of(item) for item in split("meta", body, received_at))
    return [replace(each, received_at=received_at, **changes) for each in made]
