"""Pipelined publishing: many messages in flight on one connection, one inbox for all answers.

`js.publish` of nats-py makes a request, and so a future, a timer and an inbox subject through the
client's own request map, for every message. Here each message's reply subject is the publisher's
inbox and a number; the answers come back in one subscription and are matched by that number.

The truth about a disconnect: what was in flight may or may not be stored, so it fails at once with
StoreUnavailable, and an answer that still comes later is only counted.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.runtime.store_errors import (
    MessageTooLarge,
    StoreError,
    StoreUnavailable,
    StreamMissing,
    store_error,
)

__all__ = ["PubAck", "Publisher", "encode_headers"]

_REMEMBERED = 10_000
"""Numbers of unanswered messages that are kept to recognise a late answer."""


class PubAck(msgspec.Struct):
    """JetStream's answer to a publish: stored, or stored before (`duplicate`)."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: dict[str, Any] | None = None


_DECODE = msgspec.json.Decoder(PubAck).decode

_InFlight = tuple[Callable[[PubAck | StoreError], None], asyncio.TimerHandle]


class Publisher:
    """Publishes to JetStream over one client; `bind` before the first publish."""

    def __init__(self, on_late: Callable[[], None] = lambda: None) -> None:
        self._on_late = on_late
        self._client: Client | None = None
        self._prefix = b""
        self._number = 0
        self._in_flight: dict[int, _InFlight] = {}
        self._given_up: dict[int, None] = {}
        self._outbox: list[bytes] = []
        self._flushing: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many messages wait for their answer."""
        return len(self._in_flight)

    async def bind(self, client: Client) -> None:
        """Take answers over this client from now on."""
        self.fail_all("the connection to NATS was replaced")
        inbox = client.new_inbox()
        self._prefix = inbox.encode() + b"."
        await client.subscribe(f"{inbox}.*", cb=self._on_answer)
        self._client = client

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
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
        return await self.send(subject, payload, headers, within)

    def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
    ) -> asyncio.Future[PubAck]:
        """Send a message and return its answer to come: for many in a row, in this order.

        Takes what `publish` takes. The future ends with the PubAck or a StoreError, within the time
        given; whoever sends has to await it.
        """
        answer: asyncio.Future[PubAck] = asyncio.get_running_loop().create_future()

        def done(result: PubAck | StoreError) -> None:
            if answer.done():
                return
            if isinstance(result, StoreError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

        self.submit(subject.encode(), payload, encode_headers(headers), within, done)
        return answer

    def submit(
        self,
        subject: bytes,
        payload: bytes,
        headers: bytes,
        within: float,
        done: Callable[[PubAck | StoreError], None],
    ) -> None:
        """Send a message and have `done` called once with its answer: for the hot path.

        Args:
            subject: Where it goes.
            payload: The bytes.
            headers: A header block as `encode_headers` makes it.
            within: Seconds to wait for the answer.
            done: Called with the PubAck or a StoreError; at once, inside this call, where the
                message cannot be sent.
        """
        client = self._client
        if client is None or not client.is_connected:
            done(StoreUnavailable("NATS is not connected"))
            return
        size = len(headers) + len(payload)
        if size > client.max_payload:
            done(MessageTooLarge("the message is larger than max_payload of NATS"))
            return
        self._number = number = self._number + 1
        timer = asyncio.get_running_loop().call_later(within, self._give_up, number)
        self._in_flight[number] = (done, timer)
        self._outbox.append(
            b"HPUB %b %b%d %d %d\r\n%b%b\r\n"
            % (subject, self._prefix, number, len(headers), size, headers, payload)
        )
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush(client))

    async def _flush(self, client: Client) -> None:
        """Send what was submitted in this turn of the event loop, in one write.

        `Client.publish` encodes headers one by one: 8 µs for six of them, a third of all that a
        webhook may cost. So the commands are made here and go out by the call under it, which is
        not public: tests/component/test_publisher_client.py holds nats-py to it.
        """
        outbox, self._outbox = self._outbox, []
        self._flushing = None
        if not client.is_connected:
            # What is in flight was failed already; sent later, it would be stored behind our back.
            return
        await client._send_command(b"".join(outbox))  # noqa: SLF001  # see above
        await client._flush_pending()  # noqa: SLF001

    def fail_all(self, why: str) -> None:
        """Fail all that is in flight: the connection is gone, and what was stored is not known."""
        in_flight, self._in_flight = self._in_flight, {}
        for number, (done, timer) in in_flight.items():
            timer.cancel()
            self._remember(number)
            done(StoreUnavailable(why))

    def _give_up(self, number: int) -> None:
        done, _ = self._in_flight.pop(number)
        self._remember(number)
        done(StoreUnavailable("NATS gave no answer in time"))

    def _remember(self, number: int) -> None:
        self._given_up[number] = None
        if len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]

    async def _on_answer(self, message: Msg) -> None:  # noqa: RUF029  # nats-py awaits it
        number = int(message.subject[len(self._prefix) :])
        waiting = self._in_flight.pop(number, None)
        if waiting is None:
            if self._given_up.pop(number, self) is None and message.data:
                self._on_late()
            return
        done, timer = waiting
        timer.cancel()
        done(_result(message.data))


def _result(data: bytes) -> PubAck | StoreError:
    if not data:
        # An empty answer with status 503: nobody listens on the subject.
        return StreamMissing("no stream takes this subject at the moment")
    try:
        ack = _DECODE(data)
    except msgspec.DecodeError:
        return StoreUnavailable("NATS answered something that is no PubAck")
    return ack if ack.error is None else store_error(ack.error)


def encode_headers(headers: Mapping[str, str]) -> bytes:
    """Return a NATS header block (ADR-4): `NATS/1.0`, one line for each header, an empty line.

    Raises:
        ValueError: where a name or value holds a line break; it would add headers of its own.
    """
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        message = "a header holds a line break"
        raise ValueError(message)
    return "\r\n".join(("NATS/1.0", *lines, "", "")).encode()
