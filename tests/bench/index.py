"""The index of a million items: how long a question takes, and what the index costs.

A real nats-server with a file store gets what processors would have written, in batches as they
would have been: of 192 hours, the whole age of the index, over which a million items came evenly (a
record or two in a message); and of one hour in which they all came. Then the commands are run as a
person runs them, from the start of the process to its end.

    make bench-index                             a million items each: some minutes, 2 GB of disk
    make bench-index ARGS="--items 100000"       a tenth
    make bench-index ARGS="--record"             keep the result in docs/results/

Records have the times at which they are stored, as a stream's messages have no other: an hour of
192 is the last 192nd part of them.
"""

import argparse
import asyncio
import gc
import os
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

from bench.records import Goal, Progress, Section, goals_section, keep, show
from forebay.core.index_records import IndexRecord, encode_records
from forebay.core.subjects import StreamKind, index_stream, index_subject
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.streams import ShardConfig, stream_config
from forebay.runtime.settings import NatsSettings
from support.nats.index_history import batches, make_index, message_of
from support.nats.nats_server import NatsServer
from support.nats.publishing import publishing

GIBIBYTE = 1024**3

AT_ONCE = 500

SECONDS = 60.0

ROUNDS = 3

MANY_LINES = 100_000
"""What prints more is run once: it takes half a minute."""

WAMID_SECONDS = 2.0
HOUR_SECONDS = 5.0
"""What is to be reached with a million items."""

HOURS = (192.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one index. Seconds are those of whole commands, the smallest of some runs."""

    hours: float
    items: int
    messages: int
    stream_mib: float
    disk_mib: float
    disk_bytes_an_item: int
    nats_memory_mib: float
    """What nats-server has more than before, after it was filled."""

    no_question_seconds: float
    """A command that asks for nothing: Python and imports, which all others have too."""

    ls_wamid_seconds: float
    ls_wamid_cpu_seconds: float
    """Of the command's process: what remains of the time on a busy machine."""

    show_seconds: float
    ls_hour_json_seconds: float
    hour_items: int
    ls_hour_table_seconds: float
    """The first hundred of the same hour."""

    ls_hour_table_cpu_seconds: float

    command_mib: float
    """What the largest command took of memory."""


async def measure(folder: Path, items: int, hours: float) -> Figures:
    """Fill an index and ask it."""
    server = NatsServer(folder / "nats")
    server.patience_seconds = SECONDS
    async with server:
        before = psutil.Process(server.pid).memory_info().rss
        since, hour_items = await _fill(server, items, hours)
        memory = psutil.Process(server.pid).memory_info().rss - before
        # What is asked for is on disk, and not in the server's memory.
        await server.restart()
        async with server.client() as client:
            state = (await client.jetstream().stream_info(index_stream("0"))).state
        asked = message_of(items // 2 + 1)
        runs = {
            "no_question": (("--version",), 1),
            "ls_wamid": (("events", "ls", "--wamid", asked, "--json"), 1),
            "show": (("events", "show", asked, "--json"), 1),
            "ls_hour_json": (("events", "ls", "--since", since, "--json"), hour_items),
            "ls_hour_table": (("events", "ls", "--since", since), min(hour_items, 100) + 2),
        }
        took: dict[str, float] = {}
        worked: dict[str, float] = {}
        largest = 0
        for name, (arguments, lines) in runs.items():
            for _ in range(ROUNDS if lines <= MANY_LINES else 1):
                before_cpu = _cpu_of_children()
                seconds, printed, resident = await _run(server.url, *arguments)
                cpu = _cpu_of_children() - before_cpu
                if printed != lines:
                    text = f"{' '.join(arguments)} printed {printed:,} lines and not {lines:,}"
                    raise AssertionError(text)
                took[name] = min(took.get(name, seconds), seconds)
                worked[name] = min(worked.get(name, cpu), cpu)
                largest = max(largest, resident)
        disk = _on_disk(folder)
    return Figures(
        hours=hours,
        items=items,
        messages=state.messages,
        stream_mib=round(state.bytes / 2**20, 1),
        disk_mib=round(disk / 2**20, 1),
        disk_bytes_an_item=round(disk / items),
        nats_memory_mib=round(memory / 2**20, 1),
        no_question_seconds=round(took["no_question"], 2),
        ls_wamid_seconds=round(took["ls_wamid"], 2),
        ls_wamid_cpu_seconds=round(worked["ls_wamid"], 2),
        show_seconds=round(took["show"], 2),
        ls_hour_json_seconds=round(took["ls_hour_json"], 2),
        hour_items=hour_items,
        ls_hour_table_seconds=round(took["ls_hour_table"], 2),
        ls_hour_table_cpu_seconds=round(worked["ls_hour_table"], 2),
        command_mib=round(largest / 2**20, 1),
    )


async def _fill(server: NatsServer, items: int, hours: float) -> tuple[str, int]:
    """Store records; return since when the last hour is, and how many items it has."""
    async with server.client() as client:
        await make_index(client, max_bytes=20 * GIBIBYTE)
        # `show` asks them for what waits and what is dead.
        for kind in (StreamKind.RETRY, StreamKind.DEAD):
            await client.jetstream().add_stream(stream_config(kind, ShardConfig()))
    progress, done = Progress("items", items), 0
    last_hour = int((hours - 1) * 3_600_000)
    since, latest, in_hour = 0, 0, set[str]()
    async with publishing(NatsSettings(url=server.url)) as publisher:
        await publisher.wait_reached()
        answers: list[asyncio.Future[PubAck]] = []
        for bucket, records in batches(items, items / hours / 3600, 0):
            if not since and records[0].at >= last_hour:
                await asyncio.gather(*answers)
                answers.clear()
                # Later than every record: those of second attempts are of a second ahead.
                await asyncio.sleep(max(0.0, (latest + 1) / 1000 - time.time()))
                since = int(time.time() * 1000)
            shift = int(time.time() * 1000) - records[0].at
            moved = [_moved(each, shift) for each in records]
            latest = max(latest, *(each.at for each in moved))
            if since:
                in_hour.update(each.token for each in moved)
            payload = encode_records(moved)
            answers.append(publisher.send(index_subject("0", bucket), payload, {}, SECONDS))
            done += len(records)
            if len(answers) >= AT_ONCE:
                await asyncio.gather(*answers)
                answers.clear()
                progress.reached(done // 2)
        await asyncio.gather(*answers)
    return datetime.fromtimestamp(since / 1000, UTC).isoformat(), len(in_hour)


def _moved(record: IndexRecord, millis: int) -> IndexRecord:
    return msgspec.structs.replace(record, at=record.at + millis)


async def _run(url: str, *arguments: str) -> tuple[float, int, int]:
    """Run a command; return its seconds, its lines, and its bytes of memory at most."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "forebay",
        *arguments,
        env={**os.environ, "FOREBAY_NATS_URL": url, "PYTHONSAFEPATH": "1"},
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    watched, resident = psutil.Process(process.pid), 0
    lines = 0
    assert process.stdout is not None
    while chunk := await process.stdout.read(2**20):
        lines += chunk.count(b"\n")
        resident = max(resident, _resident(watched))
    code = await process.wait()
    took = time.monotonic() - began
    if code:
        text = f"forebay {' '.join(arguments)} ended with {code}"
        raise AssertionError(text)
    return took, lines, resident


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _on_disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def goals(found: Figures) -> list[Goal]:
    """Return what was to be reached."""
    over = f"{found.items:,} items over {found.hours:g} h"
    return [
        Goal(
            what=f"{over}: ls by wamid below {WAMID_SECONDS:g} s",
            reached=f"{found.ls_wamid_seconds} s",
            holds=found.ls_wamid_seconds < WAMID_SECONDS,
        ),
        Goal(
            what=f"{over}: ls by hour below {HOUR_SECONDS:g} s",
            reached=f"{found.ls_hour_table_seconds} s",
            holds=found.ls_hour_table_seconds < HOUR_SECONDS,
        ),
    ]


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-index",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--hours", type=float, nargs="+", default=HOURS, help="default: 192 and 1")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen = parser.parse_args()
    gc.disable()  # millions of objects that are in no cycle
    found = []
    for hours in chosen.hours:
        with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
            found.append(asyncio.run(measure(Path(name), chosen.items, hours)))
    rows = list(zip(*(asdict(each).items() for each in found), strict=True))
    judged = [goal for each in found for goal in goals(each)]
    sections = [
        Section(
            title="The index, and questions to it",
            columns=("what", *(f"over {each.hours:g} h" for each in found)),
            rows=[
                (row[0][0].replace("_", " "), *(f"{figure:,}" for _, figure in row))
                for row in rows
                if row[0][0] != "hours"
            ],
        ),
        goals_section(judged),
    ]
    show(sections)
    if chosen.record:
        keep("bench-index", "The index", sections, {"indexes": [asdict(each) for each in found]})
    return int(not all(goal.holds for goal in judged))


if __name__ == "__main__":
    sys.exit(main())
