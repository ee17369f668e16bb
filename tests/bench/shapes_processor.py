"""What the worst bodies of 4 MiB cost a processor, and what other endpoints wait meanwhile.

One processor as shipped, one nats-server, destinations that answer at once. An endpoint gets
bodies of one shape, one after the other; another endpoint gets small webhooks at a steady rate. For
each shape: a phase without it, and one with it. How long the loop was held is seen from outside: by
a question to the admin port every 5 ms. Then a history of 2.9 MB in one body, against the same
messages in bodies of one.

    make bench-shapes                                all
    python -m bench.shapes_processor --only lists    some shapes
    make bench-shapes ARGS="--record"                keep the result in docs/results/
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from bench.records import Goal, Section, goals_section, keep, show
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RawSubject, StreamKind, endpoint_partition, stream_name
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.jetstream.streams import ShardConfig
from forebay.runtime.settings import NatsSettings
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import texts
from support.inputs.tables import endpoint, http_destination
from support.nats.publishing import publishing
from support.processor.neighbours import percentile
from support.programs.processes import Part
from support.programs.stack import Stack
from support.timing.wait import eventually

LARGEST: Final = 4 * 1024 * 1024
RAW: Final = stream_name(StreamKind.RAW, "0")
EVENTS: Final = stream_name(StreamKind.EVENTS, "0")

RATE: Final = 100
"""Small webhooks a second of the other endpoint."""

RSS_GOAL_MIB: Final = 256
RATIO_GOAL: Final = 1.5
HISTORY_GOAL: Final = 0.5

BASELINE_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 300.0
STORE_SECONDS: Final = 30.0

OTHERS, WORST = EndpointName("demo", "others"), EndpointName("demo", "worst")

_GIBIBYTE: Final = 1024**3
_SHARD: Final = ShardConfig(
    raw_max_bytes=_GIBIBYTE,
    events_max_bytes=_GIBIBYTE,
    retry_max_bytes=_GIBIBYTE,
    dead_max_bytes=_GIBIBYTE,
)


def _webhook(value: str, field: str = "messages") -> bytes:
    metadata = '"messaging_product":"whatsapp","metadata":{"phone_number_id":"1065"}'
    change = f'{{"field":"{field}","value":{{{metadata},{value}}}}}'
    entry = f'{{"id":"1022","changes":[{change}]}}'
    return f'{{"object":"whatsapp_business_account","entry":[{entry}]}}'.encode()


def _filled(part: str, before: str = "", size: int = LARGEST) -> bytes:
    count = (size - 400 - len(before)) // (len(part) + 1)
    return _webhook(f'{before}"messages":[{",".join([part] * count)}]')


def _messages(count: int, mark: str) -> Iterator[str]:
    for number in range(count):
        text = "hello there how are you, a message of moderate length"
        yield json.dumps(
            {
                "from": "15550000008",
                "id": f"wamid.HBgLMTU1NTAwMDAwMDgVAgASGBQzQUE5{mark}{number:06}",
                "timestamp": str(1795930000 + number),
                "type": "text",
                "text": {"body": text},
                "history_context": {"status": "READ"},
            },
            separators=(",", ":"),
        )


def history(messages: list[str], threads: int = 60) -> bytes:
    """Return a history of these messages, in so many threads."""
    parts = [
        f'{{"id":"1555{number:07}","messages":[{",".join(own)}]}}'
        for number in range(threads)
        if (own := messages[number::threads])
    ]
    return _webhook(f'"history":[{{"threads":[{",".join(parts)}]}}]', "history")


def _statuses(count: int, mark: str) -> bytes:
    parts = (
        f'{{"id":"wamid.HBgLMTU1NTAwMDAwMDgVAgARGBI{mark}{number:06}","status":"sent",'
        f'"timestamp":"1795930000","recipient_id":"1555{number % 997:07}",'
        '"pricing":{"billable":true,"pricing_model":"PMP","category":"marketing"}}'
        for number in range(count)
    )
    return _webhook(f'"statuses":[{",".join(parts)}]')


def _small_messages(count: int, mark: str) -> bytes:
    return _webhook(f'"messages":{json.dumps([{"id": f"{mark}{n}"} for n in range(count)])}')


SHAPES: Final[dict[str, Callable[[str], bytes]]] = {
    "empty messages, 1.9 KB beside": lambda _: _filled("{}", f'"x":"{"y" * 1850}",'),
    "zeros": lambda _: _filled("0"),
    "lists": lambda _: _filled("[0]"),
    "lists in lists": lambda _: _filled("[[0]]"),
    "objects": lambda _: _filled('{"a":{"b":0}}'),
    "quotes": lambda _: _filled('{"id":"' + '\\"' * 2000 + '"}'),
    "one long text": lambda mark: _webhook(
        f'"messages":[{{"id":"{mark}{"x" * (LARGEST - 400)}"}}]'
    ),
    "70,000 small messages": lambda mark: _small_messages(70_000, mark),
    "changes without items": lambda _: _webhook('"a":0').replace(
        b'"changes":[', b'"changes":[' + b'{"field":"x","value":{}},' * 160_000
    ),
    "deep": lambda _: _filled('{"id":' + "[" * 500 + "]" * 500 + "}"),
    "history of 15,000 messages": lambda mark: history(list(_messages(15_000, mark))),
    "18,000 statuses": lambda mark: _statuses(18_000, mark),
}
"""Each is of 4 MiB at most; the last ones are what a provider could send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one shape cost."""

    shape: str
    mebibytes: float
    items: int
    set_aside: int
    seconds: float
    peak_rss_mib: float
    before_p99_ms: float
    p99_ms: float
    loop_p99_ms: float
    loop_max_ms: float


class Rig:
    """The stack, with two endpoints and one processor."""

    def __init__(
        self, stack: Stack, sinks: tuple[QuickSink, QuickSink], publisher: Publisher
    ) -> None:
        self._stack = stack
        self._others, self._worst = sinks
        self._publisher = publisher
        self.processor: Part
        self._small = texts(10_000_000, "OTHER")
        self._sent: dict[str, float] = {}

    async def begin(self) -> None:
        """Start the processor."""
        self._stack.tables.write_endpoints(
            endpoint(http_destination(self._others.url()), name=str(OTHERS)),
            endpoint(http_destination(self._worst.url()), name=str(WORST)),
        )
        self.processor = await self._stack.processor()

    async def store(self, name: EndpointName, body: bytes, lane: Lane) -> None:
        """Store a webhook as a receiver does."""
        subject = RawSubject("0", endpoint_partition(name, "0"), lane, name)
        headers = {
            "Forebay-Received-At": str(int(time.time() * 1000)),
            "Forebay-Endpoint": str(name),
        }
        await self._publisher.publish(str(subject), body, headers, STORE_SECONDS)

    @contextlib.asynccontextmanager
    async def others_going_on(self) -> AsyncIterator[None]:
        """Store small webhooks at a steady rate until the end of the block."""

        async def send() -> None:
            due = time.monotonic()
            for webhook in self._small:
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._sent[webhook.token] = time.time()
                await self.store(OTHERS, webhook.body, Lane.LIVE)

        task = asyncio.create_task(send())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def waits(self, start: float, end: float) -> list[float]:
        """Return what small webhooks took that were stored between two moments, in ms."""

        async def all_came() -> bool:
            return await self._others.count() >= len(self._sent) - 1

        await eventually(all_came, within=PATIENCE_SECONDS, saying="the others' webhooks")
        came = dict(await self._others.arrivals())
        return [
            (came[token] - at) * 1000
            for token, at in self._sent.items()
            if start <= at <= end and token in came
        ]

    async def is_worked_off(self) -> bool:
        """Say whether nothing of the worst endpoint waits any more."""
        load = json.loads((await self.processor.admin("/load")).body)
        lanes = load["lanes"]
        return bool(lanes["bulk"]["items"] == lanes["invalid"]["items"] == 0)

    async def count(self, metric: str, **labels: str) -> int:
        """Read one of the processor's counters."""
        return int(await self.processor.metric(metric, endpoint="worst", **labels))


async def _watch(processor: Part, peaks: list[float], lags: list[float]) -> None:
    """Note the processor's memory, and how long its loop takes to answer."""
    process = psutil.Process(processor.pid)
    while True:
        peaks.append(process.memory_info().rss / 1024**2)
        began = time.perf_counter()
        await processor.admin("/livez")
        lags.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)


async def measure(rig: Rig, shape: str, count: int) -> Cost:
    """Store bodies of one shape beside the others' webhooks."""
    bodies = [SHAPES[shape](f"{number}z") for number in range(count)]
    assert all(len(body) <= LARGEST for body in bodies), shape
    items = await rig.count("forebay_processor_items_total")
    aside = await rig.count("forebay_processor_webhooks_total", outcome="invalid")
    done = await rig.count("forebay_processor_webhooks_total")
    peaks: list[float] = []
    lags: list[float] = []
    async with rig.others_going_on():
        start = time.time()
        await asyncio.sleep(BASELINE_SECONDS)
        begin = time.time()
        watching = asyncio.create_task(_watch(rig.processor, peaks, lags))
        for body in bodies:
            await rig.store(WORST, body, Lane.BULK)

        async def is_over() -> bool:
            ended = await rig.count("forebay_processor_webhooks_total") - done
            return ended >= count and await rig.is_worked_off()

        await eventually(is_over, within=PATIENCE_SECONDS, saying=shape)
        end = time.time()
        watching.cancel()
    before, meanwhile = await rig.waits(start, begin), await rig.waits(begin, end)
    return Cost(
        shape=shape,
        mebibytes=round(sum(map(len, bodies)) / 1024**2, 1),
        items=await rig.count("forebay_processor_items_total") - items,
        set_aside=await rig.count("forebay_processor_webhooks_total", outcome="invalid") - aside,
        seconds=round(end - begin, 1),
        peak_rss_mib=round(max(peaks)),
        before_p99_ms=round(percentile(before, 0.99), 1),
        p99_ms=round(percentile(meanwhile or before, 0.99), 1),
        loop_p99_ms=round(percentile(lags, 0.99), 1),
        loop_max_ms=round(max(lags), 1),
    )


async def rate_of(rig: Rig, sink: QuickSink, bodies: list[bytes], items: int) -> float:
    """Store these bodies, and return how many items a second arrived."""
    await sink.forget()
    began = time.monotonic()
    for body in bodies:
        await rig.store(WORST, body, Lane.BULK)

    async def all_came() -> bool:
        return await sink.count() >= items

    await eventually(all_came, within=PATIENCE_SECONDS, saying="the history")
    return items / (time.monotonic() - began)


async def run(folder: Path, shapes: list[str], count: int) -> tuple[list[Cost], dict[str, float]]:
    """Measure all shapes, each with a processor of its own, and the history."""
    costs: list[Cost] = []
    rates: dict[str, float] = {}
    for number, shape in enumerate([*shapes, ""]):
        own = folder / str(number)
        for sink in ("others", "worst"):
            (own / sink).mkdir(parents=True)
        async with (
            Stack(own, shard=_SHARD) as stack,
            QuickSink(own / "others") as others,
            QuickSink(own / "worst") as worst,
            publishing(NatsSettings(url=stack.nats_server.url)) as publisher,
        ):
            await publisher.wait_reached()
            rig = Rig(stack, (others, worst), publisher)
            await rig.begin()
            if shape:
                costs.append(await measure(rig, shape, count))
                continue
            messages = list(_messages(12_000, "w"))
            singles = list(_messages(12_000, "s"))
            rates["one body"] = await rate_of(rig, worst, [history(messages)], 12_000)
            one_by_one = [
                history([each], 1).replace(b"15550000000", b"1555%07d" % (n % 60))
                for n, each in enumerate(singles)
            ]
            rates["bodies of one"] = await rate_of(rig, worst, one_by_one, 12_000)
    return costs, rates


def goals(costs: list[Cost], rates: dict[str, float]) -> list[Goal]:
    """Hold what was found to what was wanted."""
    peak = max((cost.peak_rss_mib for cost in costs), default=0)
    ratio = max((cost.p99_ms / cost.before_p99_ms for cost in costs), default=0)
    share = rates["one body"] / rates["bodies of one"]
    return [
        Goal(
            what=f"memory of the processor, at most {RSS_GOAL_MIB} MiB",
            reached=f"{peak:.0f} MiB",
            holds=peak <= RSS_GOAL_MIB,
        ),
        Goal(
            what=f"the other endpoint's p99, at most {RATIO_GOAL} times",
            reached=f"{ratio:.2f}",
            holds=ratio <= RATIO_GOAL,
        ),
        Goal(
            what=f"a history in one body, at least {HISTORY_GOAL} of the rate in bodies of one",
            reached=f"{share:.2f}",
            holds=share >= HISTORY_GOAL,
        ),
    ]


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make bench-shapes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="*", default=None, help="shapes whose name holds this")
    parser.add_argument("--bodies", type=int, default=3, help="bodies of each shape")
    parser.add_argument("--record", action="store_true", help="keep the result in docs/results/")
    chosen, _ = parser.parse_known_args()
    shapes = [
        shape
        for shape in SHAPES
        if chosen.only is None or any(piece in shape for piece in chosen.only)
    ]
    with tempfile.TemporaryDirectory(prefix="forebay-bench-") as name:
        costs, rates = asyncio.run(run(Path(name), shapes, chosen.bodies))
    sections = [
        goals_section(goals(costs, rates)),
        Section(
            title=f"Bodies of one shape, {chosen.bodies} of each, beside {RATE} small webhooks/s",
            columns=(
                "shape",
                "MiB",
                "items",
                "set aside",
                "s",
                "peak RSS MiB",
                "others' p99 before",
                "and with, ms",
                "loop p99",
                "loop max, ms",
            ),
            rows=[
                tuple(
                    f"{value:,}" if not isinstance(value, str) else value
                    for value in asdict(cost).values()
                )
                for cost in costs
            ],
        ),
        Section(
            title="A history of 12,000 messages, from RAW to the destination",
            columns=("form", "items/s"),
            rows=[(form, f"{rate:,.0f}") for form, rate in rates.items()],
        ),
    ]
    show(sections)
    if chosen.record:
        found = {"shapes": [asdict(cost) for cost in costs], "history": rates}
        keep("bench-shapes-processor", "The worst bodies, at a processor", sections, found)
    return int(not all(goal.holds for goal in goals(costs, rates)))


if __name__ == "__main__":
    sys.exit(main())
