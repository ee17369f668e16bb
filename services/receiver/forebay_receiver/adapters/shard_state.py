"""What the receiver knows of one shard's RAW stream, and whether storing is worth a try.

It learns from JetStream's answers, which come anyway, and from a probe every few seconds. No clock,
no I/O: `store` reports to it what happened. Whoever would store asks `rejection`; without trouble
that is one field to read.

| what was seen | then |
| --- | --- |
| NATS is not connected | 503 at once |
| several publishes in a row without any answer (a full disk gives none) | one webhook a second is the trial, 503 for the others, until one is stored or refused |
| the stream is almost full | 503 until the probe sees room: what is in flight still has to fit |
| several publishes in a row refused: no room, or nobody there (no stream, no leader) | one webhook at a time is the trial, 503 for the others, until one is stored |
"""  # noqa: E501  # a table's row is one line

from typing import Final, Protocol

from forebay.runtime.jetstream.errors import (
    MessageTooLarge,
    StillStoring,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.outcomes import Reason

__all__ = ["ALMOST_FULL", "IN_A_ROW", "ROOM_AGAIN", "TRIAL_SECONDS", "ShardState"]

IN_A_ROW: Final = 5
"""Publishes in a row that got no answer, or no place, after which the stream counts as silent or
shut: a single one may have been unlucky."""

TRIAL_SECONDS: Final = 1.0
"""Between two webhooks that are tried while a stream is silent: service is back within 2 s of its
being able to store, and each of them may wait for its whole budget."""

ALMOST_FULL: Final = 0.98
"""Share of `max_bytes` from which nothing more is sent. The rest takes what all receivers have in
flight; without it, every webhook is sent to NATS only to be refused there."""

ROOM_AGAIN: Final = 0.97
"""Share below which there is room again; lower, so that the answer does not change to and fro."""


class Sent(Protocol):
    """A webhook that is sent to the stream."""

    deadline: float
    """When its budget ends, on the loop's clock: all have the same budget, so this also says in
    which order they came."""


class ShardState:
    """One shard, as this receiver sees it."""

    __slots__ = (
        "_is_almost_full",
        "_is_connected",
        "_last_stored",
        "_next_trial",
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
        self._trial: Sent | None = None
        self._next_trial = 0.0
        self._last_stored = 0.0
        """The deadline of the newest webhook that was stored or refused."""

        self._trouble: Reason | None = None
        self.last_answer: float | None = None
        """When the stream gave an answer last, on the loop's clock."""

        self._judge()

    @property
    def trouble(self) -> Reason | None:
        """What is wrong, or None."""
        return self._trouble

    def rejection(self, now: float) -> Reason | None:
        """Return why storing is not worth a try; None where it is, or where a trial is due."""
        if self._trouble is Reason.NATS_SILENT:
            return self._trouble if now < self._next_trial else None
        if self._trial is None and self._is_on_trial():
            return None
        return self._trouble

    # -- what happens; `now` is on the loop's clock

    def sending(self, webhook: Sent, now: float) -> None:
        """Take notice of a webhook that is sent: in trouble it is the trial."""
        if self._trouble is not None:
            self._trial = webhook
            self._next_trial = now + TRIAL_SECONDS

    def stored(self, webhook: Sent, now: float, *, is_repeat: bool = False) -> None:
        """Take notice of a PubAck; one for a repeat says nothing of room or disk."""
        self.last_answer = now
        if is_repeat:
            self._end_trial(webhook)
            return
        self._unanswered = 0
        self._last_stored = webhook.deadline
        if self._trouble is not None or self._refused:
            self._refused = 0
            self._end_trial(webhook)
            self._judge()

    def failed(self, webhook: Sent, error: StoreError, now: float) -> None:
        """Take notice of a webhook that was not stored."""
        self._end_trial(webhook)
        if isinstance(error, MessageTooLarge):
            # Says something of the webhook, nothing of the stream.
            return
        if isinstance(error, StreamMissing):
            self._refused += 1
            self._refused_for = Reason.NO_STREAM
        elif isinstance(error, StillStoring):
            self.answered(now)
        elif isinstance(error, StoreUnavailable):
            # What was lost before the last store says nothing of now: after a silence such losses
            # come to light for as long as the budget is.
            if webhook.deadline > self._last_stored:
                self._unanswered += 1
                if self._unanswered == IN_A_ROW:
                    self._next_trial = now + TRIAL_SECONDS
        else:
            # Refused: that is as quick as a store, and as good a sign of life.
            self.answered(now)
            self._unanswered = 0
            self._last_stored = webhook.deadline
            if isinstance(error, StoreFull):
                self._refused += 1
                self._refused_for = Reason.STREAM_FULL
        self._judge()

    def answered(self, now: float) -> None:
        """Take notice of the leader's sign of life, such as the probe's: it does not end a silence.

        A leader whose disk is full gives it too.
        """
        self.last_answer = now
        if self._refused_for is Reason.NO_STREAM:
            self._refused = 0
        self._judge()

    def filled(self, ratio: float) -> None:
        """Take notice of how full the stream is, as a share of what it may hold."""
        self._is_almost_full = ratio >= (ROOM_AGAIN if self._is_almost_full else ALMOST_FULL)
        self._judge()

    def connected(self, *, is_connected: bool) -> None:
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
