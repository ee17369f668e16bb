"""What the receiver knows of one shard's RAW stream, and whether storing is worth a try.

It learns from JetStream's answers, which come anyway, and from a probe every few seconds. No clock,
no I/O: `store` tells it what happened. Whoever would store asks `unwilling`; in peace that is one
look at one field.

| what was seen | then |
| --- | --- |
| NATS is not connected | 503 at once |
| several publishes in a row without any answer (a full disk gives none) | 503 until the probe is answered |
| the stream is almost full | 503 until the probe sees room: what is in flight still has to fit |
| several publishes in a row refused: no room, or nobody there (no stream, no leader) | one webhook at a time is the trial, 503 for the others, until one is stored |
"""  # noqa: E501  # a table's row is one line

from typing import Final

from forebay.runtime.store_errors import (
    MessageTooLarge,
    StillStoring,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.errors import Reason

__all__ = ["ALMOST_FULL", "IN_A_ROW", "ROOM_AGAIN", "ShardState"]

IN_A_ROW: Final = 5
"""Publishes in a row that got no answer, or no place, after which the stream counts as silent or
shut: a single one may have been unlucky."""

ALMOST_FULL: Final = 0.98
"""Share of `max_bytes` from which nothing more is sent. The rest takes what all receivers have in
flight; without it, every webhook is sent to NATS only to be refused there."""

ROOM_AGAIN: Final = 0.97
"""Share below which there is room again; lower, so that the answer does not change to and fro."""


class ShardState:
    """One shard, as this receiver sees it."""

    __slots__ = (
        "_is_almost_full",
        "_is_connected",
        "_refused",
        "_refused_for",
        "_trial",
        "_trouble",
        "_unanswered",
        "last_answer",
    )

    def __init__(self, *, is_connected: bool) -> None:
        self._is_connected = is_connected
        self._unanswered = 0
        self._refused = 0
        self._refused_for = Reason.NO_STREAM
        self._is_almost_full = False
        self._trial: object | None = None
        self._trouble: Reason | None = None
        self.last_answer: float | None = None
        """When the stream gave an answer last, on the loop's clock."""

        self._judge()

    @property
    def trouble(self) -> Reason | None:
        """What is wrong, or None."""
        return self._trouble

    def unwilling(self) -> Reason | None:
        """Return why storing is not worth a try; None where it is, or where a trial is due."""
        trouble = self._trouble
        if trouble is None or (self._trial is None and self._is_on_trial()):
            return None
        return trouble

    # -- what happens

    def sending(self, webhook: object) -> None:
        """Take notice of a webhook that is sent: in trouble it is the trial."""
        if self._trouble is not None:
            self._trial = webhook

    def stored(self, webhook: object, now: float) -> None:
        """Take notice of a PubAck."""
        self.last_answer = now
        self._unanswered = 0
        if self._trouble is not None or self._refused:
            self._refused = 0
            self._end_trial(webhook)
            self._judge()

    def failed(self, webhook: object, error: StoreError, now: float) -> None:
        """Take notice of a webhook that was not stored."""
        self._end_trial(webhook)
        if isinstance(error, MessageTooLarge):
            # Says something of the webhook, nothing of the stream.
            return
        if isinstance(error, StreamMissing):
            self._refused += 1
            self._refused_for = Reason.NO_STREAM
        elif isinstance(error, StoreFull):
            self.answered(now)
            self._refused += 1
            self._refused_for = Reason.STREAM_FULL
        elif isinstance(error, StoreUnavailable) and not isinstance(error, StillStoring):
            self._unanswered += 1
        else:
            self.answered(now)
        self._judge()

    def answered(self, now: float) -> None:
        """Take notice of a sign of life: an answer that is no PubAck, or the probe's."""
        self.last_answer = now
        self._unanswered = 0
        if self._refused_for is Reason.NO_STREAM:
            self._refused = 0
        self._judge()

    def filled(self, ratio: float) -> None:
        """Take notice of how full the stream is, as a share of what it may hold."""
        self._is_almost_full = ratio >= (ROOM_AGAIN if self._is_almost_full else ALMOST_FULL)
        self._judge()

    def connected(self, is_connected: bool) -> None:  # noqa: FBT001  # what changed
        """Take notice of a connection that is there, or gone: what was counted over it is void."""
        self._is_connected = is_connected
        self._unanswered = self._refused = 0
        self._trial = None
        self._judge()

    # -- small things

    def _end_trial(self, webhook: object) -> None:
        if self._trial is webhook:
            self._trial = None

    def _is_on_trial(self) -> bool:
        return (
            self._is_connected
            and self._refused >= IN_A_ROW
            and not self._is_almost_full
            and self._unanswered < IN_A_ROW
        )

    def _judge(self) -> None:
        if not self._is_connected:
            self._trouble = Reason.NATS_AWAY
        elif self._unanswered >= IN_A_ROW:
            self._trouble = Reason.NATS_SILENT
        elif self._is_almost_full:
            self._trouble = Reason.STREAM_FULL
        elif self._refused >= IN_A_ROW:
            self._trouble = self._refused_for
        else:
            self._trouble = None
