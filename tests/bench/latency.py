"""How fast the 200 comes: an open loop at fixed rates, by vegeta, which is not Python.

An open loop sends the next webhook when its time has come, whether or not the last was answered.
The receiver runs as shipped, with one nats-server or with three and streams of three replicas,
which flush to disk every two minutes (the server's default) or before each answer
(`sync_interval: always`).
"""

import asyncio
import base64
import contextlib
import json
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nats.errors import Error as NatsError
from nats.js.errors import APIError
from typing_extensions import override

from bench.disk import flushing
from bench.servers import BenchError, bench_shard
from bench.webhooks import HALF_KB, bodies
from forebay.core.compile import max_in_flight
from forebay.core.resource import Throughput
from forebay.core.signatures import sign
from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.streams import ensure_shard
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import Tables, route
from support.nats.nats_cluster import NatsCluster
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST
from support.programs.processes import Part
from support.timing.wait import eventually

__all__ = ["RATES", "SETUPS", "Latency", "Setup", "measure_latencies", "vegeta_program"]

RATES: Final = (500, 1000, 3300)
"""Webhooks a second."""

IN_FLIGHT: Final = max_in_flight(Throughput(messages_per_second=1000))
"""Of an endpoint whose number sends 1,000 messages/s, which come back as 3,300 webhooks."""

LATE_MS: Final = 250.0
"""The providers' standard for an answer, and what they bear for one in a hundred."""

VERY_LATE_MS: Final = 1000.0

WARM_UP_SECONDS: Final = 2
READY_SECONDS: Final = 30.0
RAW: Final = stream_name(StreamKind.RAW, "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What stands behind the receiver."""

    servers: int
    sync_always: bool

    @override
    def __str__(self) -> str:
        """Return how tables call it."""
        replicas = "one NATS" if self.servers == 1 else f"{self.servers} NATS, R{self.servers}"
        return f"{replicas}, always" if self.sync_always else replicas


SETUPS: Final = tuple(
    Setup(servers=servers, sync_always=always) for servers in (1, 3) for always in (False, True)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """What the answers at one rate took."""

    setup: str
    rate: int
    sent: int
    refused: int
    """Answers that are not 200, and requests without any."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    late: int
    """Answers above 250 ms."""

    very_late: int
    """Answers above 1 s."""

    behind_ms: float
    """How late the load generator itself sent, at the 99th percentile: no part of the others."""

    flush_ms: float | None
    """The slowest flush of another file on that disk meanwhile; None where nobody waits for it."""


def vegeta_program() -> str:
    """Return the load generator.

    Raises:
        BenchError: where it is not there.
    """
    beside = Path(sys.executable).with_name("vegeta")
    found = str(beside) if beside.exists() else shutil.which("vegeta")
    if found is None:
        message = "vegeta is missing: install Go, then `make bench-tools`, or choose --only rate"
        raise BenchError(message)
    return found


async def measure_latencies(
    folder: Path, *, rates: Sequence[int], setups: Sequence[Setup], seconds: int
) -> list[Latency]:
    """Send at every rate to every setup."""
    program = vegeta_program()
    warm_up = _write_targets(folder, "warm", rates[0] * WARM_UP_SECONDS)
    targets = {rate: _write_targets(folder, f"r{rate}", rate * seconds) for rate in rates}
    results: list[Latency] = []
    for number, setup in enumerate(setups):
        place = folder / f"setup-{number}"
        place.mkdir()
        async with _receiver(
            place, setup, [path.stem for path in (warm_up, *targets.values())]
        ) as (
            port,
            nats_server,
        ):
            await _attack(program, warm_up, port, rates[0], WARM_UP_SECONDS)
            for rate, path in targets.items():
                async with nats_server.client() as client:
                    context = client.jetstream()
                    await context.purge_stream(RAW)
                    # Where nobody waits for the disk, flushes would only disturb.
                    async with flushing(place if setup.sync_always else None) as slowest_flush:
                        lines = await _attack(program, path, port, rate, seconds)
                    stored = (await context.stream_info(RAW)).state.messages
                result = _judge(lines, setup, rate, slowest_flush.ms)
                if stored < result.sent - result.refused:
                    message = f"{result.sent} webhooks were sent, and only {stored} are stored"
                    raise BenchError(message)
                results.append(result)
    return results


def _write_targets(folder: Path, endpoint: str, count: int) -> Path:
    """Write signed webhooks to an endpoint in vegeta's form, one a line."""
    path = folder / f"{endpoint}.jsonl"
    with path.open("w") as file:
        for body in bodies(HALF_KB, count, mark=endpoint):
            target: Mapping[str, object] = {
                "method": "POST",
                "url": f"http://receiver.test/v1/webhooks/bench/{endpoint}",
                "header": {
                    "Content-Type": ["application/json"],
                    "X-Hub-Signature-256": [f"sha256={sign(APP_SECRET, body.encode())}"],
                },
                "body": base64.b64encode(body.encode()).decode(),
            }
            file.write(json.dumps(target) + "\n")
    return path


async def _attack(program: str, targets: Path, port: int, rate: int, seconds: int) -> list[str]:
    """Send all targets at a rate; returns a line for each: when, status, nanoseconds, ..."""
    results = targets.with_suffix(".bin")
    attack = await asyncio.create_subprocess_exec(
        *(program, "attack", "-format=json", "-lazy", f"-targets={targets}", f"-rate={rate}"),
        *(f"-duration={seconds}s", "-timeout=10s", "-redirects=-1", "-max-body=0"),
        *(f"-connect-to=receiver.test:80:{HOST}:{port}", f"-output={results}"),
    )
    if await attack.wait():
        message = f"vegeta failed with status {attack.returncode}"
        raise BenchError(message)
    encode = await asyncio.create_subprocess_exec(
        program, "encode", "-to=csv", str(results), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await encode.communicate()
    return output.decode().splitlines()


def _judge(lines: Sequence[str], setup: Setup, rate: int, flush_ms: float | None) -> Latency:
    """Sum up vegeta's lines."""
    answers = sorted(_answer(line) for line in lines)
    if not answers:
        message = "vegeta sent nothing"
        raise BenchError(message)
    began = answers[0][0]
    behind = sorted(sent - began - at / rate for at, (sent, _, _) in enumerate(answers))
    took = sorted(seconds * 1000 for _, _, seconds in answers)
    return Latency(
        setup=str(setup),
        rate=rate,
        sent=len(answers),
        refused=sum(1 for _, status, _ in answers if status != 200),
        p50_ms=_quantile(took, 0.5),
        p99_ms=_quantile(took, 0.99),
        p999_ms=_quantile(took, 0.999),
        max_ms=took[-1],
        late=sum(1 for each in took if each > LATE_MS),
        very_late=sum(1 for each in took if each > VERY_LATE_MS),
        behind_ms=max(0.0, _quantile(behind, 0.99)) * 1000,
        flush_ms=flush_ms,
    )


def _answer(line: str) -> tuple[float, int, float]:
    """Return when a webhook was sent, its status and what it took, in seconds."""
    sent, status, took, _ = line.split(",", 3)
    return int(sent) / 1e9, int(status), int(took) / 1e9


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of sorted values that a share of them does not exceed."""
    return values[max(0, -int(-share * len(values) // 1) - 1)]


@contextlib.asynccontextmanager
async def _receiver(
    folder: Path, setup: Setup, endpoints: Sequence[str]
) -> AsyncIterator[tuple[int, NatsServer]]:
    """Run a receiver with NATS as the setup says; gives its port and a server to ask."""
    async with _nats(folder, setup) as servers:
        tables = Tables(folder / "tables")
        tables.write_routes(
            *(route(f"bench/{endpoint}", max_in_flight=IN_FLIGHT) for endpoint in endpoints)
        )
        part = Part(
            "receiver",
            folder=folder / "receiver",
            nats_url=",".join(server.url for server in servers),
            table_dir=tables.receiver_folder,
        )
        try:
            await part.start()
            yield part.port, servers[0]
        finally:
            await part.close()


@contextlib.asynccontextmanager
async def _nats(folder: Path, setup: Setup) -> AsyncIterator[Sequence[NatsServer]]:
    """Run the servers, with the shard's streams."""
    async with contextlib.AsyncExitStack() as running:
        servers: Sequence[NatsServer]
        if setup.servers == 1:
            server = NatsServer(folder / "nats", sync_always=setup.sync_always)
            servers = [await running.enter_async_context(server)]
        else:
            cluster = NatsCluster(folder, sync_always=setup.sync_always)
            servers = (await running.enter_async_context(cluster)).servers
        shard = bench_shard(replicas=setup.servers)

        async def provisioned() -> bool:
            # The servers of a cluster elect their leader first.
            try:
                async with servers[0].client() as client:
                    await ensure_shard(client, shard)
            except (NatsError, APIError):
                return False
            return True

        await eventually(provisioned, within=READY_SECONDS, saying="the streams to be made")
        yield servers
