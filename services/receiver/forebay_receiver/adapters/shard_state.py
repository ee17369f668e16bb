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

Of a stream in several copies that answered a moment ago, not connected and nobody there mean that
its leader moves, or that this receiver is between two servers: `may_pass`. Then webhooks are let in
and wait (`waiting_webhooks`) where 503 stands above.
"""  # noqa: E501  # a table's row is one line

from typing import Final, Protocol

from forebay.runtime.jetstream.errors import (
    ForeignAnswer,
    MessageTooLarge,
    StillStoring,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.outcomes import Reason

__all__ = [
    "ALMOST_FULL",
    "IN_A_ROW",
    "MOVE_SECONDS",
    "OVERTAKEN_SECONDS",
    "ROOM_AGAIN",
    "TRIAL_SECONDS",
    "ShardState",
]

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


MOVE_SECONDS: Final = 10.0
"""After a stream's last answer, how long its leader may be on the move and not gone: copies that
hear nothing of their leader elect another one after 4 to 9 s (nats-server), and in a moment where a
server that stops has handed over."""

OVERTAKEN_SECONDS: Final = 0.25
"""An answer counts as lost at the earliest after this time; and where a webhook that was sent so
much later is stored. A stream answers in the order in which it was sent to; over two connections,
of which one is being left, by some milliseconds not."""

_MOVES: Final = frozenset({None, Reason.NATS_AWAY, Reason.NO_STREAM})
"""What a leader that moves looks like."""


class Sent(Protocol):
    """A webhook that is sent to the stream."""

    begun: float
    """When it was sent for the first time, on the loop's clock."""


class ShardState:
    """One shard, as this receiver sees it."""

    __slots__ = (
        "_is_almost_full",
        "_is_connected",
        "_last_missing",
        "_last_refused",
        "_last_stored",
        "_next_trial",
        "_refused",
        "_refused_for",
        "_trial",
        "_trouble",
        "_unanswered",
        "copies",
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
        self._last_stored = self._last_refused = self._last_missing = 0.0
        """When the newest webhook was sent that was stored, that was refused, and for which nobody
        was there."""

        self._trouble: Reason | None = None
        self.last_answer: float | None = None
        """When the stream gave an answer last, on the loop's clock."""

        self.copies = 1
        """That the stream has, as NATS says. Of a stream in one copy no leader moves."""

        self._judge()

    @property
    def trouble(self) -> Reason | None:
        """What is wrong, or None."""
        return self._trouble

    def rejection(self, now: float) -> Reason | None:
        """Return why storing is not worth a try; None where it is, or where a trial is due."""
        if self._trouble is Reason.NATS_SILENT:
            return self._trouble if now < self._next_trial else None
        if (self._trial is None and self._is_on_trial()) or self.may_pass(now):
            return None
        return self._trouble

    def may_pass(self, now: float) -> bool:
        """Say whether what failed may be over within a webhook's budget, so that it may wait."""
        return (
            self.copies > 1
            and self._trouble in _MOVES
            and self.last_answer is not None
            and now - self.last_answer < MOVE_SECONDS
        )

    def may_try(self, now: float) -> bool:
        """Say whether one that waits may be sent: the one before is answered, or a second old."""
        return self._trouble is None or (
            self._is_on_trial() and (self._trial is None or now >= self._next_trial)
        )

    def has_lost(self, sent: float) -> bool:
        """Say whether what was sent then and is not answered yet never will be."""
        is_overtaken = sent + OVERTAKEN_SECONDS <= self._last_stored
        # Nobody there for a later one: the leader that had it is gone.
        return self.copies > 1 and (is_overtaken or sent < self._last_missing)

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
        self._last_stored = webhook.begun
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
            if not isinstance(error, ForeignAnswer):
                # No silence: NATS says who is not there.
                self._unanswered = 0
                self._last_missing = max(webhook.begun, self._last_missing)
            self._refused += 1
            self._refused_for = Reason.NO_STREAM
        elif isinstance(error, StillStoring):
            self.answered(now)
        elif isinstance(error, StoreUnavailable):
            # What was lost before the last answer says nothing of now: after a silence such losses
            # come to light for as long as the budget is.
            if webhook.begun > max(self._last_stored, self._last_refused, self._last_missing):
                self._unanswered += 1
                if self._unanswered == IN_A_ROW:
                    self._next_trial = now + TRIAL_SECONDS
        else:
            # Refused: that is as quick as a store, and as good a sign of life.
            self.answered(now)
            self._unanswered = 0
            self._last_refused = webhook.begun
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
