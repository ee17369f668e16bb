"""The store behind the receiver: publishes to RAW, and knows whether it makes sense to try.

Truth before hope. While NATS is not connected, or gave several publishes no answer at all (as on a
full disk), a webhook is refused at once instead of waiting for its budget; a probe that is never
stored finds out when that is over. The probe asks for a last sequence that no stream can have, so
that a leader that is there answers 10071.
"""

import asyncio
from typing import Final, Protocol

import structlog

from forebay.runtime.publisher import Done, PubAck, Publisher
from forebay.runtime.settings import NatsSettings
from forebay.runtime.store_errors import (
    SequenceMismatch,
    StillStoring,
    StoreError,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.metrics import ReceiverMetrics

__all__ = ["JetStreamStore", "Store"]

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


class Store(Protocol):
    """Where webhooks are kept."""

    def is_willing(self, shard: str) -> bool:
        """Say whether storing is worth a try; where not, the answer is 503 at once."""

    def store(  # noqa: PLR0913  # a webhook has these parts
        self, shard: str, subject: bytes, body: bytes, headers: bytes, deadline: float, done: Done
    ) -> None:
        """Store one webhook and call `done`, before the deadline or a moment after it."""


class _Storing:
    """One webhook on its way. An object, for two closures that know each other are a cycle: for
    every webhook the garbage collector would have to find it."""

    __slots__ = ("_arguments", "_deadline", "_done", "_publisher", "_shard", "_store")

    def __init__(  # noqa: PLR0913, PLR0917  # a webhook has these parts
        self,
        store: "JetStreamStore",
        publisher: Publisher,
        shard: str,
        subject: bytes,
        body: bytes,
        headers: bytes,
        deadline: float,
        done: Done,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._shard = shard
        self._arguments = (subject, body, headers)
        self._deadline = deadline
        self._done = done

    def ask(self) -> None:
        """Send it, or send it again."""
        within = self._deadline - self._publisher.clock()
        self._publisher.submit(*self._arguments, within, self.answered)

    def answered(self, result: PubAck | StoreError) -> None:
        """Pass on what became of it."""
        if isinstance(result, StillStoring):
            # Another receiver has the same webhook on its way: ask until it is there.
            if self._deadline - self._publisher.clock() > STILL_STORING_PAUSE_SECONDS:
                loop = asyncio.get_running_loop()
                loop.call_later(STILL_STORING_PAUSE_SECONDS, self.ask)
                return
        self._store.note(self._shard, result)
        self._done(result)


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

    def store(  # noqa: PLR0913  # a webhook has these parts
        self, shard: str, subject: bytes, body: bytes, headers: bytes, deadline: float, done: Done
    ) -> None:
        """Store one webhook and call `done` with what became of it.

        Args:
            shard: Whose RAW it goes to.
            subject: Of RAW.
            body: The bytes.
            headers: A header block, as `encode_headers` makes it.
            deadline: On the loop's clock; `done` is called by then.
            done: Called once; inside this call where it is known at once.
        """
        _Storing(self, self._publisher, shard, subject, body, headers, deadline, done).ask()

    def note(self, shard: str, result: PubAck | StoreError) -> None:
        """Learn from an answer, or from its absence, whether the shard's stream is there."""
        if isinstance(result, StoreUnavailable):
            if not isinstance(result, StreamMissing | StillStoring):
                self._unanswered[shard] = self._unanswered.get(shard, 0) + 1
        else:
            self._answered(shard, self._publisher.clock())

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
