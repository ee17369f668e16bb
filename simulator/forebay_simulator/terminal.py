"""A run as `forebay simulate` shows it: a progress bar, Ctrl-C, and the figures at the end."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from forebay.core.errors import ConfigurationError
from forebay_simulator.ledger import write_ledger
from forebay_simulator.plan import Plan
from forebay_simulator.report import Result
from forebay_simulator.sender import HttpSender
from forebay_simulator.simulation import Simulation

__all__ = ["play"]

REFRESH_SECONDS: Final = 0.25
"""Between two refreshes of the figures: quick enough to follow, next to nothing of a core."""

GC_THRESHOLD: Final = 50_000
"""Allocations between two searches for cycles (Python's own: 700 or 2,000). Tasks and requests die
without help; a collection in their midst would be measured as the receiver's latency."""


def play(plan: Plan, *, as_json: bool, ledger: Path | None) -> Result:
    """Run a plan in this process and print what came of it.

    Args:
        plan: What to play.
        as_json: Whether to print one JSON object instead of the table.
        ledger: A file for one JSON line per webhook.

    Raises:
        ConfigurationError: where the payloads cannot be read or the ledger cannot be written.
    """
    with _opened(ledger) as file:
        with _rare_collections(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            result = runner.run(_watched(plan))
        if file is not None:
            write_ledger(file, result.ledger)
    if as_json:
        print(result.to_json())  # noqa: T201  # plain: rich would wrap and colour it
        if result.advice:
            print(f"forebay simulate: {result.advice}", file=sys.stderr)  # noqa: T201  # as above
    else:
        Console().print(result.to_table())
    return result


async def _watched(plan: Plan) -> Result:
    async with HttpSender(plan.url, timeout=plan.timeout) as sender:
        simulation = Simulation(plan, sender)
        running = asyncio.create_task(simulation.run())
        with _interruptible(simulation, running):
            watching = asyncio.create_task(_show(simulation))
            try:
                return await running
            finally:
                watching.cancel()
                await asyncio.wait([watching])


async def _show(simulation: Simulation) -> None:
    """Draw the progress bar until cancelled; nothing where no one would see it."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    # Not refreshed by a thread: it would take turns with the loop that keeps the schedule.
    with Progress(*columns, console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task("Sending", total=simulation.progress.planned, figures="")
        while True:
            now = simulation.progress
            what = "Waiting" if now.started == now.planned else "Sending"
            figures = f"{now.accepted:,} accepted, {now.refused:,} refused"
            bar.update(task, completed=now.started, description=what, figures=figures)
            bar.refresh()
            await asyncio.sleep(REFRESH_SECONDS)


@contextlib.contextmanager
def _interruptible(simulation: Simulation, running: asyncio.Task[Result]) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) end the run, and a second one break it off."""
    loop = asyncio.get_running_loop()
    asked = False

    def end() -> None:
        nonlocal asked
        if asked:
            running.cancel()
        asked = True
        simulation.stop()

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, end)
    try:
        yield
    finally:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Keep the garbage collector out of the latencies."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[IO[bytes] | None]:
    """Open the ledger before the run: a typing mistake shows at once, not at the end."""
    if path is None:
        yield None
        return
    try:
        file = path.open("wb")
    except OSError as error:
        message = f"the ledger {path} cannot be written: {error.strerror}"
        raise ConfigurationError(message) from error
    with file:
        yield file


def _loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it is installed: a third less work per request."""
    try:
        import uvloop  # noqa: PLC0415  # optional
    except ImportError:
        return None
    return uvloop.Loop
