"""What the disk does by itself while something is measured: the slowest flush beside it."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

__all__ = ["SlowestFlush", "flushing"]

PAUSE_SECONDS: Final = 0.1
"""Ten flushes a second see a disk that stands still, and are few beside a thousand."""

RECORD: Final = bytes(700)
"""As large as a stored webhook of half a KB."""


class SlowestFlush:
    """What the slowest one took so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self.ms: float | None = None


@contextlib.asynccontextmanager
async def flushing(folder: Path | None) -> AsyncIterator[SlowestFlush]:
    """Append to a file and flush it to disk beside the block, again and again.

    Args:
        folder: On the disk that is asked; None for no disk.
    """
    slowest, is_over = SlowestFlush(), threading.Event()
    if folder is None:
        yield slowest
        return

    def flush() -> None:
        with (folder / "flushed").open("ab", buffering=0) as file:
            while not is_over.wait(PAUSE_SECONDS):
                file.write(RECORD)
                began = time.perf_counter()
                os.fsync(file.fileno())
                slowest.ms = max(slowest.ms or 0.0, (time.perf_counter() - began) * 1000)

    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(flush))
        try:
            yield slowest
        finally:
            is_over.set()
