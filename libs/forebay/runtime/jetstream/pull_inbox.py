"""An inbox that several pullers share, and what they share besides: room for large messages.

Closing it takes back all that they asked for. `puller` says how each of them works.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from forebay.runtime.jetstream.fast_subscriptions import subscribe
from forebay.runtime.jetstream.pull_status import OnRefused
from forebay.runtime.jetstream.pulled_message import PulledMessage, reply_tokens
from forebay.runtime.jetstream.puller import EXPIRES_SECONDS, Puller

__all__ = ["LARGE_AT_ONCE", "LargeMessages", "PullInbox"]

LARGE_AT_ONCE: Final = 2
"""Messages of one stream above `BATCH_BYTES` that all consumers of a process may have in hand. Each
can be as large as the server's `max_payload`."""


class LargeMessages:
    """Who may have a large message in hand, from the request for it until the next batch is wanted.

    By stream: whoever splits waits for room in EVENTS, which may take that a large item is
    delivered.
    """

    def __init__(self) -> None:
        self._by_stream: dict[str, asyncio.Semaphore] = {}

    def of(self, stream: str) -> asyncio.Semaphore:
        """Return the places of one stream."""
        return self._by_stream.setdefault(stream, asyncio.Semaphore(LARGE_AT_ONCE))


class PullInbox:
    """An inbox in which several consumers get their messages."""

    def __init__(
        self,
        client: Client,
        on_refused: OnRefused = lambda *_: None,
        large: LargeMessages | None = None,
    ) -> None:
        """Prepare an inbox; nothing comes before `start`.

        Args:
            client: A connected client.
            on_refused: Called for each request that failed.
            large: What all inboxes of a process share.
        """
        self._client = client
        self._large = large or LargeMessages()
        self._on_refused = on_refused
        self._prefix = client.new_inbox()
        self._by_number: dict[str, Puller] = {}
        self._by_consumer: dict[tuple[str, str], Puller] = {}
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Subscribe; call once, before the first puller."""
        self._subscription = await subscribe(self._client, f"{self._prefix}.*", self._on_message)

    async def close(self) -> None:
        """Take no more messages: the server forgets requests for an inbox that nobody reads.

        What has arrived and was not handed out stays unacked.
        """
        for puller in self._by_number.values():
            puller.end()
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            await subscription.unsubscribe()

    def puller(
        self,
        stream: str,
        consumer: str,
        batch: int,
        allowed: Callable[[], float] = lambda: EXPIRES_SECONDS,
    ) -> Puller:
        """Return a puller on a durable consumer, which has to exist.

        Args:
            stream: The consumer's stream.
            consumer: Its name.
            batch: How many messages to ask for at a time.
            allowed: For how many seconds from now messages may be handed out, at most.
        """
        number = str(len(self._by_number))
        inbox = f"{self._prefix}.{number}"
        puller = Puller(
            self._client,
            inbox,
            stream,
            consumer,
            batch,
            allowed,
            self._on_refused,
            self._large.of(stream),
        )
        self._by_number[number] = self._by_consumer[stream, consumer] = puller
        return puller

    def reconnected(self) -> None:
        """Make all requests again: those that the old connection had are gone."""
        for puller in self._by_number.values():
            puller.forget_request()

    def _on_message(self, message: Msg) -> None:
        # A message comes with its own subject and names its consumer in the reply; a status comes
        # on the inbox's subject.
        tokens = reply_tokens(message.reply)
        if tokens is not None:
            puller = self._by_consumer.get((tokens[0], tokens[1]))
            if puller is not None:
                puller.on_message(PulledMessage(self._client, message, tokens))
            return
        puller = self._by_number.get(message.subject[len(self._prefix) + 1 :])
        if puller is not None:
            puller.on_status(message)
