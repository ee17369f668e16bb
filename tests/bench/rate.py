"""How many webhooks a second: three servers in turn, under wrk, which is not Python.

All get the same requests over as many connections, and take turns within one run, so that whatever
else the machine does hits all. That each 200 was stored is counted after each turn.

A server under test has a core for itself; load generator and nats-server have the others, one on a
machine with two. CPU is given for all three.
"""

import asyncio
import contextlib
import json
import math
import resource
import shutil
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.servers import (
    BenchError,
    Contender,
    all_but_one_core,
    bare_server,
    cpu_seconds,
    move_to,
    plain_server,
    serving_receiver,
)
from bench.webhooks import Size, bodies
from forebay.core.signatures import sign
from support.inputs.corpus import APP_SECRET
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST
from support.traces.otlp_collector import OtlpCollector

__all__ = [
    "CASES",
    "Case",
    "Load",
    "Ratios",
    "Turn",
    "measure_rates",
    "measure_traces",
    "stored_turn",
    "traced_ratio",
]

TRACED: Final = "with traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the load generator sends, and over how many connections."""

    size_kb: Size
    connections: int


CASES: Final = (
    Case(size_kb=0.5, connections=256),
    Case(size_kb=0.5, connections=64),
    Case(size_kb=10.0, connections=64),
    Case(size_kb=100.0, connections=64),
)
"""A connection waits for its answer before it sends again. Over 64 of them the receiver stands idle
for a fifth of the time, until NATS answers; a server that does nothing never does. Over 256 both
are busy all the time."""

BODIES_BYTES: Final = 24_000_000
"""Of different bodies, in the load generator's memory. When they are used up, the next endpoint
gets them, which makes them different again."""

MOST_A_SECOND: Final[dict[Size, int]] = {0.5: 80_000, 10.0: 40_000, 100.0: 15_000}
"""What no server reaches: says how many endpoints a turn may use up."""

WARM_UP_SECONDS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one turn of one server came to; CPU is for each webhook."""

    server: str
    case: Case
    seconds: float
    answers: int
    per_second: float
    cpu_us: float
    nats_cpu_us: float
    load_cpu_us: float
    p50_ms: float
    p99_ms: float
    max_ms: float


class Load:
    """wrk with a script that sends signed webhooks of one size, no two alike."""

    def __init__(self, folder: Path, case: Case, *, first_endpoint: int = 0) -> None:
        """Write the bodies and sign them; they go to the endpoints from `first_endpoint` on."""
        program = shutil.which("wrk")
        if program is None:
            message = "wrk is missing: install it (Debian and Ubuntu: apt-get install wrk)"
            raise BenchError(message)
        self._program = program
        self._case = case
        self._endpoint = first_endpoint
        size = case.size_kb
        self._bodies = folder / f"bodies-{size:g}"
        self._count = int(BODIES_BYTES / max(size, 0.8) / 1000)
        with self._bodies.open("w") as file:
            for body in bodies(size, self._count):
                file.write(f"{sign(APP_SECRET, body.encode())} {body}\n")

    def endpoints(self, seconds: int) -> int:
        """Return how many endpoints a turn may use up."""
        return math.ceil(MOST_A_SECOND[self._case.size_kb] * seconds / self._count) + 1

    async def turn(
        self, contender: Contender, seconds: int, nats_server: NatsServer | None = None
    ) -> Turn:
        """Let one server answer for some seconds.

        Raises:
            BenchError: where it refused a webhook or broke a connection.
        """
        nats_pid = contender.pid if nats_server is None else nats_server.pid
        before = cpu_seconds(contender.pid), cpu_seconds(nats_pid), _ended_children()
        result = await self._wrk(contender.port, seconds)
        after = cpu_seconds(contender.pid), cpu_seconds(nats_pid), _ended_children()
        self._endpoint += self.endpoints(seconds)
        if result["refused"] or result["broken"] or not result["answers"]:
            message = f"{contender.name} did not answer 200 to all: {result}"
            raise BenchError(message)
        answers = int(result["answers"])
        server, nats, load = (
            (then - now) / answers * 1e6 for now, then in zip(before, after, strict=True)
        )
        return Turn(
            server=contender.name,
            case=self._case,
            seconds=result["seconds"],
            answers=answers,
            per_second=answers / result["seconds"],
            cpu_us=server,
            nats_cpu_us=0.0 if nats_server is None else nats,
            load_cpu_us=load,
            p50_ms=result["p50_ms"],
            p99_ms=result["p99_ms"],
            max_ms=result["max_ms"],
        )

    async def _wrk(self, port: int, seconds: int) -> dict[str, float]:
        process = await asyncio.create_subprocess_exec(
            self._program,
            "--threads=1",
            f"--connections={self._case.connections}",
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


def _ended_children() -> float:
    """Return the processor time of all children that have ended: the load generators."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def stored_turn(
    load: Load, contender: Contender, nats_server: NatsServer, seconds: int
) -> Turn:
    """Let a server that stores answer, then count what is in its stream.

    Raises:
        BenchError: where it said 200 more often than there are webhooks in the store.
    """
    stream = str(contender.stream)
    async with nats_server.client() as client:
        context = client.jetstream()
        await context.purge_stream(stream)
        turn = await load.turn(contender, seconds, nats_server)
        stored = (await context.stream_info(stream)).state.messages
    if stored < turn.answers:
        message = f"{turn.answers} webhooks were answered 200, and only {stored} are stored"
        raise BenchError(message)
    return turn


async def measure_rates(
    folder: Path, *, rounds: int, seconds: int, cases: Sequence[Case]
) -> list[Turn]:
    """Let the servers take turns, for each case, and return all turns in their order."""
    turns: list[Turn] = []
    loads: list[Load] = []
    endpoints = 0
    for case in cases:
        load = Load(folder, case, first_endpoint=endpoints)
        endpoints += 3 * (rounds * load.endpoints(seconds) + load.endpoints(WARM_UP_SECONDS))
        loads.append(load)
    async with contextlib.AsyncExitStack() as running:
        core = running.enter_context(all_but_one_core())
        bare = await running.enter_async_context(bare_server(folder))
        receiver, stack = await running.enter_async_context(serving_receiver(folder, endpoints))
        nats_server = stack.nats_server
        plain = await running.enter_async_context(plain_server(folder, nats_server))
        for contender in (bare, receiver, plain):
            move_to(core, contender.pid)
        for load in loads:
            await load.turn(bare, WARM_UP_SECONDS)
            for contender in (receiver, plain):
                await stored_turn(load, contender, nats_server, WARM_UP_SECONDS)
            for _ in range(rounds):
                turns.append(await load.turn(bare, seconds))
                turns.append(await stored_turn(load, receiver, nats_server, seconds))
                turns.append(await stored_turn(load, plain, nats_server, seconds))
    return turns


async def measure_traces(folder: Path, *, rounds: int, seconds: int) -> list[Turn]:
    """Let a receiver without traces and one with (1 %, to a collector) take turns.

    The second to begin changes with each round: the first one meets a colder machine.
    """
    case = CASES[0]
    load = Load(folder, case)
    endpoints = 2 * (rounds * load.endpoints(seconds) + load.endpoints(WARM_UP_SECONDS))
    turns: list[Turn] = []
    async with contextlib.AsyncExitStack() as running:
        core = running.enter_context(all_but_one_core())
        collector = await running.enter_async_context(OtlpCollector())
        without, stack = await running.enter_async_context(serving_receiver(folder, endpoints))
        part = await stack.receiver(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        traced = replace(without, name=TRACED, port=part.port, pid=part.pid)
        pair = [without, traced]
        for contender in pair:
            move_to(core, contender.pid)
            await stored_turn(load, contender, stack.nats_server, WARM_UP_SECONDS)
        for _ in range(rounds):
            turns += [await stored_turn(load, each, stack.nats_server, seconds) for each in pair]
            pair.reverse()
        if not collector.spans:
            message = "the collector got no span"
            raise BenchError(message)
    return turns


def traced_ratio(turns: Sequence[Turn]) -> float:
    """Return the rate with traces as a part of that without: the rounds' median."""
    rates: dict[str, list[float]] = {}
    for turn in turns:
        rates.setdefault(turn.server, []).append(turn.per_second)
    without, traced = rates["receiver"], rates[TRACED]
    return _median(one / other for one, other in zip(traced, without, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """How the receiver compares in one case: medians over the rounds."""

    case: Case
    to_bare: float
    to_fastapi: float
    cpu_to_bare: float
    """Processor time for each webhook, of the servers' own processes."""

    @classmethod
    def of(cls, turns: Sequence[Turn], case: Case) -> "Ratios":
        """Compare the turns of one case."""
        by_server: dict[str, list[Turn]] = {}
        for turn in turns:
            if turn.case == case:
                by_server.setdefault(turn.server, []).append(turn)
        rounds = list(zip(*by_server.values(), strict=True))
        return cls(
            case=case,
            to_bare=_median(taken.per_second / bare.per_second for bare, taken, _ in rounds),
            to_fastapi=_median(taken.per_second / plain.per_second for _, taken, plain in rounds),
            cpu_to_bare=_median(taken.cpu_us / bare.cpu_us for bare, taken, _ in rounds),
        )


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)
