"""`forebay run` as a newcomer meets it: one command, a URL, a `curl` that works when pasted."""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.inputs.corpus import PAYLOADS
from support.programs.ports import HOST, free_ports
from support.programs.program import Program
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually

ROOT = Path(__file__).parents[2]

VECTOR = "sha256=1f1493568c1985c585d53ec781abf43c469b8ac602822c3ebfb1ac6c82c4ea5a"
"""Of messages-text.json under the examples' app secret, from the corpus."""


class Run:
    """`forebay run` as a process."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.ports = free_ports(3)
        self.folder = folder
        self.data = folder / "data"
        self.program = Program("forebay run", folder / f"run-{self.ports[0]}.log")
        self._options = options

    def launch(self) -> None:
        """Start it on the examples and return at once."""
        port, admin, processor_admin = (str(each) for each in self.ports)
        self.program.launch(
            [
                *(sys.executable, "-m", "forebay", "run", "--file", str(ROOT / "examples")),
                *("--data-dir", str(self.data), "--port", port, "--admin-port", admin),
                *("--processor-admin-port", processor_admin, *self._options),
            ],
            cwd=self.folder,
        )

    async def ready(self) -> dict[str, Any]:
        """Wait for the ready line of `--json` and return what it says."""

        def found() -> dict[str, Any]:
            self.program.check()
            records = [json.loads(line) for line in self.program.lines() if line[:1] == "{"]
            return records[-1] if records else {}

        return await eventually(found, within=20, saying="the ready line")

    async def ended(self) -> int:
        """Wait until it ended by itself; return its exit code."""
        await eventually(lambda: not self.program.running, within=20)
        with pytest.raises(AssertionError, match="has ended with status") as caught:
            self.program.check()
        return int(str(caught.value).split("status ")[1].split(";")[0])


@contextlib.asynccontextmanager
async def running(folder: Path, *options: str) -> AsyncIterator[Run]:
    run = Run(folder, *options)
    run.launch()
    try:
        yield run
    finally:
        if run.program.running:
            await run.program.end(signal.SIGTERM, within=40)


def items(data: Path) -> list[dict[str, Any]]:
    """Return what the `log` destinations wrote."""
    log = data / "logs" / "processor.log"
    lines = log.read_text().splitlines() if log.exists() else []
    records = [json.loads(line) for line in lines if line[:1] == "{"]
    return [record for record in records if record.get("event") == "item"]


async def test_a_pasted_curl_gets_200_and_its_item_reaches_the_destination(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    async with running(tmp_path, "--json") as run:
        ready = await run.ready()
        assert ready["seconds"] < 5
        assert [each["endpoint"] for each in ready["endpoints"]] == ["demo/d360", "demo/meta"]
        for endpoint in ready["endpoints"]:
            shell = await asyncio.create_subprocess_shell(
                f"{endpoint['curl']} --silent",
                cwd="/",
                stdout=asyncio.subprocess.PIPE,
            )
            answer, _ = await shell.communicate()
            assert answer.startswith(b"HTTP/1.1 200"), endpoint["curl"]
        await eventually(lambda: len(items(run.data)) == 2, saying="both items in the log")
        assert {record["endpoint"] for record in items(run.data)} == {"meta", "d360"}
        assert all(record["destination"] == "log" for record in items(run.data))
        pids = ready["pids"].values()
        assert await run.program.end(signal.SIGINT, within=40) == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_the_examples_take_the_corpus_and_a_second_start_goes_on(tmp_path: Path) -> None:
    body = PAYLOADS["messages-text"].body

    async def send(run: Run) -> int:
        headers = {"X-Hub-Signature-256": VECTOR, "Connection": "close"}
        request = request_bytes("POST", "/v1/webhooks/demo/meta", body=body, headers=headers)
        return (await exchange(run.ports[0], request)).status

    async with running(tmp_path, "--json") as run:
        await run.ready()
        assert await send(run) == 200
        await eventually(lambda: items(run.data), saying="the item in the log")
    async with running(tmp_path, "--json") as run:
        await run.ready()
        assert await send(run) == 200
        # What comes after the repeat shows that the repeat has been worked off.
        other = PAYLOADS["messages-text-reply"].body
        request = request_bytes(
            "POST",
            "/v1/webhooks/demo/d360",
            body=other,
            headers={"Authorization": "Bearer example-token", "Connection": "close"},
        )
        assert (await exchange(run.ports[0], request)).status == 200
        await eventually(lambda: len(items(run.data)) > 1, saying="the second item in the log")
    assert [record["endpoint"] for record in items(run.data)] == ["meta", "d360"]


async def test_without_a_terminal_the_facts_come_as_lines(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        await eventually(lambda: any("ready in" in line for line in run.program.lines()), within=20)
        base = f"http://{HOST}:{run.ports[0]}/v1/webhooks/demo"
        await eventually(lambda: "NATS" in run.program.tail())
        text = "\n".join(run.program.lines())
    assert f"demo/meta  {base}/meta  to log (log)" in text
    assert sum(line.startswith("curl -i ") for line in text.splitlines()) == 2
    assert f"http://{HOST}:{run.ports[1]}/metrics" in text
    assert str(Path("data") / "logs" / "receiver.log") in text
    assert run.program.lines()[-1] == f"stopped; what is stored waits in {run.data / 'nats'}"


async def test_quiet_prints_the_urls_and_that_all_is_ready(tmp_path: Path) -> None:
    async with running(tmp_path, "--quiet") as run:
        await eventually(lambda: len(run.program.lines()) == 3, within=20)
        base = f"http://{HOST}:{run.ports[0]}/v1/webhooks/demo"
    lines = run.program.lines()
    assert lines[:2] == [f"demo/d360  {base}/d360", f"demo/meta  {base}/meta"]
    assert lines[2].startswith("ready in ")
    assert len(lines) == 3


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.mark.parametrize("option", ["--port", "--admin-port", "--processor-admin-port"])
async def test_a_port_that_is_taken_is_reported_with_the_option_that_changes_it(
    option: str, taken: int, tmp_path: Path
) -> None:
    async with running(tmp_path, option, str(taken)) as run:
        assert await run.ended() == 2
    [line] = run.program.lines()
    assert line == (
        f"forebay: port {taken} on {HOST} is taken: "
        f"stop what listens there, or choose another with {option}"
    )


async def test_a_data_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    async with running(tmp_path) as run:
        assert await run.ended() == 2
    [line] = run.program.lines()
    assert line.endswith("choose another one with --data-dir")


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_a_run_that_was_killed_takes_its_parts_along_and_can_start_again(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "--json") as run:
        parts = [psutil.Process(pid) for pid in (await run.ready())["pids"].values()]
        await run.program.end(signal.SIGKILL, within=5)
        # At once, on the same folder and ports: it waits for what is left of the one before.
        run.program.log = tmp_path / "second.log"
        run.launch()
        again = await run.ready()
    assert not any(part.is_running() for part in parts)
    assert again["ready"] is True
