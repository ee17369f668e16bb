"""The servers that the benches compare: each a process of its own, started as it is shipped."""

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from nats.js.api import StreamConfig

from bench import plain_route
from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.streams import ShardConfig
from support.inputs.tables import route
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually

__all__ = [
    "BenchError",
    "Contender",
    "all_but_one_core",
    "bare_server",
    "bench_shard",
    "cpu_seconds",
    "move_to",
    "plain_server",
    "serving_receiver",
]

_GIBIBYTE: Final = 1024**3


class BenchError(Exception):
    """The run cannot be counted; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A server under test."""

    name: str
    port: int
    pid: int
    stream: str | None = None
    """Where it stores webhooks, if it does."""


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has had, user and system."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def all_but_one_core() -> Iterator[set[int]]:
    """Keep this process and those that it starts off one core, which is given: for `move_to`.

    A comparison of servers then shows what a core's worth of each does, and not how often the
    kernel put the load generator or nats-server onto it. Where there is one core only, it is
    everybody's.
    """
    cores = os.sched_getaffinity(0)
    server = {min(cores)}
    os.sched_setaffinity(0, cores - server or cores)
    try:
        yield server
    finally:
        os.sched_setaffinity(0, cores)


def move_to(cores: set[int], pid: int) -> None:
    """Let a process run there and nowhere else."""
    for thread in psutil.Process(pid).threads():
        os.sched_setaffinity(thread.id, cores)


def bench_shard(*, replicas: int = 1, raw_gibibytes: int = 1) -> ShardConfig:
    """Return a shard with room for what a turn stores; RAW is emptied before each."""
    return ShardConfig(
        raw_max_bytes=raw_gibibytes * _GIBIBYTE,
        events_max_bytes=_GIBIBYTE // 8,
        retry_max_bytes=_GIBIBYTE // 8,
        dead_max_bytes=_GIBIBYTE // 8,
        index_max_bytes=_GIBIBYTE // 8,
        replicas=replicas,
    )


@contextlib.asynccontextmanager
async def _uvicorn(
    name: str, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[tuple[int, int]]:
    """Run an application under uvicorn as the receiver is run; gives port and process."""
    port = free_port()
    program = Program(f"the {name} server", folder / f"{name}.log")
    program.launch(
        [
            *(sys.executable, "-m", "uvicorn", *arguments, f"--host={HOST}", f"--port={port}"),
            *("--loop=uvloop", "--http=httptools", "--log-level=warning", "--no-access-log"),
            *("--no-date-header", "--no-server-header"),
        ],
        cwd=folder,
        environment={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTHONSAFEPATH": "1",
            **environment,
        },
    )

    async def answers() -> bool:
        program.check()
        try:
            return (await exchange(port, request_bytes("GET", "/"))).status in {200, 404}
        except OSError:
            return False

    try:
        await eventually(answers, saying=f"the {name} server to answer")
        yield port, program.pid
    finally:
        await program.end(signal.SIGTERM, within=10)


@contextlib.asynccontextmanager
async def bare_server(folder: Path) -> AsyncIterator[Contender]:
    """Run the server that does nothing."""
    arguments = ["bench.bare:application", "--lifespan=off"]
    async with _uvicorn("bare", folder, arguments, {}) as (port, pid):
        yield Contender(name="bare", port=port, pid=pid)


@contextlib.asynccontextmanager
async def plain_server(folder: Path, nats_server: NatsServer) -> AsyncIterator[Contender]:
    """Run the plain FastAPI route, with a stream of its own at the given server."""
    async with nats_server.client() as client:
        await client.jetstream().add_stream(
            StreamConfig(
                name=plain_route.STREAM,
                subjects=[plain_route.SUBJECTS],
                max_bytes=4 * _GIBIBYTE,
            )
        )
    environment = {"BENCH_NATS_URL": nats_server.url}
    arguments = ["bench.plain_route:application"]
    async with _uvicorn("plain", folder, arguments, environment) as (port, pid):
        yield Contender(name="fastapi", port=port, pid=pid, stream=plain_route.STREAM)


@contextlib.asynccontextmanager
async def serving_receiver(folder: Path, endpoints: int) -> AsyncIterator[tuple[Contender, Stack]]:
    """Run a receiver as shipped, with a nats-server of its own."""
    async with Stack(folder, shard=bench_shard(raw_gibibytes=4)) as stack:
        stack.tables.write_routes(*(route(f"bench/n{each}") for each in range(endpoints)))
        part = await stack.receiver()
        raw = stream_name(StreamKind.RAW, stack.shard.shard)
        yield Contender(name="receiver", port=part.port, pid=part.pid, stream=raw), stack
