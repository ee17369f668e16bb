"""One connection to a NATS server that is not ours: to publish on it, and nothing else.

For destinations, whose servers are their tenants'. Such a server may say anything, at any speed and
without an end, so all that it says is bounded here, and whatever is no answer to us ends the
connection. nats-py and `publisher` are for servers that can be trusted: they keep whatever comes.

What is said: CONNECT, one SUB on an inbox of our own with 96 random bits, HPUB, PING, PONG. Nothing
else is ever asked of a server, and no subject but what the caller gives is published to.

If the process dies, what was under way may have arrived.
"""

import asyncio
import collections
import re
import secrets
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import msgspec
from typing_extensions import override

from forebay.core.errors import ForebayError
from forebay.runtime.jetstream.login import CLIENT_OPTIONS
from forebay.runtime.jetstream.nats_wire import PING, ServerInfo, connect_command, encode_headers
from forebay.runtime.jetstream.server_identity import ServerIdentity

__all__ = ["OutsideConnection", "OutsideDenied", "OutsideLost", "OutsideRefused"]

LINE_LIMIT: Final = 64 * 1024
"""Bytes of a command: the INFO of a large cluster has some 10 KiB."""

ANSWER_LIMIT: Final = 16 * 1024
"""Bytes of an answer; a PubAck has less than 200."""

UNASKED_LIMIT: Final = 1_000
"""Commands that answer nothing, within `UNASKED_SECONDS`: a server says PING every two minutes."""

UNASKED_SECONDS: Final = 10.0

UNREAD_LIMIT: Final = 4 * 1024 * 1024
"""Bytes that a server has not read yet; what is above waits in the caller's own time."""

UNREAD_PAUSE: Final = 0.005

PING_SECONDS: Final = 30.0
PINGS_UNANSWERED: Final = 2
"""A connection on which nothing is published and that was cut silently ends after 90 s."""

_PONG: Final = b"PONG\r\n"
_DENIED: Final = re.compile(r'(?i)permissions violation for publish to "([^"]*)"')
_INBOX_DENIED: Final = "permissions violation for subscription"
_NOT_LET_IN: Final = ("authorization violation", "authentication", "user authentication")
_DECODE_INFO: Final = msgspec.json.Decoder(ServerInfo).decode


class OutsideLost(ForebayError):  # noqa: N818  # named for what happened
    """The connection is gone, or never was: what was under way may have arrived or not."""


class OutsideRefused(OutsideLost):
    """The server does not let us in, or not to our inbox."""


class OutsideDenied(ForebayError):  # noqa: N818
    """Whoever we are there may not publish to this subject."""


class OutsideConnection(asyncio.Protocol):
    """From the first byte to the last; `log_in` comes first, then any number of `publish`."""

    def __init__(self, inbox_prefix: str, on_end: Callable[["OutsideConnection"], None]) -> None:
        """Prepare; whoever connects hands this to the loop as the protocol.

        Args:
            inbox_prefix: What the inbox's subject begins with.
            on_end: Called once, when nothing more can be published over it.
        """
        self._loop = asyncio.get_running_loop()
        self._inbox = f"{inbox_prefix}.{secrets.token_hex(12)}."
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._rest = bytearray()
        self._info: asyncio.Future[ServerInfo] = self._loop.create_future()
        self._number = 0
        self._waiting: dict[int, tuple[str, asyncio.Future[bytes]]] = {}
        self._pongs: collections.deque[int] = collections.deque()
        """For each PING on its way what it is about: a number of a message, or 0."""

        self._unasked = 0
        self._unasked_since = self._loop.time()
        self._last_read = self._loop.time()
        self._said = ""
        self._is_in = False
        self._timer: asyncio.TimerHandle | None = None
        self.is_open = True
        """Whether more can be published: false once it is lost, and once its server is leaving."""

        self.max_payload = 0
        """Bytes of headers and payload that the server takes."""

    # -- what the caller does

    async def greeting(self) -> ServerInfo:
        """Return what the server says first; raises OutsideLost."""
        return await asyncio.shield(self._info)

    def identity(self, info: ServerInfo) -> ServerIdentity:
        """Return which server this is, of those that its cluster has."""
        peer = self._transport and self._transport.get_extra_info("peername")
        return info.identity(peer)

    async def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Go on over TLS.

        Raises:
            OSError: where the certificate is not trusted, or what comes is no TLS.
            OutsideLost: where the connection is gone, or something was said before TLS.
        """
        transport = self._transport
        if transport is None or self._rest:
            # Whoever stands between could have put in what would count as said over TLS.
            self.abort()
            message = "the connection was lost"
            raise OutsideLost(message)
        made = await self._loop.start_tls(transport, self, context, server_hostname=server_name)
        self._transport = made

    async def log_in(self, options: Mapping[str, Any]) -> None:
        """Say who we are, and where answers go.

        Args:
            options: Of CONNECT, what proves who we are.

        Raises:
            OutsideRefused: where the server does not let us in.
            OutsideLost: where the connection ends before that.
        """
        number, waiting = self._expect("")
        connect = connect_command({**CLIENT_OPTIONS, "name": "forebay", **options})
        self._write(connect + f"SUB {self._inbox}* 1\r\n".encode() + PING)
        self._pongs.append(number)
        try:
            await waiting
        finally:
            self._waiting.pop(number, None)
        self._is_in = True
        self._timer = self._loop.call_later(PING_SECONDS, self._keep_alive)

    async def publish(
        self, subject: str, headers: Mapping[str, str], payload: bytes, *, is_answered: bool
    ) -> bytes:
        """Publish a message once; whoever calls says for how long it waits.

        Args:
            subject: Where to.
            headers: Names and values.
            payload: The bytes.
            is_answered: Whether somebody answers, a stream for example. Else this returns when the
                server has taken the message.

        Returns:
            The answer; empty where nobody listens on the subject, or nobody was to answer.

        Raises:
            OutsideDenied: where we may not publish to it.
            OutsideLost: where the connection is gone.
            ValueError: where a header or the subject holds a line break.
        """
        block = encode_headers(headers)
        if not subject.isascii() or not subject.isprintable() or " " in subject:
            message = "a subject holds a space or a line break"
            raise ValueError(message)
        while (transport := self._transport) is not None:
            if transport.get_write_buffer_size() <= UNREAD_LIMIT:
                break
            await asyncio.sleep(UNREAD_PAUSE)
        number, waiting = self._expect(subject)
        reply = f"{self._inbox}{number} " if is_answered else ""
        size = len(block) + len(payload)
        parts = [f"HPUB {subject} {reply}{len(block)} {size}\r\n".encode(), block, payload, b"\r\n"]
        if not is_answered:
            self._pongs.append(number)
            parts.append(PING)
        self._write(b"".join(parts))
        began = self._loop.time()
        try:
            return await waiting
        except asyncio.CancelledError:
            # A caller whose time is over. Where nothing at all came meanwhile, nobody is there.
            if self._last_read < began:
                self.abort()
            raise
        finally:
            self._waiting.pop(number, None)

    @property
    def reason(self) -> str:
        """Why it has ended, where that was for what the server said; else empty."""
        return self._said

    @property
    def in_flight(self) -> int:
        """How many messages wait for their answer."""
        return len(self._waiting)

    def abort(self) -> None:
        """End it at once; what is under way fails."""
        if self._transport is not None:
            self._transport.abort()
        self._lose()

    # -- what the loop does

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called again when TLS is put over the connection."""
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:  # asyncio's signature
        """End."""
        self._lose()

    @override
    def data_received(self, data: bytes) -> None:
        """Take what came apart; anything that no NATS says here ends the connection."""
        self._last_read = self._loop.time()
        self._rest += data
        try:
            taken = self._take_commands()
        except (ValueError, IndexError, msgspec.DecodeError, RecursionError):
            self._end("what came is no NATS")
            return
        del self._rest[:taken]
        if len(self._rest) > LINE_LIMIT:
            self._end("what came is no NATS")

    def _take_commands(self) -> int:
        """Return how many bytes were whole commands."""
        rest, position = self._rest, 0
        while self._transport is not None:
            end = rest.find(b"\r\n", position)
            if end < 0:
                break
            line = bytes(rest[position:end])
            word, _, after = line.partition(b" ")
            word = word.upper()
            if word in {b"MSG", b"HMSG"}:
                fields = after.split()
                size = int(fields[-1])
                if not 0 <= size <= ANSWER_LIMIT:
                    raise ValueError
                stop = end + 2 + size
                if len(rest) < stop + 2:
                    break
                head = int(fields[-2]) if word == b"HMSG" else 0
                if not 0 <= head <= size:
                    raise ValueError
                self._on_message(fields[0], bytes(rest[end + 2 + head : stop]))
                position = stop + 2
                continue
            self._on_command(word, after)
            position = end + 2
        return position

    def _on_command(self, word: bytes, after: bytes) -> None:
        if word == b"PONG":
            if not self._pongs:
                self._note_unasked()
                return
            self._answer(self._pongs.popleft(), b"")
        elif word == b"-ERR":
            self._on_error(after.decode("utf-8", "replace").strip("' "))
        elif word == b"INFO":
            self._note_unasked()
            info = _DECODE_INFO(after)
            self.max_payload = info.max_payload
            if not self._info.done():
                self._info.set_result(info)
            if info.ldm:
                # The server is going to stop: what is under way is still answered.
                self._leave()
        elif word == b"PING":
            self._note_unasked()
            self._write(_PONG)
        elif word == b"+OK":
            self._note_unasked()
        else:
            raise ValueError

    def _on_message(self, subject: bytes, payload: bytes) -> None:
        number = subject.removeprefix(self._inbox.encode())
        if not number.isdigit() or not self._answer(int(number[:20]), payload):
            self._note_unasked()

    def _answer(self, number: int, payload: bytes) -> bool:
        waiting = self._waiting.pop(number, None)
        if waiting is None:
            return False
        if not waiting[1].done():
            waiting[1].set_result(payload)
        return True

    def _on_error(self, text: str) -> None:
        """Take what the server refused; it may close the connection after that."""
        denied = _DENIED.search(text)
        if denied is not None and self._is_in:
            subject, is_known = denied.group(1).lower(), False
            for number, (its, waiting) in list(self._waiting.items()):
                if its.lower() == subject:
                    is_known = True
                    del self._waiting[number]
                    if not waiting.done():
                        waiting.set_exception(OutsideDenied("may not publish to the subject"))
            if not is_known:
                self._note_unasked()
            return
        self._note_unasked()
        low = text.lower()
        if low.startswith(_NOT_LET_IN):
            self._fail(OutsideRefused("the server does not accept who we are"))
        elif low.startswith(_INBOX_DENIED):
            self._fail(OutsideRefused("may not subscribe to its inbox: set `inboxPrefix`"))

    def _note_unasked(self) -> None:
        now = self._loop.time()
        if now - self._unasked_since > UNASKED_SECONDS:
            self._unasked, self._unasked_since = 0, now
        self._unasked += 1
        if self._unasked > UNASKED_LIMIT:
            self._end("the server says too much that nobody asked for")

    # -- its own

    def _expect(self, subject: str) -> tuple[int, asyncio.Future[bytes]]:
        if self._transport is None:
            raise OutsideLost(self._said or "the connection was lost")
        self._number += 1
        waiting: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting[self._number] = (subject, waiting)
        return self._number, waiting

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _keep_alive(self) -> None:
        if self._pongs.count(0) >= PINGS_UNANSWERED:
            self._end("the server does not answer")
            return
        self._pongs.append(0)
        self._write(PING)
        self._timer = self._loop.call_later(PING_SECONDS, self._keep_alive)

    def _leave(self) -> None:
        if self.is_open:
            self.is_open = False
            self._on_end(self)

    def _end(self, why: str) -> None:
        self._said = self._said or why
        self.abort()

    def _fail(self, error: OutsideLost) -> None:
        """Fail all that waits; the connection is of no use."""
        self._said = str(error)
        for _, waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)
        self.abort()

    def _lose(self) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        error = OutsideLost(self._said or "the connection was lost")
        futures: list[asyncio.Future[Any]] = [waiting for _, waiting in self._waiting.values()]
        for future in (self._info, *futures):
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be waiting, and that is no error
        self._waiting.clear()
        self._pongs.clear()
        self._rest.clear()
        self._leave()
