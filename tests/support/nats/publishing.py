"""A publisher that runs beside a test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.settings import NatsSettings

__all__ = ["publishing"]


@contextlib.asynccontextmanager
async def publishing(
    settings: NatsSettings,
    on_late: Callable[[], None] = lambda: None,
    on_change: Callable[[bool], None] = lambda _: None,
) -> AsyncIterator[Publisher]:
    """Give a publisher that tries to connect; `wait_reached` waits until it did."""
    publisher = Publisher(settings, "test", on_late=on_late, on_change=on_change)
    running = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
