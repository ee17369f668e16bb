"""Pulling from durable consumers: one open request each, in batches, and never deaf.

nats-py's pull subscriptions are reported to go deaf after a restart of the server (nats.py #504).
Here every consumer keeps one pull request open, which the server ends after a few seconds at most
and says so: that is its heartbeat. A request that ends, fails or falls silent is made again, and a
new connection makes all of them again at once (`pull_inbox`). The request is the documented one
(ADR-9 and ADR-37 of NATS: `$JS.API.CONSUMER.MSG.NEXT`, statuses 100, 404, 408, 409, 503).

A consumer numbers what it hands out, to whomever. Who pulls alone sees every number; where one is
missing, somebody else has an older message than the next one, or it was lost on its way. Then
nothing more is handed on, and whoever owns the consumer takes it over anew (docs/design/0005).

A request that is refused, or that nobody answers, is reported to whoever opened the inbox: the
consumer may be gone, and then it would be asked for without end (docs/design/0017).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from forebay.runtime.jetstream.api import next_subject, status_of
from forebay.runtime.jetstream.pull_status import (
    COMPLETED,
    FULL,
    OnRefused,
    PullRefusal,
    refusal_of,
    says,
)
from forebay.runtime.jetstream.pulled_message import PulledMessage

__all__ = ["BATCH_BYTES", "EXPIRES_SECONDS", "SHORTEST_SECONDS", "Puller", "TakenOver"]

EXPIRES_SECONDS: Final = 5.0
"""A pull request ends after this time, or earlier where its maker may not have messages for so
long: the server must not hand anything to a process that stands still, or is dead."""

SHORTEST_SECONDS: Final = 0.5
"""For less it is not asked: an answer would come too late."""

SILENCE_SECONDS: Final = 2.0
"""So long after a request should have ended it counts as lost."""

COLLECT_SECONDS: Final = 10.0
"""For what an owner before us left to come again, all of which the server has at hand."""

BATCH_BYTES: Final = 512 * 1024
"""What one request brings at most, subjects and headers included; a batch of usual webhooks is half
of that. A processor has a hundred consumers, so all of them together bring 50 MiB at most. A larger
message is refused, and asked for alone: see `pull_inbox.LargeMessages`."""

_REQUEST_AGAIN_SECONDS: Final = 0.25
"""How long to wait before asking again where the server refused a request."""

_NANOSECONDS = 1_000_000_000


class TakenOver(NamedTuple):
    """What a consumer was like when it was taken over."""

    left: int
    """How many messages come again."""

    delivered: int
    """The number of the last message that it had handed out before, in its own counting."""


class Puller:
    """Hands out what one consumer has, in batches; one task reads from it."""

    def __init__(  # noqa: PLR0913, PLR0917  # all that a request is made of
        self,
        client: Client,
        inbox: str,
        stream: str,
        consumer: str,
        batch: int,
        allowed: Callable[[], float],
        on_refused: OnRefused,
        large: asyncio.Semaphore,
    ) -> None:
        self.stream = stream
        self.consumer = consumer
        self.pending = 0
        """How many messages the server had not handed out, as the last message said."""

        self.has_missed = False
        """Whether a message went to somebody else or was lost. Nothing is handed on from then:
        close the inbox, take the consumer over, begin anew."""

        self.refusal: PullRefusal | None = None
        """Why the last request failed; None where it did not."""

        self._on_refused = on_refused
        self._large = large
        self._has_large = False
        """Whether it may have a large message in hand."""

        self._is_ended = False
        """Whether nothing is asked for any more."""

        self._is_next_large = False
        """Whether the next message did not fit into the last request."""

        self._came = 0
        """Messages that the last request brought."""

        self._allowed = allowed
        self._client = client
        self._inbox = inbox
        self._batch = batch
        self._subject = next_subject(stream, consumer)
        self._arrived: deque[PulledMessage] = deque()
        self._wake = asyncio.Event()
        self._expected = 0
        self._left = 0
        self._delivered: int | None = None
        """The number of the consumer's last message; None while it is not known."""

        self._handed_out: int | None = None
        """The number of the last message that the consumer had handed out, to anybody, at the last
        check; None before the first."""

        self._lost_at = 0.0
        """When an open request counts as lost, on the loop's clock."""

        self._not_before = 0.0

    def begin_after(self, taken: TakenOver) -> None:
        """Before anything else, have what comes again, and hand it out in order.

        The server hands it out in the order in which it was sent back. Where an owner died while it
        got some of it again, that is behind what it did not get.
        """
        self._left, self._delivered = taken

    async def next_batch(self) -> list[PulledMessage]:
        """Return what has arrived, at least one message and at most a batch; waits for it."""
        loop = asyncio.get_running_loop()
        await self._begin_batch()
        while True:
            if self.has_missed:
                await loop.create_future()  # until whoever sees it ends this task
            if self._expected <= 0 and len(self._arrived) < self._batch:
                await self._ask_next()
            if self._arrived:
                count = min(len(self._arrived), self._batch)
                return [self._arrived.popleft() for _ in range(count)]
            self._wake.clear()
            pause = max(self._lost_at - loop.time(), 0.01)
            if self._expected <= 0:
                pause = max(self._not_before - loop.time(), 0.01)
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                if loop.time() >= self._lost_at:
                    if self._expected > 0:
                        self._refused(PullRefusal.UNANSWERED)
                    self.forget_request()

    async def _begin_batch(self) -> None:
        """Release what the last batch was, and have what an owner before us left."""
        if not self._arrived and self._expected <= 0:
            self.release()
        if self._left > 0:
            await self._collect()

    async def _collect(self) -> None:
        """Wait until all that was left has come, or the server has no more of it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + COLLECT_SECONDS
        while self._left > 0 and not self.has_missed and loop.time() < deadline:
            if self._expected <= 0:
                await self._ask(loop.time(), self._left)
            self._wake.clear()
            if self._expected > 0 or loop.time() < self._not_before:
                pause = min(_REQUEST_AGAIN_SECONDS, deadline - loop.time())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(pause, 0.01)):
                        await self._wake.wait()
            if self._expected <= 0 and loop.time() >= self._not_before:
                # All came, or the request ended with what there was.
                self._left = 0
        self._left = 0
        self._arrived = deque(sorted(self._arrived, key=lambda each: each.sequence))

    async def _ask_next(self) -> None:
        """Ask for a batch, or for one message where the next one is large."""
        if self._is_next_large and not self._is_ended:
            if self._arrived or self._has_large:
                return  # one thing after the other
            await self._large.acquire()
            self._has_large = True
        if self._is_ended:
            # A place that was given back by another one at its end: nobody would give it back here.
            self.release()
            await asyncio.get_running_loop().create_future()  # until who ended it ends this task
        await self._ask(asyncio.get_running_loop().time())

    def end(self) -> None:
        """Ask for nothing more, and have no large message in hand."""
        self._is_ended = True
        self.release()

    def release(self) -> None:
        """Have no large message in hand any more."""
        if self._has_large:
            self._has_large = self._is_next_large = False
            self._large.release()

    def forget_request(self) -> None:
        """Count the open request as lost: the next check makes a new one."""
        self._expected = 0
        if not self._came:
            self.release()
        self._not_before = 0.0
        self._wake.set()

    def on_message(self, message: PulledMessage) -> None:
        """Take a message from the inbox."""
        number, last = message.consumer_sequence, self._delivered
        # A new leader of the consumer may count from a little earlier than the last one did.
        if last is not None and number > last + 1:
            self._miss()
        self._delivered = number
        self._expected -= 1
        self._came += 1
        self.refusal = None
        self.pending = message.pending
        if not self.has_missed:
            self._arrived.append(message)
        self._wake.set()

    def compare(self, handed_out: int) -> None:
        """Take notice of how far the consumer is: for checks of it that are seconds apart.

        What it had handed out by the check before, and has not come here since, went to somebody
        else. The next message would show it by its number, but there may be none for long.

        Args:
            handed_out: The number of the last message that it has handed out to anybody.
        """
        before, self._handed_out = self._handed_out, handed_out
        # A new leader of the consumer may count from a little earlier than the last one did.
        if (
            before is not None
            and self._delivered is not None
            and min(before, handed_out) > self._delivered
        ):
            self._miss()

    def _miss(self) -> None:
        if not self.has_missed:
            self.has_missed = True
            # All of it is unacked, and comes again behind what is missing.
            self._arrived.clear()
            self._wake.set()

    def on_status(self, message: Msg) -> None:
        """Take what the server says of a request."""
        status = status_of(message)
        if status == "100" or says(message, COMPLETED):
            # Its last message said so already, and the next request may be open.
            return
        # 404 and 408: the request ended normally. 409 and 503: the consumer is gone or its leader
        # moved, so asking again at once would only make a storm; or it was enough bytes.
        self._expected = 0
        if not self._came:
            self.release()
            self._is_next_large = says(message, FULL)
        if status in {"404", "408"} or says(message, FULL):
            self.refusal = None
        else:
            self._not_before = asyncio.get_running_loop().time() + _REQUEST_AGAIN_SECONDS
            self._refused(refusal_of(message, status))
        self._wake.set()

    def _refused(self, reason: PullRefusal) -> None:
        self.refusal = reason
        self._on_refused(self.stream, self.consumer, reason)

    async def _ask(self, now: float, at_hand: int = 0) -> None:
        """Ask for a batch, or for so many as the server has at hand."""
        seconds = min(EXPIRES_SECONDS, self._allowed())
        if now < self._not_before or not self._client.is_connected or seconds < SHORTEST_SECONDS:
            self._not_before = max(self._not_before, now + _REQUEST_AGAIN_SECONDS)
            self.release()
            return
        self._came = 0
        self._expected = at_hand or (1 if self._has_large else self._batch)
        self._lost_at = now + seconds + SILENCE_SECONDS
        if at_hand:
            request = b'{"batch":%d,"no_wait":true}' % at_hand
        else:
            request = b'{"batch":%d,"max_bytes":%d,"expires":%d}' % (
                self._expected,
                _largest(self._client) if self._has_large else BATCH_BYTES,
                int(seconds * _NANOSECONDS),
            )
        try:
            await self._client.publish(self._subject, request, self._inbox)
        except NatsError:
            self._expected = 0
            self._not_before = now + _REQUEST_AGAIN_SECONDS
            self.release()


def _largest(client: Client) -> int:
    """Return a size that any message is less than which the server can hold."""
    return 2 * max(BATCH_BYTES, client.max_payload)
