"""What a webhook, an item and a kept key cost, as this repository's benchmarks measured it.

For `forebay.core.sizing`. Each figure names the page that it stands on, the day on which it was
measured and the words by which it is found there; `tests/unit/test_measured_costs.py` looks them
up. Of several rounds it is the worst one. All of them are of 2 cores that the load generator, NATS
and the part itself shared.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

__all__ = [
    "ASSUMPTIONS",
    "MEASURED",
    "MeasuredCost",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCost:
    """One figure, and where it comes from."""

    value: float
    unit: str
    what: str
    """What the figure is of, for a person."""

    page: str
    """The page, from the repository's root."""

    measured: date
    """The day of the measurement."""

    quote: str
    """Words of that page that hold the figure, in one line of it."""


RECEIVER_CPU: Final = MeasuredCost(
    value=36.6,
    unit="us",
    what="receiver's CPU for a webhook of 0.5 KB, worst of five rounds",
    page="docs/results/bench-receiver.md",
    measured=date(2026, 11, 23),
    quote="| 0.5 | 256 | receiver | 24,098 | 36.6 | 22.0 |",
)

RECEIVER_CPU_KB: Final = MeasuredCost(
    value=3.7,
    unit="us",
    what="and for each further KB of its body: (392.2 - 28.7) / 99.5, the extremes of both sizes",
    page="docs/results/bench-receiver.md",
    measured=date(2026, 11, 23),
    quote="| 100 | 64 | receiver | 2,317 | 392.2 | 213.9 |",
)

RECEIVER_RATE: Final = MeasuredCost(
    value=3300,
    unit="webhooks/s",
    what="highest rate at which one receiver's latency was measured (p99 36.7 ms, none refused)",
    page="docs/results/bench-receiver.md",
    measured=date(2026, 11, 23),
    quote="| 3 NATS, R3, always | 3,300 | 99,000 | 0 | 8.35 | 36.71 |",
)

RECEIVER_MEMORY: Final = MeasuredCost(
    value=62.2,
    unit="MiB",
    what="a receiver's memory after a million webhooks",
    page="docs/results/soak.md",
    measured=date(2026, 11, 23),
    quote="| highest_mib | 62.2 |",
)

PROCESSOR_CPU: Final = MeasuredCost(
    value=245.6,
    unit="us",
    what="processor's CPU to split and deliver an item, worst of five rounds",
    page="docs/results/bench-processor.md",
    measured=date(2026, 11, 23),
    quote="| both | forebay | 39,936 | 4,070 | 245.6 | 64.9 | 0 |",
)

NATS_STORE_CPU: Final = MeasuredCost(
    value=22.0,
    unit="us",
    what="nats-server's CPU to store a webhook of 0.5 KB, worst of ten rounds but one",
    page="docs/results/bench-receiver.md",
    measured=date(2026, 11, 23),
    quote="| 0.5 | 256 | receiver | 24,098 | 36.6 | 22.0 |",
)

NATS_STORE_CPU_KB: Final = MeasuredCost(
    value=2.3,
    unit="us",
    what="and for each further KB of its body: (242.6 - 14.8) / 99.5",
    page="docs/results/bench-receiver.md",
    measured=date(2026, 11, 23),
    quote="| 100 | 64 | receiver | 2,616 | 302.1 | 242.6 |",
)

NATS_ITEM_CPU: Final = MeasuredCost(
    value=64.9,
    unit="us",
    what="nats-server's CPU for an item that is split and delivered",
    page="docs/results/bench-processor.md",
    measured=date(2026, 11, 23),
    quote="| both | forebay | 39,936 | 4,070 | 245.6 | 64.9 | 0 |",
)

NATS_CLAIM_CPU: Final = MeasuredCost(
    value=18,
    unit="us",
    what="and for its claim over all partitions: 60 us less 42, the busier of two runs",
    page="docs/design/0013-claims-and-variants.md",
    measured=date(2026, 11, 29),
    quote="| of any partition of its lane | 48, 60 | 13, 16 |",
)

KEY_MEMORY: Final = MeasuredCost(
    value=406,
    unit="bytes",
    what="nats-server's memory for a key in EVENTS, of 10 million",
    page="docs/results/bench-claims.md",
    measured=date(2026, 11, 23),
    quote="| memory bytes a key | 406 |",
)

KEY_RESTART: Final = MeasuredCost(
    value=1.3e-6,
    unit="s",
    what="a restart of nats-server for each kept key: 13.0 s for 10 million",
    page="docs/results/bench-claims.md",
    measured=date(2026, 11, 23),
    quote="| restart seconds | 13.0 |",
)

MESSAGE_OVERHEAD: Final = MeasuredCost(
    value=403,
    unit="bytes",
    what="disk for a stored message besides its body: 1,026 less the payload's 623",
    page="docs/results/bench-claims.md",
    measured=date(2026, 11, 23),
    quote="| disk bytes a key | 1,026 |",
)

CLAIM_OVERHEAD: Final = MeasuredCost(
    value=150,
    unit="bytes",
    what="and for an item's headers of its claim",
    page="docs/design/0013-claims-and-variants.md",
    measured=date(2026, 11, 29),
    quote="16 µs, and 150 bytes of headers an event",
)

WAITING_MEMORY: Final = MeasuredCost(
    value=3780,
    unit="bytes",
    what="nats-server's memory for an item that waits in RETRY, with its claim, its webhook in RAW "
    "and what Go has not collected yet: 2,884 MiB for 800,000",
    page="docs/results/drill-campaign.md",
    measured=date(2026, 12, 1),
    quote="| most | 2884 |",
)

INDEX_RECORD: Final = MeasuredCost(
    value=164,
    unit="bytes",
    what="disk for a record of the index; an item that is delivered at once has two",
    page="docs/design/0031-what-happened-to-each-item.md",
    measured=date(2026, 12, 1),
    quote="Encoding 0.5 µs a record, 164",
)

STREAM_RATE: Final = MeasuredCost(
    value=3300,
    unit="webhooks/s",
    what="that one shard on three servers stored, each flushed before its answer (on one disk)",
    page="docs/results/bench-receiver.md",
    measured=date(2026, 11, 23),
    quote="| 3 NATS, R3, always | 3,300 | 99,000 | 0 | 8.35 | 36.71 |",
)

SINGLE_SERVER_RATE: Final = MeasuredCost(
    value=1000,
    unit="webhooks/s",
    what="that one server stored so without a refusal (of 3,300/s it was 6 % of them)",
    page="docs/results/bench-receiver.md",
    measured=date(2026, 11, 23),
    quote="| one NATS, always | 1,000 | 30,000 | 0 | 0.82 | 3.68 |",
)

MEASURED: Final[tuple[MeasuredCost, ...]] = (
    RECEIVER_CPU,
    RECEIVER_CPU_KB,
    RECEIVER_RATE,
    RECEIVER_MEMORY,
    PROCESSOR_CPU,
    NATS_STORE_CPU,
    NATS_STORE_CPU_KB,
    NATS_ITEM_CPU,
    NATS_CLAIM_CPU,
    KEY_MEMORY,
    KEY_RESTART,
    MESSAGE_OVERHEAD,
    CLAIM_OVERHEAD,
    WAITING_MEMORY,
    INDEX_RECORD,
    STREAM_RATE,
    SINGLE_SERVER_RATE,
)
"""All of them: what `forebay size --json` shows as `measured`."""

ASSUMPTIONS: Final[tuple[str, ...]] = (
    "each webhook holds one item, which one destination takes at once",
    "of three servers each pays for what it copies as much as for what it leads",
    "so many shards store so many times what one does",
    "each server has a disk and a processor of its own, as quick as those of the measurements",
    "an item costs a processor as much more for its size as it costs a receiver",
)
"""What the model takes for granted, since nothing here measured it."""
