"""The store behind the receiver: publishes to RAW, and knows whether it makes sense to try.

Truth before hope. While NATS is not connected, or gave several publishes no answer at all (as on a
full disk), a webhook is refused at once instead of waiting for its budget; a probe that is never
stored finds out when that is over. The probe asks for a last sequence that no stream can have, so
that a leader that is there answers 10071.
"""

import asyncio
from typing import Final, Protocol

import structlog
from typing_extensions import override

from forebay.runtime.publisher import Outgoing, PubAck, Publisher
from forebay.runtime.settings import NatsSettings
from forebay.runtime.store_errors import (
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
"""Between two probes in peace."""

PROBE_SILENT_SECONDS: Final = 0.5
"""Between two probes while NATS is silent: service is back within 2 s of its answer."""

PROBE_TIMEOUT_SECONDS: Final = 1.0

SILENT_AFTER: Final = 5
"""Publishes in a row without an answer after which the store counts as silent."""

SILENCE_GRACE_SECONDS: Final = 10.0
"""How long readiness bears a store without an answer: a hiccup of NATS must give our honest 503,
not a gateway's 502."""

STILL_STORING_PAUSE_SECONDS: Final = 0.05
"""Between two questions about a webhook that another receiver is storing (error 10158)."""

_NO_SEQUENCE = "18446744073709551615"
"""The largest sequence there is: never the last one of a stream."""


class Storing(Outgoing):
    """One webhook on its way to the store; whoever stores one says in `done` what follows."""

    __slots__ = ("shard", "store")

    def __init__(
        self,
        store: "Store",
        shard: str,
        subject: str,
        body: bytes,
        headers: bytes,
        deadline: float,
    ) -> None:
        super().__init__(subject, body, headers, deadline)
        self.store = store
        self.shard = shard

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
        """Say whether NATS is connected and the shard's stream answers."""
        return self._publisher.is_connected and self._unanswered.get(shard, 0) < SILENT_AFTER

    def store(self, webhook: Storing) -> None:
        """Store a webhook, and tell it what became of it."""
        self._publisher.submit(webhook)

    def take_answer(self, webhook: Storing, result: PubAck | StoreError) -> None:
        """Learn from an answer, or from its absence, and pass it on."""
        shard = webhook.shard
        if isinstance(result, PubAck):
            self._unanswered[shard] = 0
            self._last_answer[shard] = self._publisher.clock()
        elif isinstance(result, StillStoring):
            # Another receiver has the same webhook on its way: ask until it is there.
            if webhook.deadline - self._publisher.clock() > STILL_STORING_PAUSE_SECONDS:
                loop = asyncio.get_running_loop()
                loop.call_later(STILL_STORING_PAUSE_SECONDS, self.store, webhook)
                return
        elif not isinstance(result, StoreUnavailable):
            self._answered(shard, self._publisher.clock())
        elif not isinstance(result, StreamMissing):
            self._unanswered[shard] = self._unanswered.get(shard, 0) + 1
        webhook.done(result)

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
            silent = any(count >= SILENT_AFTER for count in self._unanswered.values())
            for shard in self._unanswered:
                await self._probe_shard(shard)
            try:
                async with asyncio.timeout(PROBE_SILENT_SECONDS if silent else PROBE_SECONDS):
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
            self._answered(shard, loop.time())
        except StoreUnavailable as error:
            _log.debug("store_probe_failed", shard=shard, reason=type(error).__name__)
        except StoreError as error:
            # The leader is there and answers, with something else than what was to be expected.
            _log.warning("store_probe_odd", shard=shard, reason=str(error))
            self._answered(shard, loop.time())

    def _connection_changed(self, is_connected: bool) -> None:  # noqa: FBT001  # what changed
        self._metrics.nats_connected.set(is_connected)
        if is_connected:
            self._is_new.set()
            for shard in self._unanswered:
                self._unanswered[shard] = 0

    def _answered(self, shard: str, now: float) -> None:
        if self._unanswered.get(shard, 0) >= SILENT_AFTER:
            _log.info("store_answers_again", shard=shard)
        self._unanswered[shard] = 0
        self._last_answer[shard] = now
