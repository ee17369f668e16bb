"""A backlog: rows of RETRY by the ten thousand, as an owner before left them.

They are stored in RETRY all at once, and come out at a destination of their own, in the order of
their conversations.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RetrySubject, conversation_partition
from forebay.runtime.settings import NatsSettings
from support.nats.publishing import publishing

__all__ = [
    "EXPIRED",
    "FAILING",
    "Row",
    "out_of_order",
    "peak_mib",
    "resident_mib",
    "rows",
    "store_rows",
]

LANES: Final = (Lane.LIVE, Lane.STATUS, Lane.BULK)

AT_ONCE: Final = 1_000
"""Publishes in flight."""

STORE_SECONDS: Final = 30.0
"""For JetStream to take one of them, on a machine that does much else."""

MIB: Final = 1024 * 1024

FAILING: Final = "f"
"""What the keys of conversations begin with that a destination does not take."""

EXPIRED: Final = "e"
"""What the keys of items begin with whose age is over."""

EXPIRED_FOR: Final = 400 * 3600
"""Seconds since an expired item was tried first: longer than any `maxAge`."""


class Row(NamedTuple):
    """One item that waits."""

    endpoint: str
    lane: Lane
    conversation: str
    key: str


def rows(
    count: int,
    endpoints: Sequence[str],
    conversations: int,
    lanes: Sequence[Lane] = LANES,
    *,
    failing_every: int = 0,
    expired_every: int = 0,
) -> Iterator[Row]:
    """Give so many rows, by turns of the endpoints, and each by turns of its conversations.

    Args:
        count: How many.
        endpoints: Names in the namespace `demo`.
        conversations: Of all endpoints together.
        lanes: In turns, seven rows of an endpoint each.
        failing_every: Each so manieth conversation of an endpoint is `FAILING`; 0 for none.
        expired_every: Each so manieth row of an endpoint is `EXPIRED`; 0 for none.
    """
    for number in range(count):
        endpoint = endpoints[number % len(endpoints)]
        turn = number // len(endpoints)
        person = turn % max(1, conversations // len(endpoints))
        lane = lanes[turn // 7 % len(lanes)]
        mark = "0"
        if failing_every and person % failing_every == 0:
            mark = FAILING
        elif expired_every and turn % expired_every == 0:
            mark = EXPIRED
        yield Row(endpoint, lane, f"{person:016x}", f"{mark}{number:031x}")


async def store_rows(
    nats_url: str, some: Iterable[Row], on_stored: Callable[[int], None] = lambda _: None
) -> None:
    """Store rows as quickly as they are taken; each conversation's in their order.

    Args:
        nats_url: Where the streams are.
        some: What to store.
        on_stored: Called from time to time with how many are stored.
    """
    now = time.time()
    young, old = _headers(now), _headers(now - EXPIRED_FOR)
    async with publishing(NatsSettings(url=nats_url)) as publisher:
        await publisher.wait_reached()
        left, stored = iter(some), 0
        while chunk := list(itertools.islice(left, AT_ONCE)):
            await asyncio.gather(
                *(
                    publisher.send(
                        _subject(row),
                        _item(row),
                        old if row.key.startswith(EXPIRED) else young,
                        STORE_SECONDS,
                    )
                    for row in chunk
                )
            )
            stored += len(chunk)
            on_stored(stored)


def _headers(when: float) -> dict[str, str]:
    millis = str(int(when * 1000))
    return {envelope.RECEIVED_AT: millis, envelope.FIRST_TRIED_AT: millis, envelope.ATTEMPTS: "0"}


def _subject(row: Row) -> str:
    own = EndpointName("demo", row.endpoint)
    partition = conversation_partition(own, row.conversation, "0")
    return str(RetrySubject("0", partition, row.lane, own, "sink", row.conversation, row.key))


def _item(row: Row) -> bytes:
    item = {
        "key": row.key,
        "kind": "messages",
        "type": "text",
        "channel": "108200000000301",
        "time": "2026-11-20T09:00:01.000Z",
        "data": {"id": row.key, "text": {"body": "x" * 300}},
    }
    return json.dumps(item).encode()


def out_of_order(stored: Iterable[Row], arrived: Iterable[str]) -> int:
    """Return how many items arrived for the first time after a later one of their conversation."""
    by_key = {row.key: (number, row) for number, row in enumerate(stored)}
    last: dict[tuple[str, Lane, str], int] = {}
    wrong = 0
    for key in dict.fromkeys(arrived):
        number, row = by_key[key]
        where = row.endpoint, row.lane, row.conversation
        wrong += number < last.get(where, -1)
        last[where] = max(number, last.get(where, -1))
    return wrong


def resident_mib(pid: int) -> float:
    """Return the memory that a process has in hand, in MiB."""
    return psutil.Process(pid).memory_info().rss / MIB


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has had in hand, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resident_mib(pid)
