"""What the parts' metrics and the processor's log say, for the reporters.

A part that is started again counts from zero; what it had counted before stays in the totals here,
as far as it was read. A new start is seen by its start time: with more to do than in
the life before, its counters are the greater ones.
"""

import asyncio
import http.client
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from forebay.local.addresses import Address
from forebay.runtime.metric_declarations import START_TIME

__all__ = ["EndpointCounts", "LastItem", "LogTail", "MetricsReader", "get"]

GET_SECONDS: Final = 2.0

_REQUESTS: Final = "forebay_receiver_requests_total"
_DELIVERIES: Final = "forebay_processor_deliveries_total"
_PARKED: Final = "forebay_processor_parked_items"
_ITEMS: Final = "forebay_processor_items_total"
_REFUSED: Final = "forebay_receiver_refused_total"
_UNREADABLE: Final = "forebay_processor_unreadable_bodies_total"

_STARTS: Final = tuple(f"forebay_{part}{START_TIME}" for part in ("receiver", "processor"))

_COLUMNS: Final[Mapping[tuple[str, str], str]] = {
    (_REQUESTS, "stored"): "stored",
    (_REQUESTS, "duplicate"): "repeats",
    (_REQUESTS, "refused"): "refused",
    (_REQUESTS, "unavailable"): "unavailable",
    (_ITEMS, "new"): "items",
    (_DELIVERIES, "delivered"): "delivered",
    (_DELIVERIES, "dead"): "dead",
}
"""Which series, by its name and outcome, goes into which column."""

_REASONS: Final[Mapping[str, str]] = {
    _REFUSED: "refused_reasons",
    _UNREADABLE: "unreadable_reasons",
}
"""Series that are counted by their reason, and where."""

NO_ENDPOINT: Final = "(no endpoint)"
"""The row of requests to paths where there is none."""

_TAIL_BYTES: Final = 32 * 1024


@dataclass(slots=True, kw_only=True)
class EndpointCounts:
    """Counts of one endpoint since the start of the run."""

    stored: int = 0
    repeats: int = 0
    """Webhooks whose very bytes were stored before."""

    refused: int = 0
    unavailable: int = 0
    """Answered 503: the provider sends them again."""

    refused_reasons: dict[str, int] = field(default_factory=dict)
    """Both of these by reason."""

    unreadable_reasons: dict[str, int] = field(default_factory=dict)
    """Bodies that could not be split and were set aside, by reason."""

    items: int = 0
    delivered: int = 0
    waiting: int = 0
    """Items that are parked for another attempt."""

    dead: int = 0
    rate: float = 0.0
    """Webhooks a second, since the reading before."""

    @property
    def unreadable(self) -> int:
        """Bodies that could not be split and were set aside."""
        return sum(self.unreadable_reasons.values())

    @property
    def received(self) -> int:
        """All webhooks that came, whatever they were answered."""
        return self.stored + self.repeats + self.refused + self.unavailable


def _get(address: Address, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=GET_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


async def get(address: Address, path: str) -> tuple[int, str] | None:
    """Return status and text of an admin page; None where nobody answers."""
    try:
        return await asyncio.to_thread(_get, address, path)
    except (OSError, http.client.HTTPException):
        return None


@dataclass(slots=True)
class _Counter:
    """One series over the restarts of its part."""

    before: float = 0.0
    now: float = 0.0

    def see(self, value: float) -> None:
        if value < self.now:  # of a destination that was gone for so long that it was forgotten
            self.restart()
        self.now = value

    def restart(self) -> None:
        """Take it that what counts begins at zero."""
        self.before += self.now
        self.now = 0.0


_SeriesKey = tuple[Address, str, tuple[tuple[str, str], ...]]


@dataclass(slots=True)
class MetricsReader:
    """Reads the metrics of both parts again and again."""

    addresses: tuple[Address, ...]
    _counters: dict[_SeriesKey, _Counter] = field(default_factory=dict)
    _started: dict[Address, float] = field(default_factory=dict)
    """When each part began to count, by its own words."""

    _read_at: float | None = None
    _received: dict[str, int] = field(default_factory=dict)

    async def read(self) -> dict[str, EndpointCounts]:
        """Return the counts of each endpoint (`namespace/name`) that had any traffic."""
        answers = await asyncio.gather(*(get(each, "/metrics") for each in self.addresses))
        now = asyncio.get_running_loop().time()
        waiting: dict[str, int] = {}
        for address, answer in zip(self.addresses, answers, strict=True):
            if answer is not None and answer[0] == http.HTTPStatus.OK:
                self._see(address, answer[1], waiting)
        counts = self._totals()
        for endpoint, count in waiting.items():
            counts.setdefault(endpoint, EndpointCounts()).waiting = count
        if self._read_at is not None and now > self._read_at:
            for endpoint, row in counts.items():
                grown = row.received - self._received.get(endpoint, 0)
                row.rate = grown / (now - self._read_at)
        self._read_at = now
        self._received = {endpoint: row.received for endpoint, row in counts.items()}
        return counts

    def _see(self, address: Address, text: str, waiting: dict[str, int]) -> None:
        samples = list(_samples(text))
        for name, _, value in samples:
            if name in _STARTS and self._started.setdefault(address, value) != value:
                self._started[address] = value
                for (of, _, _), counter in self._counters.items():
                    if of == address:
                        counter.restart()
        for name, labels, value in samples:
            if name == _PARKED:
                endpoint = _endpoint(labels)
                waiting[endpoint] = waiting.get(endpoint, 0) + round(value)
            elif name not in _STARTS:
                key = (address, name, tuple(sorted(labels.items())))
                self._counters.setdefault(key, _Counter()).see(value)

    def _totals(self) -> dict[str, EndpointCounts]:
        counts: dict[str, EndpointCounts] = {}
        for (_, name, labels), counter in self._counters.items():
            by_label = dict(labels)
            column = _COLUMNS.get((name, by_label.get("outcome", "")))
            count = round(counter.before + counter.now)
            if column is not None and count:
                row = counts.setdefault(_endpoint(by_label), EndpointCounts())
                setattr(row, column, getattr(row, column) + count)
            elif name in _REASONS and count:
                row = counts.setdefault(_endpoint(by_label), EndpointCounts())
                found: dict[str, int] = getattr(row, _REASONS[name])
                reason = by_label.get("reason", "")
                found[reason] = found.get(reason, 0) + count
        return counts


def _endpoint(labels: Mapping[str, str]) -> str:
    if not labels.get("endpoint"):
        return NO_ENDPOINT
    return f"{labels.get('namespace', '')}/{labels.get('endpoint', '')}"


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the series that the reporters show."""
    # Late: a run with --quiet reads no metrics and needs no parser.
    from prometheus_client.parser import text_string_to_metric_families

    wanted = (_REQUESTS, _ITEMS, _DELIVERIES, _PARKED, _REFUSED, _UNREADABLE, *_STARTS)
    lines = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(wanted))
    for family in text_string_to_metric_families(lines):
        for each in family.samples:
            yield each.name, dict(each.labels), each.value


@dataclass(frozen=True, slots=True, kw_only=True)
class LastItem:
    """What a `log` destination said about an item."""

    at: str
    """Time of day, in UTC."""

    endpoint: str
    kind: str
    type: str
    key: str
    """The hash by which the item is known outside: no phone number, no id of a message."""

    latency_ms: float | None


class LogTail:
    """Follows the processor's log for the items that `log` destinations write there."""

    def __init__(self, log: Path) -> None:
        """Start at the end of the log."""
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0

    def read(self, limit: int) -> list[LastItem]:
        """Return the items written since the last call, the newest `limit` of them."""
        try:
            with self._log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._offset:  # the log was put aside
                    self._offset = 0
                file.seek(max(self._offset, size - _TAIL_BYTES))
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset = size - (len(data) - len(whole))
        items = (_item(line) for line in reversed(whole.splitlines()))
        newest = [item for item, _ in zip(_present(items), range(limit), strict=False)]
        return newest[::-1]


def _present(items: Iterator[LastItem | None]) -> Iterator[LastItem]:
    return (item for item in items if item is not None)


def _item(line: bytes) -> LastItem | None:
    if b'"item"' not in line:
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("event") != "item":
        return None
    latency = record.get("latency_ms")
    return LastItem(
        at=str(record.get("timestamp", ""))[11:19],
        endpoint=f"{record.get('namespace', '')}/{record.get('endpoint', '')}",
        kind=str(record.get("kind", "")),
        type=str(record.get("type", "")),
        key=str(record.get("key", "")),
        latency_ms=float(latency) if isinstance(latency, int | float) else None,
    )
