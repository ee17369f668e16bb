"""The screen of `forebay run` in a terminal of 80 by 24, and `forebay status` beside it."""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.inputs.corpus import APP_SECRET, payload
from support.inputs.tables import PATH
from support.programs.local_run import manifest
from support.programs.ports import HOST, free_port, free_ports
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually

COLUMNS, ROWS = 80, 24
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
LEAVE_SECONDS = 40


class Screen:
    """`forebay run` at a terminal, whose destination is down."""

    def __init__(self, folder: Path) -> None:
        self.ports = free_ports(3)
        self.folder = folder
        self.shown = ""
        file = folder / "endpoint.yaml"
        file.write_text(
            manifest(
                {
                    "name": "crm",
                    "http": {"url": f"http://{HOST}:{free_port()}/in"},
                    "retry": {"initialDelay": "1s"},
                }
            )
        )
        port, admin, processor_admin = map(str, self.ports)
        self.arguments = [
            *(sys.executable, "-m", "forebay", "run", "--file", str(file), "--port", port),
            *("--admin-port", admin, "--processor-admin-port", processor_admin),
        ]

    async def send(self, secret: str) -> int:
        """Send a webhook and return the answer's status."""
        body = payload("messages-text").body
        headers = {**signed(body, secret), "Connection": "close"}
        request = request_bytes("POST", PATH, body=body, headers=headers)
        return (await exchange(self.ports[0], request)).status

    def sees(self, *words: str) -> bool:
        """Say whether all of this stands in one of the lines that were shown."""
        return any(all(word in line for word in words) for line in self.shown.splitlines())


@contextlib.asynccontextmanager
async def terminal(folder: Path) -> AsyncIterator[Screen]:
    """Start it in a terminal, and press Ctrl-C at the end of the block."""
    screen = Screen(folder)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"CI", "COLUMNS", "LINES", "NO_COLOR"}
    }
    process = await asyncio.create_subprocess_exec(
        *screen.arguments,
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "xterm-256color"},
        start_new_session=True,
    )
    os.close(theirs)
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other side is closed
            data = b""
        if data:
            screen.shown += ESCAPES.sub("", data.decode(errors="replace"))
        else:
            loop.remove_reader(ours)

    loop.add_reader(ours, read)
    try:
        yield screen
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), LEAVE_SECONDS)
        loop.remove_reader(ours)
        os.close(ours)


async def status(folder: Path, *options: str) -> tuple[int, str, str]:
    """Return exit code, output and errors of `forebay status`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "forebay", "status", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


@pytest.mark.timeout(60)
async def test_screen_and_status_say_what_goes_wrong(tmp_path: Path) -> None:
    code, output, errors = await status(tmp_path)
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert "nothing runs in" in errors
    assert "forebay run" in errors

    async with terminal(tmp_path) as screen:
        await eventually(lambda: screen.sees("Forebay", "ready in"), within=20)
        assert await screen.send("a-wrong-secret") == 401
        assert await screen.send(APP_SECRET) == 200
        await eventually(
            lambda: screen.sees("✗ demo/meta → crm", "failing: no connection for"),
            within=20,
            saying="the failing destination on the screen",
        )
        await eventually(
            lambda: screen.sees("! demo/meta", "1 not taken, signature_wrong"), within=20
        )
        assert screen.sees("endpoint", "received", "delivered", "waiting", "dead")

        code, output, errors = await status(tmp_path)
        assert (code, errors) == (0, "")
        assert "demo/meta → crm  failing: no connection" in output
        assert "signature_wrong" in output

        code, output, _ = await status(tmp_path, "--json")
        assert code == 0
        found: dict[str, Any] = json.loads(output)
        (endpoint,) = found["endpoints"]
        assert endpoint["endpoint"] == "demo/meta"
        assert endpoint["refused_reasons"] == {"signature_wrong": 1}
        (destination,) = found["destinations"]
        assert destination["destination"] == "crm"
        assert destination["failures"] >= 1
        assert found["parts"]["receiver"] == {"ready": True, "waiting_for": []}
        assert APP_SECRET not in output

    code, _, errors = await status(tmp_path)
    assert code == 1
    assert "nothing runs in" in errors
