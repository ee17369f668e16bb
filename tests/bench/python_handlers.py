"""Events a second through a processor's `python` destination, with a handler that awaits 50 ms.

    make init && .venv/bin/python tests/bench/python_handlers.py [--items 6000] [--in-flight 64]

A real nats-server and a real processor; items of 300 people, 50 in a webhook, are stored as fast as
NATS takes them. The handler writes down each event, and the bench holds the order of each
conversation, and that each event came once, against what was stored. The rate is that of the
middle eight tenths.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from forebay.core.tables import Destination, PythonTarget  # noqa: E402  # after the path
from support.processor.processor_harness import ProcessorHarness, token, webhook  # noqa: E402
from support.timing.wait import eventually  # noqa: E402

HANDLER = """
import asyncio, os, time

FILE = open(os.environ["BENCH_FILE"], "a", buffering=1)

async def handle(event):
    await asyncio.sleep(0.05)
    FILE.write(f"{time.time()} {event.conversation} {event.id}\\n")
"""

PEOPLE = 300


async def main(items: int, in_flight: int) -> str:
    """Run once and return what came of it, as a line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "handler.py").write_text(HANDLER)
        out = folder / "calls"
        out.touch()
        harness = ProcessorHarness(
            folder / "stack",
            FOREBAY_PROCESSOR_PYTHON_MODULES="handler",
            FOREBAY_PROCESSOR_PYTHON_PATH=str(folder),
            BENCH_FILE=str(out),
        )
        async with harness as running:
            target = PythonTarget(handler="handler:handle", max_in_flight=in_flight)
            expected: dict[str, list[str]] = collections.defaultdict(list)
            await running.serve("bench", Destination(name="bot", python=target))
            began = time.time()
            for start in range(0, items, 50):
                messages = [
                    (f"wamid.{number}", f"1555{number % PEOPLE:07d}")
                    for number in range(start, min(start + 50, items))
                ]
                for own, person in messages:
                    expected[person].append(token(own))
                await running.store("bench", webhook(*messages))
            stored = time.time()
            # What is missing then is seen in the result.
            with contextlib.suppress(AssertionError):
                await eventually(lambda: out.read_bytes().count(b"\n") >= items, within=120)
        calls = [line.split() for line in out.read_text().splitlines()]
        order: dict[str, list[str]] = collections.defaultdict(list)
        for _, conversation, own in calls:
            order[conversation].append(own)
        in_order = sorted(order.values()) == sorted(expected.values())
        times = sorted(float(at) for at, _, _ in calls)
        # The middle of it: neither the first import nor the end, where few are left.
        low, high = times[len(times) // 10], times[-len(times) // 10]
        rate = 0.8 * len(times) / (high - low)
        return json.dumps(
            {
                "items": len(calls),
                "of": items,
                "in_order_each_once": in_order,
                "per_second": round(rate),
                "stored_in_s": round(stored - began, 2),
                "all_in_s": round(times[-1] - began, 2),
            }
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=6000, help="events in all")
    parser.add_argument("--in-flight", type=int, default=64, help="`maxInFlight`")
    options = parser.parse_args()
    sys.stdout.write(asyncio.run(main(options.items, options.in_flight)) + "\n")
