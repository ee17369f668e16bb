"""Pipelined publishing: many messages in flight on one connection, one inbox for all answers.

`js.publish` of nats-py makes a request, and so a future, a timer and an inbox subject through the
client's own request map, for every message. Here each message's reply subject is the publisher's
inbox and a number; the answers come back in one subscription and are matched by that number.

The truth about a disconnect: what was in flight may or may not be stored, so it fails at once with
StoreUnavailable, and an answer that still comes later is only counted.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from forebay.runtime.store_errors import (
    MessageTooLarge,
    StoreUnavailable,
    StreamMissing,
    store_error,
)

__all__ = ["PubAck", "Publisher"]

_REMEMBERED = 10_000
"""Numbers of unanswered messages that are kept to recognise a late answer."""


class PubAck(msgspec.Struct):
    """JetStream's answer to a publish: stored, or stored before (`duplicate`)."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: dict[str, Any] | None = None


_DECODE = msgspec.json.Decoder(PubAck).decode


class Publisher:
    """Publishes to JetStream over one client; `bind` before the first publish."""

    def __init__(self, on_late: Callable[[], None] = lambda: None) -> None:
        self._on_late = on_late
        self._client: Client | None = None
        self._prefix = ""
        self._number = 0
        self._in_flight: dict[str, asyncio.Future[PubAck]] = {}
        self._given_up: dict[str, None] = {}

    @property
    def in_flight(self) -> int:
        """How many messages wait for their answer."""
        return len(self._in_flight)

    async def bind(self, client: Client) -> None:
        """Take answers over this client from now on."""
        self.fail_all("the connection to NATS was replaced")
        self._prefix = client.new_inbox()
        await client.subscribe(f"{self._prefix}.*", cb=self._on_answer)
        self._client = client

    async def publish(
        self, subject: str, payload: bytes, headers: dict[str, str], within: float
    ) -> PubAck:
        """Store a message and return JetStream's answer.

        Args:
            subject: Where it goes; it has to belong to a stream.
            payload: The bytes.
            headers: Header names and values.
            within: Seconds to wait for the answer.

        Raises:
            StoreError: one of its kinds, see `forebay.runtime.store_errors`.
        """
        return await (await self.send(subject, payload, headers, within))

    async def send(
        self, subject: str, payload: bytes, headers: dict[str, str], within: float
    ) -> asyncio.Future[PubAck]:
        """Send a message and return its answer to come: for many in a row, in this order.

        Takes what `publish` takes. The future ends with the PubAck or a StoreError, within the time
        given; whoever sends has to await it. Cancelling it gives the answer up.

        Raises:
            StoreError: where the message was not even sent.
        """
        client = self._client
        if client is None or not client.is_connected:
            message = "NATS is not connected"
            raise StoreUnavailable(message)
        loop = asyncio.get_running_loop()
        self._number += 1
        number = str(self._number)
        answer: asyncio.Future[PubAck] = loop.create_future()
        self._in_flight[number] = answer
        timer = loop.call_later(within, self._give_up, number)
        answer.add_done_callback(lambda _: self._finish(number, timer))
        try:
            await client.publish(subject, payload, f"{self._prefix}.{number}", headers)
        except MaxPayloadError as error:
            answer.cancel()
            message = "the message is larger than max_payload of NATS"
            raise MessageTooLarge(message) from error
        except NatsError as error:
            answer.cancel()
            message = f"NATS took no message: {type(error).__name__}"
            raise StoreUnavailable(message) from error
        return answer

    def _finish(self, number: str, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        if self._in_flight.pop(number, None) is not None:
            # Given up by the caller: an answer that still comes is late.
            self._remember(number)

    def fail_all(self, why: str) -> None:
        """Fail all that is in flight: the connection is gone, and what was stored is not known."""
        in_flight, self._in_flight = self._in_flight, {}
        for number, answer in in_flight.items():
            self._remember(number)
            if not answer.done():
                answer.set_exception(StoreUnavailable(why))

    def _give_up(self, number: str) -> None:
        answer = self._in_flight.pop(number, None)
        if answer is not None and not answer.done():
            self._remember(number)
            answer.set_exception(StoreUnavailable("NATS gave no answer in time"))

    def _remember(self, number: str) -> None:
        self._given_up[number] = None
        if len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]

    async def _on_answer(self, message: Msg) -> None:
        number = message.subject[len(self._prefix) + 1 :]
        answer = self._in_flight.pop(number, None)
        if answer is None or answer.done():
            if self._given_up.pop(number, self) is None and message.data:
                self._on_late()
            return
        if not message.data:
            # An empty answer with status 503: nobody listens on the subject.
            answer.set_exception(StreamMissing("no stream takes this subject at the moment"))
            return
        try:
            ack = _DECODE(message.data)
        except msgspec.DecodeError:
            answer.set_exception(StoreUnavailable("NATS answered something that is no PubAck"))
            return
        if ack.error is not None:
            answer.set_exception(store_error(ack.error))
        else:
            answer.set_result(ack)
