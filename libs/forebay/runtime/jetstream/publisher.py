"""Pipelined publishing to JetStream over a connection of its own.

Many messages in flight, one inbox for all answers, one write for each turn of the event loop or, in
a turn that brings many, for each 32 of them.

Why not over nats-py's client: `js.publish` makes a request, a future and a timer in the client's
own maps for every message, `publish` encodes headers one by one, and each answer goes through a
queue and a task: more than a webhook's HTTP costs (docs/design/0002). And its client keeps what
could not be sent and sends it after a reconnect, when the webhook was answered 503 long ago.

What is spoken here is what production needs: TLS, users and credentials, clusters, lame duck mode,
reconnects. After a disconnect: what was in flight may or may not be stored, so it fails
at once with StoreUnavailable, and an answer that still comes later is only counted.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from forebay.runtime.jetstream.errors import (
    ForeignAnswer,
    MessageTooLarge,
    NotConnected,
    StoreError,
    StoreUnavailable,
    StreamMissing,
)
from forebay.runtime.jetstream.nats_wire import encode_headers
from forebay.runtime.jetstream.pending_publish import (
    AwaitedPublish,
    BatchPublish,
    Message,
    PendingPublish,
    PubAck,
    PublishBatch,
    pub_ack,
)
from forebay.runtime.jetstream.publisher_connection import (
    CONNECT_SECONDS,
    PublisherConnection,
    ServerConnector,
)
from forebay.runtime.jetstream.server_identity import ServerIdentity
from forebay.runtime.settings import NatsSettings

__all__ = ["Publisher"]

_log = structlog.get_logger(__name__)

RECONNECT_SECONDS: Final = 0.2
"""Between two attempts, with jitter: service should be back soon after NATS is, and a refused
connection costs nothing."""

SWEEP_SECONDS: Final = 0.02
"""Between two sweeps for answers that did not come in time."""

_PIECES_AT_ONCE: Final = 4 * 32
"""Of 32 messages, after which they are sent, in the middle of a turn of the loop: in a turn with
hundreds NATS would have nothing to do until its end, and this process nothing after it. Fewer
messages a write cost nats-server more (docs/design/0002)."""

FOREIGN_SECONDS: Final = 30.0
"""For which a foreign answer is reported after the last one: where two answer, it is a race."""

_LARGE: Final = 64 * 1024
"""Bytes of a message from which it is written by itself."""

_REMEMBERED: Final = 10_000
"""Numbers of unanswered messages that are kept to recognise a late answer."""


class Publisher:
    """Publishes to JetStream; `run` is its one task and keeps it connected."""

    def __init__(
        self,
        settings: NatsSettings,
        name: str,
        *,
        on_late: Callable[[], None] = lambda: None,
        on_change: Callable[[bool], None] = lambda _: None,
        on_sweep: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; nothing is connected before `run`.

        Args:
            settings: Where NATS is and how to log in.
            name: How the server's own lists name this connection.
            on_late: Called for each message that was stored after it had been given up.
            on_change: Called with True when a connection is there, with False when none is.
            on_sweep: Called every `SWEEP_SECONDS` while something is in flight.
        """
        loop = asyncio.get_running_loop()
        self.clock = loop.time
        """The loop's clock, in seconds."""

        self._call_later = loop.call_later
        self._call_soon = loop.call_soon
        self._on_late = on_late
        self._on_change = on_change
        self._on_sweep = on_sweep
        # The inbox is this process's secret: nobody else can forge an answer without guessing it.
        self._inbox = f"{settings.inbox}.{secrets.token_hex(12)}."
        self._inbox_size = len(self._inbox)
        self._connector = ServerConnector(settings, name, self._inbox)
        self._number = 0
        self._in_flight: dict[int, PendingPublish] = {}
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._given_up: dict[int, str] = {}
        """The streams that may still answer."""

        self._foreign = ("", 0.0)
        """What somebody answered who is no stream of ours, and when."""

        self._outbox: list[bytes] = []
        self._connection: PublisherConnection | None = None
        self._reached = asyncio.Event()

    # -- state

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._connection is not None

    @property
    def was_reached(self) -> bool:
        """Whether NATS was reached once since the start."""
        return self._reached.is_set()

    @property
    def max_payload(self) -> int:
        """Bytes of headers and payload that the server takes; 0 while there is no connection."""
        return 0 if self._connection is None else self._connection.max_payload

    @property
    def server(self) -> ServerIdentity | None:
        """Which server it is connected to; None while there is no connection."""
        return None if self._connection is None else self._connection.identity

    @property
    def foreign_answer(self) -> str:
        """Who answers in the place of a stream, in words; empty where nobody did lately."""
        words, at = self._foreign
        return words if words and self.clock() - at < FOREIGN_SECONDS else ""

    @property
    def in_flight(self) -> int:
        """How many messages wait for their answer."""
        return len(self._in_flight)

    async def wait_reached(self) -> None:
        """Wait until NATS was reached for the first time."""
        await self._reached.wait()

    # -- publishing

    async def publish(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
    ) -> PubAck:
        """Store a message and return JetStream's answer.

        Args:
            subject: Where it goes: one of `forebay.core.subjects`, whose stream has to answer.
            payload: The bytes.
            headers: Header names and values.
            within: Seconds to wait for the answer.

        Raises:
            StoreError: one of its kinds, see `forebay.runtime.jetstream.errors`.
        """
        return await self.send(subject, payload, headers, within)

    def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
    ) -> asyncio.Future[PubAck]:
        """Send a message and return its answer to come: for many in a row, in this order.

        Takes what `publish` takes. The future ends with the PubAck or a StoreError, within the time
        given; whoever sends has to await it.
        """
        message = AwaitedPublish(subject, payload, encode_headers(headers), self.clock() + within)
        self.submit(message)
        return message.future

    async def publish_all(
        self, messages: Sequence[Message], within: float
    ) -> list[PubAck | StoreError]:
        """Store messages in this order, pipelined, and return the answer to each.

        Args:
            messages: What to store.
            within: Seconds to wait for the answers.
        """
        if not messages:
            return []
        batch = PublishBatch(len(messages))
        deadline = self.clock() + within
        for place, message in enumerate(messages):
            self.submit(BatchPublish(message, deadline, batch, place))
        await batch.all_answered
        return batch.results

    def submit(self, message: PendingPublish) -> None:
        """Send a message, whose `answered` is called once with a PubAck or a StoreError.

        For the hot path. It is called inside this call where the message cannot be sent, else by
        its deadline, up to `SWEEP_SECONDS` before it.
        """
        connection = self._connection
        if connection is None:
            message.answered(NotConnected("NATS is not connected"))
            return
        headers, payload = message.headers, message.payload
        size = len(headers) + len(payload)
        if size > connection.max_payload:
            message.answered(MessageTooLarge("the message is larger than max_payload of NATS"))
            return
        self._number = number = self._number + 1
        self._in_flight[number] = message
        if not self._outbox:
            self._call_soon(self._flush)
        command = f"HPUB {message.subject} {self._inbox}{number} {len(headers)} {size}\r\n"
        if size > _LARGE:
            # Not joined with others: to copy 4 MiB takes the loop 4 ms, and as much memory again.
            self._flush()
            for piece in (command.encode() + headers, payload, b"\r\n"):
                connection.wire.write(piece)
            return
        self._outbox += (command.encode(), headers, payload, b"\r\n")
        if len(self._outbox) >= _PIECES_AT_ONCE:
            self._flush()

    async def ask(self, subject: str, within: float) -> bytes:
        """Ask one of NATS' own services, such as `$JS.API.STREAM.INFO.<name>`; for rare questions.

        Args:
            subject: What to ask.
            within: Seconds to wait for the answer.

        Raises:
            StoreUnavailable: where no answer came; StreamMissing where nobody listens.
        """
        connection = self._connection
        if connection is None:
            message = "NATS is not connected"
            raise NotConnected(message)
        self._number = number = self._number + 1
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        connection.wire.write(f"PUB {subject} {self._inbox}{number} 0\r\n\r\n".encode())
        try:
            async with asyncio.timeout(within):
                answer = await future
        except TimeoutError as error:
            message = "NATS gave no answer in time"
            raise StoreUnavailable(message) from error
        finally:
            self._asked.pop(number, None)
        if not answer:
            message = "nobody answers on this subject at the moment"
            raise StreamMissing(message)
        return answer

    def unanswered(self) -> Iterable[tuple[int, PendingPublish]]:
        """Return what waits for its answer, each with its number: in the order of sending.

        Nothing may be sent or withdrawn while this is gone through.
        """
        return self._in_flight.items()

    def withdraw(self, number: int) -> None:
        """Wait no longer for an answer, of which nobody is told; it may be stored all the same."""
        self._in_flight.pop(number, None)

    def fail_all(self, why: str) -> None:
        """Fail all that is in flight: the connection is gone, and what was stored is not known."""
        in_flight, self._in_flight = self._in_flight, {}
        for number, message in in_flight.items():
            message.answered(StoreUnavailable(why))
            if not message.is_sent_again:
                self._remember(number, message.stream)
        for future in self._asked.values():
            if not future.done():
                future.set_exception(StoreUnavailable(why))

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        # Without a connection these were failed already; sent later, they would be stored behind
        # the back of a caller for whom they failed. And they may have been sent earlier in
        # this turn.
        if outbox and self._connection is not None:
            self._connection.wire.write(b"".join(outbox))
        if self._sweeping is None and self._in_flight:
            self._sweeping = self._call_later(SWEEP_SECONDS, self._sweep)

    def on_answer(self, subject: bytes, payload: bytes) -> None:
        """Take an answer from the inbox."""
        try:
            number = int(subject[self._inbox_size :])
        except ValueError:
            return  # no answer of a stream: somebody guessed the inbox, and ends no connection
        waiting = self._in_flight.pop(number, None)
        if waiting is None:
            asked = self._asked.get(number)
            if asked is not None:
                if not asked.done():
                    asked.set_result(payload)
                return
            stream = self._given_up.pop(number, None)
            if stream is not None and isinstance(pub_ack(payload, stream), PubAck):
                self._on_late()
            return
        result: PubAck | StoreError
        try:
            result = pub_ack(payload, waiting.stream)
        except Exception as error:  # noqa: BLE001  # whoever waits gets an answer, whatever came
            result = ForeignAnswer(f"an answer that cannot be read: {type(error).__name__}")
        if result.__class__ is ForeignAnswer:
            # Where the stream is there too, its own answer is late from now on.
            self._remember(number, waiting.stream)
            self._note_foreign(str(result))
        waiting.answered(result)

    def _note_foreign(self, words: str) -> None:
        if self.foreign_answer != words:
            _log.error("nats_foreign_answer", reason=words)
        self._foreign = (words, self.clock())

    def _sweep(self) -> None:
        """Give up what would be past its deadline at the next sweep: nobody is answered late.

        One sweep over all that is in flight costs less than a timer for each message, and is
        bounded by what may be in flight.
        """
        self._sweeping = None
        next_sweep = self.clock() + SWEEP_SECONDS
        late = [number for number, one in self._in_flight.items() if one.deadline <= next_sweep]
        for number in late:
            message = self._in_flight.pop(number)
            self._remember(number, message.stream)
            message.answered(StoreUnavailable("NATS gave no answer in time"))
        self._on_sweep()
        if self._in_flight and self._sweeping is None:
            self._sweeping = self._call_later(SWEEP_SECONDS, self._sweep)

    def _remember(self, number: int, stream: str) -> None:
        self._given_up[number] = stream
        if len(self._given_up) > _REMEMBERED:
            del self._given_up[next(iter(self._given_up))]

    # -- connecting

    async def run(self) -> None:
        """Connect, and connect anew whenever the connection ends; until cancelled."""
        try:
            while True:
                connection = await self._connector.connect(self.on_answer, self.on_lost)
                if connection is None:
                    await asyncio.sleep(RECONNECT_SECONDS * (0.5 + random.random()))  # noqa: S311
                    continue
                self._take(connection)
                alive = asyncio.create_task(connection.keep_alive())
                try:
                    # Ends when it is lost, or when the server wants to be left: then the next
                    # connection is made while this one still brings its answers.
                    await connection.ended
                finally:
                    alive.cancel()
        finally:
            if self._connection is not None:
                self._connection.wire.close()

    def on_lost(self, connection: PublisherConnection) -> None:
        """Take notice that a connection is gone; only the one in use matters."""
        if connection is not self._connection:
            return
        self._connection = None
        self._outbox.clear()
        _log.warning("nats_disconnected")
        # First: whoever learns that its message failed may ask what is to be done with it.
        self._on_change(False)  # noqa: FBT003  # its one argument says what changed
        self.fail_all("the connection to NATS was lost")

    def _take(self, connection: PublisherConnection) -> None:
        left, self._connection = self._connection, connection
        if left is not None:
            # Answers to what went over it come over the new one too: both listen on the inbox.
            asyncio.get_running_loop().call_later(CONNECT_SECONDS, left.wire.close)
        self._reached.set()
        self._on_change(True)  # noqa: FBT003
