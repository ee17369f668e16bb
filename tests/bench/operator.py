"""The operator with a thousand endpoints: from nothing to Ready, standing still, and all deleted.

A real etcd and kube-apiserver (KUBEBUILDER_ASSETS, as for `make controlplane`), a real nats-server
and the real operator process at its defaults; two shared receivers and two processors are played,
which read tables when the operator touches them, as a kubelet does. It prints a line for each step,
each figure with its goal, by the clock and by CPU time, and stops by itself: each step has a limit.

    make bench-operator                                 1,000 Shared, 200 Dedicated: 8 minutes
    make bench-operator ARGS="--endpoints 100 --dedicated 0"              a tenth: 3 minutes
    make bench-operator ARGS="--endpoints 10000"                          what gives way first
    make bench-operator ARGS="--record"                                   keep the result

The goals are those for a thousand, whatever the number. What is measured by the clock is right on a
machine that does nothing else; CPU times are little changed by others' work.
"""

import argparse
import asyncio
import base64
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from bench.records import Goal, Section, goals_section, keep, show
from support.nats.nats_server import NatsServer
from support.operator.control_plane import ControlPlane, KeptApi, assets
from support.operator.operator_process import ENDPOINTS, Forebay, Operator, manifest
from support.operator.played_pool import PlayedPools

Json = Any

ROOT = Path(__file__).parents[2]
CRDS: Final = (
    ROOT / "charts" / "forebay" / "files" / "crds" / "webhookendpoints.yaml",
    ROOT / "tests" / "data" / "input" / "operator" / "httproutes-crd.yaml",
)

READY_SECONDS: Final = 120.0
AFTER_LAST_SECONDS: Final = 20.0
RESIDENT_MIB: Final = 200.0
STILL_PERCENT: Final = 3.0
STILL_NATS_PERCENT: Final = 2.0
RESTART_SECONDS: Final = 30.0
EDIT_SECONDS: Final = 5.0
DELETED_SECONDS: Final = 60.0
"""What is to be reached with a thousand endpoints."""

PATIENCE_SECONDS: Final = 900.0
"""For one step; more for each endpoint beyond a thousand."""

SENDERS: Final = 2
"""Connections by which endpoints are applied, edited and deleted."""

SETTLE_SECONDS: Final = 20.0
"""Before it is measured what standing still costs: two polls."""

PODS: Final = 2
"""Of each shared pool."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """Of one run. Seconds are by the clock where they do not say CPU."""

    endpoints: int
    dedicated: int
    applied_seconds: float = 0.0
    ready_seconds: float = 0.0
    ready_after_last_seconds: float = 0.0
    ready_operator_cpu_seconds: float = 0.0
    ready_api_server_cpu_seconds: float = 0.0
    tables_written: int = 0
    resident_mib: float = 0.0
    still_seconds: float = 0.0
    still_operator_cpu_percent: float = 0.0
    still_nats_cpu_percent: float = 0.0
    still_writes: int = 0
    restart_seconds: float = 0.0
    restart_cpu_seconds: float = 0.0
    restart_writes: int = 0
    edits: int = 0
    edit_seconds_p50: float = 0.0
    edit_seconds_max: float = 0.0
    deleted_seconds: float = 0.0
    deleted_operator_cpu_seconds: float = 0.0
    dedicated_made_seconds: float = 0.0
    dedicated_operator_cpu_seconds: float = 0.0
    dedicated_still_operator_cpu_percent: float = 0.0
    dedicated_deleted_seconds: float = 0.0
    dedicated_resident_mib: float = 0.0


@dataclass(slots=True, kw_only=True)
class Bench:
    """All that runs."""

    forebay: Forebay
    operator: Operator
    plane: ControlPlane
    nats: NatsServer
    senders: list[KeptApi]
    reader: KeptApi
    patience: float
    began: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print a line of progress."""
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)

    async def send(
        self, paths: Sequence[str], ask: Callable[[KeptApi, str], object], rate: float = 0.0
    ) -> list[float]:
        """Send a request for each path, over all connections; returns when each was answered.

        Args:
            paths: What is handed to `ask`.
            ask: Sends one.
            rate: So many a second; 0 for as fast as it goes.
        """
        answered = [0.0] * len(paths)
        began = time.monotonic()

        def work(sender: KeptApi, first: int) -> None:
            for number in range(first, len(paths), len(self.senders)):
                if rate:
                    time.sleep(max(began + number / rate - time.monotonic(), 0.0))
                ask(sender, paths[number])
                answered[number] = time.monotonic()

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(len(self.senders)) as threads:
            works = [
                loop.run_in_executor(threads, work, sender, first)
                for first, sender in enumerate(self.senders)
            ]
            await asyncio.gather(*works)
        return answered

    def create(self, bodies: Sequence[Json], rate: float = 0.0) -> asyncio.Task[list[float]]:
        """Begin to apply endpoints, so many a second; the task is that of `send`."""
        root = self.forebay.path("webhookendpoints", "", self.forebay.tenant).rstrip("/")
        numbered = {str(number): body for number, body in enumerate(bodies)}
        return asyncio.create_task(
            self.send(
                list(numbered), lambda sender, number: sender.create(root, numbered[number]), rate
            )
        )

    async def wait(self, what: str, poll: Callable[[], Awaitable[tuple[int, int]]]) -> float:
        """Wait until all of so many are; says how far it is, and returns when it was so."""
        deadline, said = time.monotonic() + self.patience, 0.0
        while True:
            done, of = await poll()
            now = time.monotonic()
            if done >= of:
                return now
            self.operator.program.check()
            if now > deadline:
                message = (
                    f"{what}: {done:,} of {of:,} after {self.patience:g} s, and no more waiting"
                )
                raise SystemExit(message)
            if now - said > 5.0:
                said = now
                self.say(f"{what}: {done:,} of {of:,}")
            await asyncio.sleep(0.5)

    async def listed(self) -> list[Json]:
        """Return all endpoints."""
        return await asyncio.to_thread(self.reader.items, f"{ENDPOINTS}/webhookendpoints")

    async def versions(self) -> dict[str, str]:
        """Return the version of each endpoint and of each object of ours."""
        found = await asyncio.to_thread(self.forebay.versions)
        return {f"{kind}/{name}": version for (kind, name), version in found.items()}

    def cpu(self, pid: int) -> float:
        """Return the seconds of CPU that a process has had."""
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system

    def resident(self) -> float:
        """Return the operator's memory in MiB."""
        return psutil.Process(self.operator.program.pid).memory_info().rss / 2**20


def shared(bench: Bench, number: int) -> Json:
    """Return one of the Shared endpoints."""
    return manifest(bench.forebay.tenant, f"shop-{number:05d}", receiver={"isolation": "Shared"})


def path_of(bench: Bench, number: int) -> str:
    """Return its path."""
    return bench.forebay.path("webhookendpoints", f"shop-{number:05d}", bench.forebay.tenant)


def count_ready(listed: Sequence[Json]) -> int:
    """Return how many endpoints are Ready, as far as they were edited."""
    return sum(
        any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in (endpoint.get("status") or {}).get("conditions") or ()
        )
        for endpoint in listed
    )


async def make_all(bench: Bench, found: Figures, rate: float) -> None:
    """Apply all, so many a second, and wait until they are Ready."""
    operator = bench.operator.program.pid
    cpu, of_server = bench.cpu(operator), bench.cpu(bench.plane.pid)
    began = time.monotonic()
    sending = bench.create([shared(bench, number) for number in range(found.endpoints)], rate)

    async def ready() -> tuple[int, int]:
        return count_ready(await bench.listed()), found.endpoints

    at = await bench.wait("Ready", ready)
    last = max(await sending)
    found.applied_seconds = last - began
    found.ready_seconds, found.ready_after_last_seconds = at - began, max(at - last, 0.0)
    found.ready_operator_cpu_seconds = bench.cpu(operator) - cpu
    found.ready_api_server_cpu_seconds = bench.cpu(bench.plane.pid) - of_server
    found.tables_written = len(bench.operator.events("table_written"))


async def stand_still(bench: Bench, seconds: float) -> tuple[float, float, int]:
    """Return what standing still costs: percent of a core for the operator and NATS, and writes."""
    await asyncio.sleep(SETTLE_SECONDS)
    before = await bench.versions()
    pids = (bench.operator.program.pid, bench.nats.pid)
    began, cpus = time.monotonic(), [bench.cpu(pid) for pid in pids]
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    of_operator, of_nats = (
        100.0 * (bench.cpu(pid) - cpu) / took for pid, cpu in zip(pids, cpus, strict=True)
    )
    after = await bench.versions()
    return of_operator, of_nats, _changed(before, after)


async def restart(bench: Bench, found: Figures) -> None:
    """Stop the operator, start it, and see how long it takes to have seen all."""
    before = await bench.versions()
    await bench.operator.stop()
    seen = len(bench.operator.events("all_endpoints_reconciled"))
    began = time.monotonic()
    bench.operator.launch()

    async def handled() -> tuple[int, int]:
        return len(bench.operator.events("all_endpoints_reconciled")) - seen, 1

    found.restart_seconds = await bench.wait("all handled after a restart", handled) - began
    found.restart_cpu_seconds = bench.cpu(bench.operator.program.pid)
    # What a pass wrote by mistake is there by the next poll at the latest.
    await asyncio.sleep(SETTLE_SECONDS)
    found.restart_writes = _changed(before, await bench.versions())


def _changed(before: dict[str, str], after: dict[str, str]) -> int:
    return sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())


async def edit(bench: Bench, found: Figures, edits: int) -> None:
    """Edit endpoints at random, and see when each stands in a table."""
    chance = random.Random(16)
    chosen = chance.sample(range(found.endpoints), min(edits, found.endpoints))
    change = [{"op": "add", "path": "/spec/paused", "value": True}]
    paths = [path_of(bench, number) for number in chosen]
    sending = asyncio.create_task(
        bench.send(
            paths,
            lambda sender, path: sender.ask("PATCH", path, change, "application/json-patch+json"),
        )
    )
    seen: dict[str, float] = {}

    async def written() -> tuple[int, int]:
        for name in await asyncio.to_thread(_paused, bench):
            seen.setdefault(name, time.monotonic())
        return len(seen), len(chosen)

    await bench.wait("edits in force", written)
    sent = dict(zip(paths, await sending, strict=True))
    took = sorted(
        max(at - sent[bench.forebay.path("webhookendpoints", name, bench.forebay.tenant)], 0.0)
        for name, at in seen.items()
    )
    found.edits = len(took)
    found.edit_seconds_p50, found.edit_seconds_max = took[len(took) // 2], took[-1]


def _paused(bench: Bench) -> set[str]:
    names = set()
    namespace, owner = bench.forebay.namespace, bench.forebay.name
    path = f"/api/v1/namespaces/{namespace}/secrets?labelSelector=forebay.dev/operator%3D{owner}"
    for secret in bench.reader.items(path):
        for file, data in (secret.get("data") or {}).items():
            if file.startswith("processors-"):
                table = json.loads(base64.b64decode(data))
                names |= {each["name"] for each in table["endpoints"] if each.get("paused")}
    return names


async def delete_all(bench: Bench) -> tuple[float, float]:
    """Delete all endpoints; return the seconds, and the operator's CPU."""
    cpu, began = bench.cpu(bench.operator.program.pid), time.monotonic()
    paths = [
        bench.forebay.path("webhookendpoints", each["metadata"]["name"], bench.forebay.tenant)
        for each in await bench.listed()
    ]
    sending = asyncio.create_task(bench.send(paths, lambda sender, path: sender.delete(path)))

    async def gone() -> tuple[int, int]:
        return len(paths) - len(await bench.listed()), len(paths)

    at = await bench.wait("deleted", gone)
    await sending
    return at - began, bench.cpu(bench.operator.program.pid) - cpu


async def dedicated(bench: Bench, found: Figures, seconds: float) -> None:
    """Make, watch and delete Dedicated ones; no pods are played for them."""
    cpu, began = bench.cpu(bench.operator.program.pid), time.monotonic()
    tenant = bench.forebay.tenant
    sending = bench.create(
        [manifest(tenant, f"own-{number:05d}") for number in range(found.dedicated)]
    )

    async def made() -> tuple[int, int]:
        listed = await bench.listed()
        return sum(_names_no_pod(each) for each in listed), found.dedicated

    at = await bench.wait("Dedicated made", made)
    await sending
    found.dedicated_made_seconds = at - began
    found.dedicated_operator_cpu_seconds = bench.cpu(bench.operator.program.pid) - cpu
    found.dedicated_resident_mib = bench.resident()
    # One that waits for pods is passed once a second in its first minute.
    await asyncio.sleep(70.0)
    found.dedicated_still_operator_cpu_percent, _, _ = await stand_still(bench, seconds)
    found.dedicated_deleted_seconds, _ = await delete_all(bench)


def _names_no_pod(endpoint: Json) -> bool:
    """Say whether all is made, and only pods are missing: nobody plays them."""
    conditions = (endpoint.get("status") or {}).get("conditions") or ()
    return any(
        each["type"] == "ReceiversReady" and each["reason"] == "NoPodReady" for each in conditions
    )


async def measure(folder: Path, chosen: argparse.Namespace) -> Figures:
    """Run all of it."""
    programs = assets()
    if programs is None:
        message = (
            "there is no etcd and kube-apiserver: set KUBEBUILDER_ASSETS to a folder with both, as "
            "for `make controlplane`"
        )
        raise SystemExit(message)
    found = Figures(endpoints=chosen.endpoints, dedicated=chosen.dedicated)
    plane = ControlPlane(folder, programs)
    nats = NatsServer(folder / "nats")
    try:
        crds = [yaml.safe_load(file.read_text()) for file in CRDS]
        await asyncio.to_thread(plane.start, {crd["metadata"]["name"]: crd for crd in crds})
        async with nats:
            forebay = Forebay(folder, plane, "bench", nats.url)
            forebay.secret()
            # At the defaults, not at the short intervals of tests.
            operator = forebay.operator(tables={}, limits={}, shards=[{}])
            bench = Bench(
                forebay=forebay,
                operator=operator,
                plane=plane,
                nats=nats,
                senders=[plane.kept_api() for _ in range(SENDERS)],
                reader=plane.kept_api(),
                patience=max(PATIENCE_SECONDS, chosen.endpoints * 0.9),
            )
            pools = PlayedPools(plane.kept_api(), forebay.namespace, forebay.name)
            for pool in ("receivers", "processors"):
                for number in range(PODS):
                    await pools.add(pool, number)
            async with pools.playing():
                try:
                    await _run(bench, found, chosen)
                finally:
                    if operator.program.running:
                        await operator.kill()
    finally:
        await asyncio.to_thread(plane.stop)
    return found


async def _run(bench: Bench, found: Figures, chosen: argparse.Namespace) -> None:
    await bench.operator.start()
    bench.say(f"the operator runs; {found.endpoints:,} Shared endpoints are applied")
    await make_all(bench, found, chosen.rate)
    bench.say(f"all are Ready after {found.ready_seconds:.1f} s; it stands still")
    found.still_seconds = chosen.still_seconds
    still = await stand_still(bench, chosen.still_seconds)
    found.still_operator_cpu_percent, found.still_nats_cpu_percent, found.still_writes = still
    found.resident_mib = bench.resident()
    bench.say(f"{still[0]:.1f} % of a core, NATS {still[1]:.1f} %; the operator is started again")
    await restart(bench, found)
    bench.say(f"all handled after {found.restart_seconds:.1f} s; {chosen.edits} are edited")
    await edit(bench, found, chosen.edits)
    bench.say(f"the last edit was in force after {found.edit_seconds_max:.1f} s; all are deleted")
    found.resident_mib = max(found.resident_mib, bench.resident())
    found.deleted_seconds, found.deleted_operator_cpu_seconds = await delete_all(bench)
    bench.say(f"all are gone after {found.deleted_seconds:.1f} s")
    if found.dedicated:
        bench.say(f"{found.dedicated:,} Dedicated endpoints are applied")
        await dedicated(bench, found, chosen.still_seconds)
    troubles = bench.operator.troubles()
    if troubles:
        message = "the operator logged errors:\n" + "\n".join(troubles[:10])
        raise SystemExit(message)


def goals(found: Figures) -> list[Goal]:
    """Return what was to be reached."""
    checks = [
        ("Ready, from the first apply", found.ready_seconds, READY_SECONDS, "s"),
        ("Ready, from the last apply", found.ready_after_last_seconds, AFTER_LAST_SECONDS, "s"),
        ("memory of the operator", found.resident_mib, RESIDENT_MIB, "MiB"),
        ("standing still, the operator", found.still_operator_cpu_percent, STILL_PERCENT, "% CPU"),
        ("standing still, NATS", found.still_nats_cpu_percent, STILL_NATS_PERCENT, "% CPU"),
        ("restart, all handled", found.restart_seconds, RESTART_SECONDS, "s"),
        ("the slowest edit in a table", found.edit_seconds_max, EDIT_SECONDS, "s"),
        ("all deleted", found.deleted_seconds, DELETED_SECONDS, "s"),
    ]
    judged = [
        Goal(
            what=f"{what}: under {limit:g} {unit}",
            reached=f"{value:.1f} {unit}",
            holds=value < limit,
        )
        for what, value, limit, unit in checks
    ]
    for what, writes in (("standing still", found.still_writes), ("restart", found.restart_writes)):
        judged.append(Goal(what=f"{what}: no write", reached=str(writes), holds=not writes))
    return judged


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-operator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--endpoints", type=int, default=1000, help="Shared ones; default: 1000")
    parser.add_argument(
        "--dedicated", type=int, default=200, help="Dedicated ones, after those; default: 200"
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=20.0,
        help="applied a second; 0 for as fast as it goes; default: 20, as kubectl does",
    )
    parser.add_argument("--edits", type=int, default=100, help="at random; default: 100")
    parser.add_argument(
        "--still-seconds",
        type=float,
        default=60.0,
        help="how long it is measured what standing still costs; default: 60",
    )
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    if chosen.endpoints < 1 or chosen.dedicated < 0 or chosen.edits < 1:
        parser.error("--endpoints and --edits have to be 1 or more, --dedicated 0 or more")
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        found = asyncio.run(measure(Path(name), chosen))
    judged = goals(found)
    sections = [
        Section(
            title=f"{found.endpoints:,} Shared endpoints, then {found.dedicated:,} Dedicated ones",
            columns=("what", "figure"),
            rows=[
                (
                    name.replace("_", " "),
                    f"{value:,.1f}" if isinstance(value, float) else f"{value:,}",
                )
                for name, value in asdict(found).items()
            ],
        ),
        goals_section(judged),
    ]
    show(sections)
    if chosen.record:
        keep("bench-operator", "The operator with many endpoints", sections, asdict(found))
    return int(not all(goal.holds for goal in judged))


if __name__ == "__main__":
    sys.exit(main())
