"""The receiver's protocol without sockets, processes and NATS: bytes in, answers and bodies out.

For tests that need a hundred thousand requests. The store is a double that keeps bodies in memory;
all between the socket and the store is the receiver's own.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Final

from typing_extensions import override

from forebay.core.tables import ReceiverRoute, ReceiverTable
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_receiver.adapters.storing import Storing
from forebay_receiver.handlers.shared_connection_state import ConnectionRules
from forebay_receiver.handlers.uvicorn_adapter import protocol_factory
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import Reason
from forebay_receiver.services.intake import Intake
from forebay_receiver.services.routes import Routes
from forebay_receiver.settings import ReceiverSettings

__all__ = ["InProcessReceiver", "MemoryStore", "MemoryTransport", "Outcome", "statuses_in"]

LARGEST_MESSAGE: Final = 64 * 1024 * 1024


TURNS: Final = 48
"""Turns of the loop in which a connection's last requests are answered, two for each."""


class MemoryStore:
    """Keeps what it is given; answers within the call, in the loop's next turn, or on request."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.answers_later = False
        self.answers_on_request = False
        self.breaks = False
        """Whether storing raises, in the midst of it."""

        self.unanswered: deque[Storing] = deque()
        """Webhooks that are stored, of which nothing was said yet."""

    @property
    def max_body_bytes(self) -> int:
        """Take anything."""
        return LARGEST_MESSAGE

    def rejection(self, _shard: str) -> Reason | None:
        """Be always willing."""
        return None

    def store(self, webhook: Storing) -> None:
        """Keep a webhook's body."""
        self.bodies.append(webhook.payload)
        ack = PubAck(stream="FOREBAY_RAW_0", seq=len(self.bodies))
        if self.answers_on_request:
            self.unanswered.append(webhook)
        elif self.answers_later:
            asyncio.get_running_loop().call_soon(webhook.done, ack)
        else:
            webhook.done(ack)
        if self.breaks:
            message = "the store broke"
            raise RuntimeError(message)

    def answer_next(self, result: PubAck | StoreError | None = None) -> None:
        """Say of the first webhook of which nothing was said yet that it is stored, or why not."""
        self.unanswered.popleft().done(result or PubAck(stream="FOREBAY_RAW_0", seq=1))

    def take_answer(self, webhook: Storing, result: PubAck | StoreError) -> None:
        """Pass an answer on."""
        webhook.done(result)

    def is_waiting(self, _webhook: Storing) -> bool:
        """Let none wait."""
        return False


class MemoryTransport(asyncio.Transport):
    """Collects what is written; whoever feeds the protocol asks whether it still wants to read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_paused = False
        self.is_overrun = False
        """Whether something was written after the end."""

        self._is_closed = False
        self.has_ended = False
        """Whether our half is closed, or all of it: nothing is read any more that counts."""

    @override
    def write(self, data: "bytes | bytearray | memoryview[int]") -> None:
        self.is_overrun = self.is_overrun or self.has_ended
        self.written += data

    @override
    def can_write_eof(self) -> bool:
        return True

    @override
    def write_eof(self) -> None:
        self.has_ended = True

    @override
    def close(self) -> None:
        self.has_ended = self._is_closed = True

    @override
    def abort(self) -> None:
        self.has_ended = self._is_closed = True

    @override
    def is_closing(self) -> bool:
        return self._is_closed

    @override
    def pause_reading(self) -> None:
        self.is_paused = True

    @override
    def resume_reading(self) -> None:
        self.is_paused = False


class Outcome:
    """What one connection led to."""

    def __init__(self, written: bytes, stored: list[bytes], fed: int, *, has_ended: bool) -> None:
        self.statuses = statuses_in(written)
        self.stored = stored
        self.fed = fed
        """Bytes that were taken until the connection was ended."""

        self.has_ended = has_ended


class InProcessReceiver:
    """One receiver with some endpoints; connections one after the other."""

    def __init__(self, *routes: ReceiverRoute, settings: ReceiverSettings | None = None) -> None:
        settings = settings or ReceiverSettings()
        metrics = ReceiverMetrics(pool="receiver")
        table = Routes(metrics, settings)
        table.replace({"routes.json": ReceiverTable(generation="1", routes=routes)})
        self.store = MemoryStore()
        self.intake = Intake(settings, table, self.store, metrics)
        self.rules = ConnectionRules(self.intake, settings, settings.max_connections)
        self._protocol = protocol_factory(self.rules)

    def connect(self) -> tuple[asyncio.Protocol, MemoryTransport]:
        """Open a connection."""
        transport = MemoryTransport()
        make: Any = self._protocol
        protocol: asyncio.Protocol = make(
            config=SimpleNamespace(loaded=True),
            server_state=SimpleNamespace(connections=set()),
            app_state={},
        )
        protocol.connection_made(transport)
        return protocol, transport

    async def send(
        self, pieces: Iterable[bytes], may_answer: Callable[[], bool] = lambda: True
    ) -> Outcome:
        """Send pieces over a new connection, as long as it wants them, and close it.

        Args:
            pieces: What to send.
            may_answer: Where the store answers on request: whether before the next piece. That one
                comes in the same turn of the loop, ahead of what waits for the next turn.
        """
        protocol, transport = self.connect()
        before, fed = len(self.store.bodies), 0
        for piece in pieces:
            await self._until_read_on(transport)
            if self.store.unanswered and may_answer():
                self.store.answer_next()
            if transport.has_ended:
                break
            protocol.data_received(piece)
            fed += len(piece)
        await self._until_read_on(transport)
        is_later = self.store.answers_later or self.store.answers_on_request
        for _ in range(TURNS if is_later else 0):
            await asyncio.sleep(0)
            if self.store.unanswered:
                self.store.answer_next()
        protocol.connection_lost(None)
        assert self.intake.in_flight_bytes == 0
        assert not transport.is_overrun
        return Outcome(
            bytes(transport.written),
            self.store.bodies[before:],
            fed,
            has_ended=transport.has_ended,
        )

    async def _until_read_on(self, transport: MemoryTransport) -> None:
        while transport.is_paused and not transport.has_ended:
            if self.store.unanswered:
                self.store.answer_next()
            await asyncio.sleep(0)


def statuses_in(written: bytes) -> list[int]:
    """Return the final answers' statuses: their bodies are empty, but for a challenge's."""
    lines = written.split(b"\r\n")
    found = [int(line.split()[1]) for line in lines if line.startswith(b"HTTP/1.1 ")]
    return [status for status in found if status >= 200]  # no answer is below
