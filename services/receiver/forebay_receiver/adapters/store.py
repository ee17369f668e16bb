"""The store behind the receiver: publishes to RAW, and knows whether it makes sense to try.

No answer is given on a guess. While NATS is not connected, or gave several publishes no answer at
all (as on a full disk), or has no room, a webhook is refused at once instead of waiting for its
budget (`shard_state`). Now and then one is tried, and the first that is stored ends a silence: no
cheaper question can find out, for a leader whose disk is full knows repeats and refuses a wrong
sequence, while it is silent on all that it would store.

Where a stream's leader only moves, a webhook is not refused at once: it waits for a moment
(`waiting_webhooks`).

Readiness asks less: whether the leader is there. The probe is a publish that is never stored, since
it asks for a last sequence that no stream can have: the leader answers 10071. Then it asks how full
the stream is.
"""

import asyncio
import sys
from typing import Final

import msgspec
import structlog

from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.api import API_PREFIX, EXPECTED_STREAM_SEQUENCE
from forebay.runtime.jetstream.errors import (
    SequenceMismatch,
    StillStoring,
    StoreError,
    StoreUnavailable,
)
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.log_once import LogOnce
from forebay.runtime.settings import NatsSettings
from forebay_receiver.adapters.shard_state import OVERTAKEN_SECONDS, ShardState
from forebay_receiver.adapters.storing import Storing
from forebay_receiver.adapters.waiting_webhooks import WaitingWebhooks
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import Reason

__all__ = ["JetStreamStore"]

_log = structlog.get_logger(__name__)

PROBE_SECONDS: Final = 2.0
"""Between two probes without trouble."""

PROBE_TROUBLED_SECONDS: Final = 0.5
"""Between two probes in trouble: service is back within 2 s of NATS being able to store."""

CHECK_AGAIN_SECONDS: Final = 60.0
"""Until a stream's size is asked for again after a request that failed: the user may lack the
right."""

SAY_AGAIN_SECONDS: Final = 10.0
"""Between two lines in the log on trouble that comes and goes."""

HEADERS_RESERVE: Final = 32 * 1024
"""Bytes of `max_payload` beyond the largest body: NATS counts the stored headers too, and those are
taken from a request whose head has this limit."""

PROBE_TIMEOUT_SECONDS: Final = 1.0

SILENCE_GRACE_SECONDS: Final = 10.0
"""How long readiness allows a store without an answer: a hiccup of NATS must give our own 503,
not a gateway's 502."""

STILL_STORING_PAUSE_SECONDS: Final = 0.05
"""Between two questions about a webhook that another receiver is storing (error 10158)."""

_NO_SEQUENCE = "18446744073709551615"
"""The largest sequence there is: never the last one of a stream."""


class JetStreamStore:
    """The store of production: NATS JetStream."""

    def __init__(
        self,
        settings: NatsSettings,
        shards: tuple[str, ...],
        metrics: ReceiverMetrics,
        *,
        max_body_bytes: int,
    ) -> None:
        """Prepare; nothing is connected before `run`.

        Args:
            settings: Where NATS is and how to log in.
            shards: Those that readiness depends on; others are known when a webhook is for them.
            metrics: Where to count.
            max_body_bytes: The largest body that the receiver lets in; NATS has to take it.
        """
        self._metrics = metrics
        self._publisher = Publisher(
            settings,
            "forebay-receiver",
            on_late=metrics.stored_late,
            on_change=self._connection_changed,
            on_sweep=self._find_lost_answers,
        )
        self._needed_payload = max_body_bytes + HEADERS_RESERVE
        self._payload_limit = LogOnce()
        self._shards = {name: ShardState(is_connected=False) for name in shards}
        self._waiting = WaitingWebhooks(self._state, self._send, metrics, self._publisher.clock)
        self._has_waited = self._waiting.known
        self._check_again_at: dict[str, float] = {}
        self._failing = LogOnce(SAY_AGAIN_SECONDS, self._publisher.clock)
        self._is_new = asyncio.Event()
        """Set with each new connection: the probe need not wait for its time."""

    async def run(self) -> None:
        """Stay connected; until cancelled."""
        await self._publisher.run()

    @property
    def was_reached(self) -> bool:
        """Whether NATS was reached once since the start."""
        return self._publisher.was_reached

    @property
    def max_body_bytes(self) -> int:
        """The largest body that NATS can take; any is worth a try while it is not connected."""
        return self._publisher.max_payload or sys.maxsize

    def warnings(self) -> list[str]:
        """Return what an operator should fix though webhooks are stored; empty when all is well.

        Most bodies are small, so a NATS that takes no large ones makes nobody unready.
        """
        return [each for each in (self.foreign_answer, self._small_payload()) if each]

    def _small_payload(self) -> str:
        has, needed = self._publisher.max_payload, self._needed_payload
        if not has or has >= needed:
            return ""
        return f"max_payload of NATS is {has}, larger webhooks get 503: set it to {needed} or more"

    @property
    def foreign_answer(self) -> str:
        """Who answers in RAW's place, in words; empty where nobody does."""
        return self._publisher.foreign_answer

    # -- storing

    def rejection(self, shard: str) -> Reason | None:
        """Return why storing is not worth a try at this moment; None where it is."""
        state = self._state(shard)
        return None if state.trouble is None else state.rejection(self._publisher.clock())

    def store(self, webhook: Storing) -> None:
        """Store a webhook, and report the outcome to it."""
        state = self._state(webhook.shard)
        if state.trouble is None:
            self._publisher.submit(webhook)
        elif not self._waiting.keeps_back(webhook, state):
            self._send(webhook)

    def _send(self, webhook: Storing) -> None:
        state = self._state(webhook.shard)
        if state.trouble is not None:
            state.sending(webhook, self._publisher.clock())
        self._publisher.submit(webhook)

    def take_answer(self, webhook: Storing, result: PubAck | StoreError) -> None:
        """Learn from an answer, or from its absence, and pass it on."""
        state, now = self._state(webhook.shard), self._publisher.clock()
        if isinstance(result, PubAck):
            state.stored(webhook, now, is_repeat=result.duplicate)
            if self._has_waited:
                result = self._waiting.settle(webhook, result)
        elif (
            isinstance(result, StillStoring)
            and webhook.deadline - now > STILL_STORING_PAUSE_SECONDS
        ):
            # Another receiver has the same webhook on its way: ask until it is there.
            loop = asyncio.get_running_loop()
            loop.call_later(STILL_STORING_PAUSE_SECONDS, self.store, webhook)
            return
        else:
            self._failed(webhook, state, result, now)
            if self._waiting.keeps(webhook, result, state):
                return
        webhook.done(result)

    def is_waiting(self, webhook: Storing) -> bool:
        """Say whether a webhook that failed is going to be published again."""
        return webhook in self._has_waited

    def _find_lost_answers(self) -> None:
        """Take back what will not be answered any more, since what was sent later was."""
        lost: list[tuple[int, Storing]] = []
        now = self._publisher.clock()
        for number, each in self._publisher.unanswered():
            if not isinstance(each, Storing):
                continue
            sent = self._waiting.sent(each)
            if now - sent < OVERTAKEN_SECONDS:
                break  # nor is any behind it older
            if self._state(each.shard).has_lost(sent) and self._waiting.may_wait(each):
                lost.append((number, each))
        for number, webhook in lost:
            self._publisher.withdraw(number)
            self._waiting.wait(webhook, may_be_stored=True)

    def _failed(self, webhook: Storing, state: ShardState, error: StoreError, now: float) -> None:
        before = state.trouble
        state.failed(webhook, error, now)
        if state.trouble is None or state.trouble is before:
            return
        # Where some fit and some do not, it comes and goes: not a line for each time.
        if self._failing.is_due():
            _log.warning("store_failing", shard=webhook.shard, reason=state.trouble)

    def _state(self, shard: str) -> ShardState:
        state = self._shards.get(shard)
        if state is None:
            state = ShardState(is_connected=self._publisher.is_connected)
            self._shards[shard] = state
        return state

    # -- readiness

    def answered_lately(self) -> bool:
        """Say whether any shard's stream gave an answer within the grace time."""
        answers = [each.last_answer for each in self._shards.values() if each.last_answer]
        now = asyncio.get_running_loop().time()
        return bool(answers) and now - max(answers) < SILENCE_GRACE_SECONDS

    async def probe(self) -> None:
        """Ask each shard's stream for a sign of life, again and again; until cancelled."""
        while True:
            self._is_new.clear()
            self._check_max_payload()
            # At once: a silent shard must not make the others wait for its time.
            await asyncio.gather(*(self._probe_shard(*each) for each in self._shards.items()))
            # Only now: a stream that is almost full is found by the probe itself.
            in_trouble = any(each.trouble for each in self._shards.values())
            try:
                async with asyncio.timeout(PROBE_TROUBLED_SECONDS if in_trouble else PROBE_SECONDS):
                    await self._is_new.wait()
            except TimeoutError:
                continue

    async def _probe_shard(self, shard: str, state: ShardState) -> None:
        loop = asyncio.get_running_loop()
        before = state.trouble
        headers = {EXPECTED_STREAM_SEQUENCE: _NO_SEQUENCE}
        subject = f"forebay.raw.{shard}.probe"
        try:
            await self._publisher.publish(subject, b"", headers, PROBE_TIMEOUT_SECONDS)
        except SequenceMismatch:
            state.answered(loop.time())
        except StoreUnavailable as error:
            _log.debug("store_probe_failed", shard=shard, reason=type(error).__name__)
            return
        except StoreError as error:
            # The leader is there and answers, with something else than what was to be expected.
            _log.warning("store_probe_unexpected", shard=shard, reason=str(error))
            state.answered(loop.time())
        await self._poll_fullness(shard, state)
        if before is not state.trouble:
            _log.info("store_state", shard=shard, trouble=state.trouble, before=before)

    async def _poll_fullness(self, shard: str, state: ShardState) -> None:
        """Ask how full the stream is; who may not ask learns it from refused publishes only."""
        now = asyncio.get_running_loop().time()
        if now < self._check_again_at.get(shard, 0.0):
            return
        name = stream_name(StreamKind.RAW, shard)
        try:
            answer = await self._publisher.ask(
                f"{API_PREFIX}STREAM.INFO.{name}", PROBE_TIMEOUT_SECONDS
            )
            info = _DECODE_INFO(answer)
        except (StoreUnavailable, msgspec.DecodeError) as error:
            self._check_again_at[shard] = now + CHECK_AGAIN_SECONDS
            state.filled(0.0)
            state.copies = 1
            _log.warning("stream_info_missing", stream=name, reason=type(error).__name__)
            return
        state.copies = info.config.num_replicas
        if info.config.max_bytes > 0:
            state.filled(info.state.bytes / info.config.max_bytes)
        else:
            state.filled(0.0)

    def _check_max_payload(self) -> None:
        """Log, once for each value, that NATS does not take the bodies that the contract takes."""
        has = self._publisher.max_payload
        if has and self._payload_limit.is_due(has) and (warning := self._small_payload()):
            _log.error("max_payload_too_small", reason=warning)
        self._metrics.takes_payload(has)

    def _connection_changed(self, is_connected: bool) -> None:  # noqa: FBT001  # what changed
        self._metrics.connected(is_connected=is_connected)
        for state in self._shards.values():
            state.connected(is_connected=is_connected)
        if is_connected:
            self._check_again_at.clear()
            self._is_new.set()


class _Config(msgspec.Struct):
    max_bytes: int = -1
    num_replicas: int = 1


class _State(msgspec.Struct):
    bytes: int = 0


class _StreamInfo(msgspec.Struct):
    """The part of `STREAM.INFO` that is needed here; an error's answer has none of it."""

    config: _Config = msgspec.field(default_factory=_Config)
    state: _State = msgspec.field(default_factory=_State)


_DECODE_INFO: Final = msgspec.json.Decoder(_StreamInfo).decode
