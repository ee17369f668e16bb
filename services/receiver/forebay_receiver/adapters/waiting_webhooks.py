"""Webhooks that wait for a leader or a connection, and are published then: for `store` only.

A stream in several copies that answered a moment ago is not gone: its leader moves, or the server
that this receiver was connected to has left (`ShardState.may_pass`). Whoever would be answered 503
for that waits here instead, within the budget:

| what was seen of a webhook | may be stored | then |
| --- | --- | --- |
| nobody answers on its subject | no | it is published again |
| there is no connection | no | it is published over the next one |
| the connection was lost under way | yes | it is published again over the next one |
| one that was sent later is stored, or nobody was there for it | yes | its own answer is lost: it is published again |

**Nothing is stored twice.** A webhook has the same message id each time, and its budget is far
shorter than the stream's window of duplicates, which all copies have. Where the first publish was
stored and its PubAck lost, the second one's PubAck says `duplicate` and means this very webhook.

**What it costs.** Nothing, while all is well. What waits is in flight: the limits on webhooks and
bytes hold for it. While nobody is there, one webhook at a time is the trial; the first that is
stored lets all others go, in their order. No webhook is published twice within `PAUSE_SECONDS`.

If the process dies, nothing that waits was answered: the provider sends it again.
"""  # noqa: E501  # a table's row is one line

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from forebay.runtime.jetstream.errors import (
    ForeignAnswer,
    NotConnected,
    StoreError,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_receiver.adapters.shard_state import ShardState
from forebay_receiver.adapters.storing import Storing
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import Reason, Waited

__all__ = ["PAUSE_SECONDS", "WaitingWebhooks"]

PAUSE_SECONDS: Final = 0.05
"""Between two publishes of a webhook, and between two trials: a leader that is handed over is there
after about that long, and an election takes far longer."""

_NEVER_SENT: Final = (NotConnected, StreamMissing)
"""Failures after which a webhook is surely not stored."""


class _Again:
    """What is known of a webhook that has waited."""

    __slots__ = ("may_be_stored", "sent")

    def __init__(self) -> None:
        self.may_be_stored = False
        """Whether a publish of it may have been stored, without an answer."""

        self.sent = 0.0
        """When it was published last, on the loop's clock; 0 while it waits for the first time."""


class WaitingWebhooks:
    """Those of all shards."""

    def __init__(
        self,
        state_of: Callable[[str], ShardState],
        publish: Callable[[Storing], None],
        metrics: ReceiverMetrics,
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            state_of: Returns what is known of a shard.
            publish: Publishes a webhook, whose answer comes to `keeps` or `settle`.
            metrics: Where to count.
            clock: The loop's.
        """
        self._state_of = state_of
        self._publish = publish
        self._metrics = metrics
        self._clock = clock
        self._call_later = asyncio.get_running_loop().call_later
        self.known: dict[Storing, _Again] = {}
        """All that wait or have waited, until they are answered. Empty while all is well."""

        self._queues: dict[str, deque[Storing]] = {}
        """Those that wait now, by shard."""

        self._is_asking = False

    # -- what happens to a webhook

    def keeps_back(self, webhook: Storing, state: ShardState) -> bool:
        """Let a webhook wait that would be sent into trouble; say whether it does."""
        now = self._clock()
        if state.may_try(now) or not self._has_time(webhook, now) or not state.may_pass(now):
            return False
        self.wait(webhook)
        return True

    def keeps(self, webhook: Storing, error: StoreError, state: ShardState) -> bool:
        """Let a webhook wait that failed, where a repeat may help; say whether it does.

        Args:
            webhook: Which one.
            error: Why it was not stored; its end, where it does not wait.
            state: Its shard's, which knows of the failure.
        """
        now = self._clock()
        if (
            isinstance(error, StoreUnavailable)
            and not isinstance(error, ForeignAnswer)
            and self._has_time(webhook, now)
            and state.may_pass(now)
        ):
            self.wait(webhook, may_be_stored=not isinstance(error, _NEVER_SENT))
            return True
        if self.known.pop(webhook, None) is not None:
            self._metrics.waited(Waited.UNAVAILABLE)
        return False

    def wait(self, webhook: Storing, *, may_be_stored: bool = False) -> None:
        """Let a webhook wait, whatever was seen."""
        again = self.known.get(webhook)
        if again is None:
            again = self.known[webhook] = _Again()
        again.may_be_stored = again.may_be_stored or may_be_stored
        self._queues.setdefault(webhook.shard, deque()).append(webhook)
        self._ask_later()

    def settle(self, webhook: Storing, ack: PubAck) -> PubAck:
        """Take notice of a PubAck; returns what it says of this very webhook."""
        again = self.known.pop(webhook, None)
        if again is None:
            return ack
        if ack.duplicate and again.may_be_stored:
            self._metrics.waited(Waited.FOUND)
            return PubAck(ack.stream, ack.seq)
        self._metrics.waited(Waited.STORED)
        return ack

    def sent(self, webhook: Storing) -> float:
        """Return when a webhook that is in flight was published, on the loop's clock."""
        again = self.known.get(webhook)
        return webhook.begun if again is None else again.sent

    def may_wait(self, webhook: Storing) -> bool:
        """Say whether a webhook that is in flight may be taken back and published again."""
        now = self._clock()
        return self._has_time(webhook, now) and self._state_of(webhook.shard).may_pass(now)

    # -- asking again

    @staticmethod
    def _has_time(webhook: Storing, now: float) -> bool:
        return webhook.deadline - now > PAUSE_SECONDS

    def _ask_later(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            self._call_later(PAUSE_SECONDS, self._ask)

    def _ask(self) -> None:
        self._is_asking = False
        try:
            for shard in list(self._queues):
                self._ask_of(shard)
        finally:
            if any(self._queues.values()):
                self._ask_later()

    def _ask_of(self, shard: str) -> None:
        waiting, state, has_tried = self._queues[shard], self._state_of(shard), False
        # Who fails within these calls comes behind them, and waits for the next time.
        for _ in range(len(waiting)):
            webhook, now = waiting.popleft(), self._clock()
            may_pass = state.may_pass(now)
            if state.trouble is None or (may_pass and not has_tried and state.may_try(now)):
                has_tried = state.trouble is not None
                self.known[webhook].sent = now
                self._publish(webhook)
            elif may_pass and self._has_time(webhook, now):
                waiting.append(webhook)
            else:
                del self.known[webhook]
                self._metrics.waited(Waited.UNAVAILABLE)
                webhook.done(_error(state.trouble))


def _error(trouble: Reason | None) -> StoreError:
    """Return what a webhook is told that waited in vain."""
    match trouble:
        case Reason.NATS_AWAY:
            return NotConnected("NATS is not connected")
        case Reason.NO_STREAM:
            return StreamMissing("no stream takes this subject at the moment")
        case Reason.STREAM_FULL:
            return StoreFull("the stream is full")
        case _:
            return StoreUnavailable("NATS gave no answer in time")
