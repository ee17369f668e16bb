"""What a server that calls itself a PostgreSQL may say: checked before asyncpg reads it.

The server is a tenant's, the process is everybody's. asyncpg is written for servers that can be
trusted: it reads a message of 2 GB into memory, counts a password's hash for as many rounds as it
is told while the loop stands still, keeps every parameter and row that comes, and ends the process
where a server goes on with a login that it did not begin. So the bytes are followed here, message
by message (https://www.postgresql.org/docs/current/protocol-message-formats.html), and a
connection that breaks a bound is cut.

asyncpg has no place for this but the loop that it is given: `WatchingLoop` is the running one, and
puts a `_Watched` in front of the protocol, below which TLS is taken off already.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

import asyncpg
from typing_extensions import override

__all__ = [
    "MESSAGES",
    "MESSAGE_BYTES",
    "PARAMETERS",
    "ROUNDS",
    "WINDOW_BYTES",
    "ServerMisbehaves",
    "ServerWords",
    "WatchingLoop",
]

MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""Of one message. An error may repeat a value that it is about: a body has 4 MiB."""

WINDOW_SECONDS: Final = 10.0
WINDOW_BYTES: Final = 16 * 1024 * 1024
"""Within `WINDOW_SECONDS`. A statement of ours is answered by some 50 bytes."""

MESSAGES: Final = 50_000
"""Within `WINDOW_SECONDS`: each row becomes an object. A statement of ours is answered by five."""

PARAMETERS: Final = 1_000
"""Of a connection, which keeps them: a server reports some 15, and each again when it changes."""

ROUNDS: Final = 100_000
"""Of a password's hash (`scram_iterations` of PostgreSQL, 4,096 if nobody changes it): 30 ms."""

_LOGIN_BYTES: Final = 4096
"""Of one message of a login."""

_HEAD: Final = 5
"""A message's kind, and its length."""

_MOST_DIGITS: Final = 9

_OK, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 10, 11, 12


class ServerMisbehaves(ConnectionError):  # noqa: N818  # named for what happened
    """The server says what none may; the message is of a closed list, and holds nothing of it."""


class ServerWords:
    """What a server has said over one connection, as far as it takes to bound it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin before its first byte; `clock` is in seconds."""
        self._clock = clock
        self._head = bytearray()
        self._left = 0
        """Bytes of the message that are to come."""

        self._login: bytearray | None = None
        """What has come of a message of a login."""

        self._login_step = -1
        """The last of them; -1 before the first."""

        self._is_in = False
        self._parameters = 0
        self._since = clock()
        self._bytes = self._messages = 0

    def take(self, data: bytes) -> None:
        """Take what came.

        Raises:
            ServerMisbehaves: where it breaks a bound; nothing of `data` is to be read then.
        """
        now = self._clock()
        if now - self._since > WINDOW_SECONDS:
            self._since, self._bytes, self._messages = now, 0, 0
        self._bytes += len(data)
        if self._bytes > WINDOW_BYTES:
            _refuse("the server says too much")
        position, end = 0, len(data)
        while position < end:
            if self._left:
                taken = min(self._left, end - position)
                if self._login is not None:
                    self._login += data[position : position + taken]
                self._left -= taken
                position += taken
            else:
                taken = min(_HEAD - len(self._head), end - position)
                self._head += data[position : position + taken]
                position += taken
                if len(self._head) < _HEAD:
                    return
                self._begin()
            if not self._left and self._login is not None:
                self._end_login(bytes(self._login))
                self._login = None

    def _begin(self) -> None:
        kind, self._left = self._head[:1], int.from_bytes(self._head[1:], signed=True) - 4
        self._head.clear()
        self._messages += 1
        if self._left < 0:
            _refuse("what came is no PostgreSQL")
        if self._left > MESSAGE_BYTES or self._messages > MESSAGES:
            _refuse("the server says too much")
        if kind == b"S":
            self._parameters += 1
            if self._parameters > PARAMETERS:
                _refuse("the server says too much")
        elif kind == b"R":
            if self._is_in or self._left > _LOGIN_BYTES:
                _refuse("what came is no PostgreSQL")
            self._login = bytearray()

    def _end_login(self, said: bytes) -> None:
        """Take one step of a login; asyncpg does not see to their order."""
        step, before = int.from_bytes(said[:4]), self._login_step
        self._login_step = step
        # Each step is said once: one that comes again has its hash counted again.
        # A login that ends before the server has proved that it knows the password is none.
        is_in_order = {
            _OK: before not in {_SASL, _SASL_CONTINUE},
            _SASL_CONTINUE: before == _SASL,
            _SASL_FINAL: before == _SASL_CONTINUE,
        }.get(step, before == -1)
        if len(said) < 4 or not is_in_order:  # noqa: PLR2004  # the step
            _refuse("what came is no PostgreSQL")
        if step == _OK:
            self._is_in = True
        elif step == _SASL_CONTINUE:
            rounds = said[4:].rpartition(b",i=")[2].partition(b",")[0]
            # Another `i=` before it would be the one that asyncpg finds.
            is_number = rounds.isdigit() and said.count(b",i=") == 1
            if not is_number or len(rounds) > _MOST_DIGITS or not 0 < int(rounds) <= ROUNDS:
                _refuse(f"the server wants a password hashed more than {ROUNDS:,} times")


class WatchingLoop:
    """The running loop, for one connection; what it does not have of its own is the loop's."""

    def __init__(self) -> None:
        """Watch the next connection that is made; needs a running loop."""
        self._loop = asyncio.get_running_loop()
        self._words = ServerWords()
        self.objection: ServerMisbehaves | None = None
        """Why the connection was cut."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever a loop has
        """Return what the loop has."""
        return getattr(self._loop, name)

    @override
    def __eq__(self, other: object) -> bool:
        """Be found where the loop is looked for: `asyncio.current_task(loop)`."""
        return other is self or other is self._loop

    @override
    def __hash__(self) -> int:
        """Be found, as above."""
        return hash(self._loop)

    async def create_connection(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        *args: Any,  # noqa: ANN401  # the loop's own
        **options: Any,  # noqa: ANN401  # as above
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """Connect as the loop does."""
        transport, made = await self._loop.create_connection(
            lambda: self._watched(factory()), *args, **options
        )
        return transport, made.inner if isinstance(made, _Watched) else made

    async def start_tls(
        self,
        *args: Any,  # noqa: ANN401  # the loop's own
        **options: Any,  # noqa: ANN401  # as above
    ) -> "_Transport | None":
        """Put TLS over a connection; what comes out of it is watched."""
        transport = await self._loop.start_tls(*args, **options)
        return None if transport is None else _Transport(transport, self._watched)

    def _watched(
        self, protocol: asyncio.BaseProtocol, transport: asyncio.Transport | None = None
    ) -> asyncio.BaseProtocol:
        # Before TLS another one stands there, for one byte.
        if not isinstance(protocol, asyncpg.protocol.Protocol):
            return protocol
        inner = cast("asyncio.Protocol", protocol)
        return _Watched(inner, transport, self._words, self._object)

    def _object(self, objection: ServerMisbehaves) -> None:
        self.objection = objection


class _Transport:
    """A transport that lets nobody read unwatched."""

    def __init__(
        self,
        inner: asyncio.Transport,
        watched: Callable[[asyncio.BaseProtocol, asyncio.Transport], asyncio.BaseProtocol],
    ) -> None:
        self._inner = inner
        self._watched = watched

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever a transport has
        return getattr(self._inner, name)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner.set_protocol(self._watched(protocol, self._inner))


class _Watched(asyncio.Protocol):
    """Hands on what comes, as long as it is within bounds."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        transport: asyncio.Transport | None,
        words: ServerWords,
        on_objection: Callable[[ServerMisbehaves], None],
    ) -> None:
        self.inner = inner
        self._words = words
        self._on_objection = on_objection
        self._transport = transport
        """Over TLS nobody says again which it is."""

        self._is_over = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.inner.connection_made(transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_over:
            return
        try:
            self._words.take(data)
            self.inner.data_received(data)
        except ServerMisbehaves as objection:
            self._cut(objection)
        except Exception:  # noqa: BLE001  # a message that comes where asyncpg has no place for it
            self._cut(ServerMisbehaves("what came is no PostgreSQL"))

    def _cut(self, objection: ServerMisbehaves) -> None:
        self._is_over = True
        self._on_objection(objection)
        if self._transport is not None:
            self._transport.abort()
        self.inner.connection_lost(objection)

    @override
    def connection_lost(self, exc: Exception | None) -> None:  # asyncio's signature
        if not self._is_over:
            self._is_over = True
            self.inner.connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        self.inner.pause_writing()

    @override
    def resume_writing(self) -> None:
        self.inner.resume_writing()

    @override
    def eof_received(self) -> bool | None:
        return self.inner.eof_received()


def _refuse(words: str) -> None:
    raise ServerMisbehaves(words)
