"""Counts what happens in a run, while it happens."""

from array import array
from collections import Counter
from dataclasses import dataclass

from forebay_simulator.ledger import WebhookRecord
from forebay_simulator.payloads import Payload
from forebay_simulator.report import AckLatency, Result
from forebay_simulator.sender import ACCEPTED, Answer

__all__ = ["Progress", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is."""

    planned: int
    """Sendings that the schedule holds."""

    started: int
    """Those whose time has come."""

    accepted: int
    """Distinct webhooks that were answered 200."""

    refused: int
    """Sendings that were not."""


class Tally:
    """The figures of one run; each verb is something that happened."""

    def __init__(self, *, planned: int, keep_all: bool) -> None:
        """Begin at zero.

        Args:
            planned: Sendings that the schedule holds.
            keep_all: Whether to keep the records of accepted webhooks: for a ledger, or because
                the same bodies come again.
        """
        self._planned = planned
        self._keep_all = keep_all
        self._records: dict[int, WebhookRecord] = {}
        self._latencies = array("d")
        self._refused: Counter[str] = Counter()
        self._started = self._sent = self._accepted = 0
        self._items = self._repeats = self._retries = 0
        self._behind = 0.0

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return Progress(
            planned=self._planned,
            started=self._started,
            accepted=self._accepted,
            refused=self._refused.total(),
        )

    def scheduled(self, payload: Payload) -> tuple[WebhookRecord, bool]:
        """Note that a webhook's time has come; say whether it is a new one, not a repeat."""
        self._started += 1
        record = self._records.get(payload.number)
        if record is not None:
            self._repeats += 1
            return record, False
        record = WebhookRecord(index=payload.number, keys=payload.keys)
        self._records[payload.number] = record
        self._sent += 1
        self._items += payload.new_items
        return record, True

    def unsent(self, record: WebhookRecord, payload: Payload) -> None:
        """Take it back that a webhook's time has come: it never left."""
        if self._records.pop(record.index, None) is not None:
            self._started -= 1
            self._sent -= 1
            self._items -= payload.new_items

    def repeated(self) -> None:
        """Note that a webhook is sent again on purpose, beside the schedule."""
        self._repeats += 1

    def retried(self) -> None:
        """Note that a webhook is sent again because it was refused."""
        self._retries += 1

    def left(self, lag: float) -> None:
        """Note how many seconds after its moment a webhook left."""
        self._behind = max(self._behind, lag)

    def answered(self, record: WebhookRecord, answer: Answer) -> None:
        """Note an answer, or that none came."""
        record.attempts += 1
        if answer != ACCEPTED:
            self._refused[str(answer)] += 1
        elif not record.accepted:
            record.accepted = True
            self._accepted += 1

    def took(self, latency: float) -> None:
        """Note the seconds from a webhook's moment to its 200."""
        self._latencies.append(latency)

    def finished(self, record: WebhookRecord) -> None:
        """Note that a webhook is not sent again: memory is for those that are not accepted."""
        if record.accepted and not self._keep_all:
            self._records.pop(record.index, None)

    def result(self, *, seconds: float, seed: int, with_ledger: bool) -> Result:
        """Sum up."""
        return Result(
            sent=self._sent,
            accepted=self._accepted,
            refused=dict(self._refused),
            repeats=self._repeats,
            retries=self._retries,
            items=self._items,
            ack_ms=AckLatency.of(self._latencies),
            seconds=seconds,
            behind_ms=self._behind * 1000,
            planned=self._planned,
            started=self._started,
            seed=seed,
            ledger=tuple(self._records.values()) if with_ledger else (),
        )
