"""A receiver with its extra alone, as its image has it: quick to start, small at rest."""

import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from support.inputs.tables import PATH, route
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST, free_ports
from support.programs.program import Program
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually

COMMAND = Path(__file__).parents[2] / ".venv" / "receiver" / "bin" / "forebay"

START_SECONDS = 1.0
"""From the start of the process to the 200 of the first webhook."""

MEMORY_BYTES = 80 * 1024 * 1024
ATTEMPTS = 5
"""Starts of which the quickest counts: the first one may still have to compile modules."""


class Alone:
    """One receiver from the environment of its own."""

    def __init__(self, stack: Stack) -> None:
        """Prepare; nothing runs before `start`."""
        self.port, self.admin_port = free_ports(2)
        self.program = Program("the receiver", stack.folder / f"receiver-{self.port}.log")
        self._folder = stack.folder
        self._settings = {
            "FOREBAY_NATS_URL": stack.nats_server.url,
            "FOREBAY_TABLE_DIR": str(stack.tables.receiver_folder),
            "FOREBAY_RECEIVER_HOST": HOST,
            "FOREBAY_RECEIVER_PORT": str(self.port),
            "FOREBAY_RECEIVER_ADMIN_HOST": HOST,
            "FOREBAY_RECEIVER_ADMIN_PORT": str(self.admin_port),
            "FOREBAY_RECEIVER_DRAIN_SECONDS": "0",
        }

    async def start(self) -> float:
        """Start it and send a webhook until one is stored; returns the seconds that this took.

        What the process waited for a processor that others had is left out: a busy machine says
        nothing of a receiver.
        """
        if not COMMAND.exists():
            message = f"{COMMAND} is missing: run the system tests by `make system`"
            raise AssertionError(message)
        inherited = {name: text for name, text in os.environ.items() if name[:8] != "FOREBAY_"}
        began = time.monotonic()
        self.program.launch(
            [str(COMMAND), "receiver"],
            cwd=self._folder,
            environment={**inherited, "PYTHONSAFEPATH": "1", **self._settings},
        )
        await eventually(self._stores, within=30, saying="the first webhook to be stored")
        return time.monotonic() - began - waited_for_a_processor(self.program.pid)

    async def _stores(self) -> bool:
        self.program.check()
        body = b'{"object": "whatsapp_business_account"}'
        request = request_bytes("POST", PATH, headers=signed(body), body=body)
        with contextlib.suppress(OSError, EOFError):
            return (await exchange(self.port, request)).status == 200
        return False


def waited_for_a_processor(pid: int) -> float:
    """Return the seconds that a process was ready to run and had no processor (Linux only)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give a NATS with its streams, and a table of one endpoint."""
    server = NatsServer(tmp_path / "nats")
    async with Stack(tmp_path, nats_server=server) as running:
        running.tables.write_routes(route())
        yield running


async def test_from_its_start_to_the_first_webhook_is_less_than_a_second(stack: Stack) -> None:
    took: list[float] = []
    for _ in range(ATTEMPTS):
        alone = Alone(stack)
        try:
            took.append(await alone.start())
        finally:
            await alone.program.end(signal.SIGKILL, within=10)
    assert min(took) < START_SECONDS


async def test_at_rest_it_takes_less_than_80_mib(stack: Stack) -> None:
    alone = Alone(stack)
    try:
        await alone.start()
        ready = request_bytes("GET", "/readyz", headers={"Connection": "close"})
        assert (await exchange(alone.admin_port, ready)).status == 200
        assert (await exchange(alone.admin_port, ready)).status == 200
        assert psutil.Process(alone.program.pid).memory_info().rss < MEMORY_BYTES
    finally:
        await alone.program.end(signal.SIGKILL, within=10)
