"""The store behind the receiver: publishes to RAW, and knows whether it makes sense to try.

Truth before hope. While NATS is not connected, or gave several publishes no answer at all (as on a
full disk), a webhook is refused at once instead of waiting for its budget. One webhook a second is
tried then, and the first that is stored ends it. No cheaper question can tell: a leader whose disk
is full knows repeats and refuses a wrong sequence, while it is silent on all that it would store.

Readiness asks less: whether the leader is there. Its probe is a publish that is never stored, since
it asks for a last sequence that no stream can have: the leader answers 10071.
"""

import asyncio
from typing import Final, Protocol

import structlog
from typing_extensions import override

from forebay.runtime.publisher import Outgoing, PubAck, Publisher
from forebay.runtime.settings import NatsSettings
from forebay.runtime.store_errors import (
    MessageTooLarge,
    SequenceMismatch,
    StillStoring,
    StoreError,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.metrics import ReceiverMetrics

__all__ = ["JetStreamStore", "Store", "Storing"]

_log = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 2.0
"""Between two probes for readiness."""

PROBE_TIMEOUT_SECONDS: Final = 1.0

SILENT_AFTER: Final = 5
"""Publishes in a row without an answer after which the store counts as silent."""

TRIAL_SECONDS: Final = 1.0
"""Between two webhooks that are tried while the store is silent: service is back within 2 s of its
being able to store, and each of them may wait for its whole budget."""

SILENCE_GRACE_SECONDS: Final = 10.0
"""How long readiness bears a store without an answer: a hiccup of NATS must give our honest 503,
not a gateway's 502."""

STILL_STORING_PAUSE_SECONDS: Final = 0.05
"""Between two questions about a webhook that another receiver is storing (error 10158)."""

_NO_SEQUENCE = "18446744073709551615"
"""The largest sequence there is: never the last one of a stream."""


class Storing(Outgoing):
    """One webhook on its way to the store; whoever stores one says in `done` what follows."""

    __slots__ = ("sent_at", "shard", "store")

    def __init__(
        self,
        store: "Store",
        shard: str,
        subject: bytes,
        body: bytes,
        headers: bytes,
        deadline: float,
    ) -> None:
        super().__init__(subject, body, headers, deadline)
        self.store = store
        self.shard = shard
        self.sent_at = 0.0
        """When it was sent to JetStream, on the loop's clock."""

    def done(self, result: PubAck | StoreError) -> None:
        """Be told, once, what became of it."""
        raise NotImplementedError

    @override
    def answered(self, result: PubAck | StoreError) -> None:
        """Let the store learn from JetStream's answer."""
        self.store.take_answer(self, result)


class Store(Protocol):
    """Where webhooks are kept."""

    def is_willing(self, shard: str) -> bool:
        """Say whether storing is worth a try; where not, the answer is 503 at once."""

    def store(self, webhook: Storing) -> None:
        """Store a webhook, and tell it; inside this call where it is known at once."""

    def take_answer(self, webhook: Storing, result: PubAck | StoreError) -> None:
        """Learn from an answer, or from its absence, and pass it on to the webhook."""


class JetStreamStore:
    """The store of production: NATS JetStream."""

    def __init__(
        self, settings: NatsSettings, shards: tuple[str, ...], metrics: ReceiverMetrics
    ) -> None:
        self._metrics = metrics
        self._publisher = Publisher(
            settings,
            "forebay-receiver",
            on_late=metrics.late_stored.inc,
            on_change=self._connection_changed,
        )
        self._unanswered = dict.fromkeys(shards, 0)
        self._last_stored = dict.fromkeys(shards, 0.0)
        self._next_trial = dict.fromkeys(shards, 0.0)
        """When a webhook may be tried though the shard is silent, on the loop's clock."""

        self._last_answer: dict[str, float] = {}
        self._is_new = asyncio.Event()
        """Set with each new connection: the probe need not wait for its time."""

    async def run(self) -> None:
        """Stay connected; until cancelled."""
        await self._publisher.run()

    @property
    def was_reached(self) -> bool:
        """Whether NATS was reached once since the start."""
        return self._publisher.was_reached

    # -- storing

    def is_willing(self, shard: str) -> bool:
        """Say whether NATS is connected and the shard's stream answers, or is to be tried."""
        if not self._publisher.is_connected:
            return False
        next_trial = self._next_trial.get(shard, 0.0)
        return not self._is_silent(shard) or self._publisher.clock() >= next_trial

    def store(self, webhook: Storing) -> None:
        """Store a webhook, and tell it what became of it."""
        webhook.sent_at = now = self._publisher.clock()
        if self._is_silent(webhook.shard):
            self._next_trial[webhook.shard] = now + TRIAL_SECONDS
        self._publisher.submit(webhook)

    def _is_silent(self, shard: str) -> bool:
        return self._unanswered.get(shard, 0) >= SILENT_AFTER

    def take_answer(self, webhook: Storing, result: PubAck | StoreError) -> None:
        """Learn from an answer, or from its absence, and pass it on."""
        clock, submit = self._publisher.clock, self._publisher.submit
        if isinstance(result, StillStoring):
            # Another receiver has the same webhook on its way: ask until it is there.
            if webhook.deadline - clock() > STILL_STORING_PAUSE_SECONDS:
                loop = asyncio.get_running_loop()
                loop.call_later(STILL_STORING_PAUSE_SECONDS, submit, webhook)
                return
        else:
            self._learn(webhook, result)
        webhook.done(result)

    def _learn(self, webhook: Storing, result: PubAck | StoreError) -> None:
        """Take from an answer what it says of the shard."""
        shard, now = webhook.shard, self._publisher.clock()
        match result:
            case StreamMissing() | MessageTooLarge():
                return  # it may be this process' or the server's word, not the leader's
            case StoreUnavailable():
                # What was lost before the last store says nothing of now: after a silence such
                # losses come to light for as long as the budget is.
                if self._publisher.is_connected and webhook.sent_at > self._last_stored.get(
                    shard, 0.0
                ):
                    self._does_not_answer(shard, now)
                return
            case PubAck(duplicate=True):
                pass  # known from before: that it stores is not said
            case _:
                # Stored, or refused: a refusal is as quick as a store, and full is not silent.
                self._stores(shard, now)
        self._last_answer[shard] = now

    def _stores(self, shard: str, now: float) -> None:
        if self._is_silent(shard):
            _log.info("store_answers_again", shard=shard)
        self._unanswered[shard] = 0
        self._last_stored[shard] = now

    def _does_not_answer(self, shard: str, now: float) -> None:
        self._unanswered[shard] = count = self._unanswered.get(shard, 0) + 1
        if count == SILENT_AFTER:
            _log.warning("store_silent", shard=shard)
            self._next_trial[shard] = now + TRIAL_SECONDS

    # -- readiness

    def answered_lately(self) -> bool:
        """Say whether any shard's stream gave an answer within the grace time."""
        if not self._last_answer:
            return False
        now = asyncio.get_running_loop().time()
        return now - max(self._last_answer.values()) < SILENCE_GRACE_SECONDS

    async def probe(self) -> None:
        """Ask each shard's stream for a sign of life, again and again; until cancelled."""
        while True:
            self._is_new.clear()
            for shard in self._unanswered:
                await self._probe_shard(shard)
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    await self._is_new.wait()
            except TimeoutError:
                continue

    async def _probe_shard(self, shard: str) -> None:
        loop = asyncio.get_running_loop()
        headers = {"Nats-Expected-Last-Sequence": _NO_SEQUENCE}
        subject = f"forebay.raw.{shard}.probe"
        try:
            await self._publisher.publish(subject, b"", headers, PROBE_TIMEOUT_SECONDS)
        except SequenceMismatch:
            self._last_answer[shard] = loop.time()
        except StoreUnavailable as error:
            _log.debug("store_probe_failed", shard=shard, reason=type(error).__name__)
        except StoreError as error:
            # The leader is there and answers, with something else than what was to be expected.
            _log.warning("store_probe_odd", shard=shard, reason=str(error))
            self._last_answer[shard] = loop.time()

    def _connection_changed(self, is_connected: bool) -> None:  # noqa: FBT001  # what changed
        self._metrics.nats_connected.set(is_connected)
        if is_connected:
            self._is_new.set()
            for shard in self._unanswered:
                self._unanswered[shard] = 0
