"""A DNS server of a test's own on loopback, over UDP and TCP, that leaves some names unanswered."""

import asyncio
import ipaddress
import struct
from collections import Counter
from typing import Final, Self, cast

from typing_extensions import override

from support.programs.ports import HOST

__all__ = ["DnsServer"]

_A: Final = 1
_AAAA: Final = 28
_RESPONSE: Final = 0x8180
"""An answer, recursion desired and available."""

_TRUNCATED: Final = 0x0200
_NO_SUCH_NAME: Final = 3


class DnsServer:
    """Answers A and AAAA questions from a table; what is in none does not exist."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        """Addresses by name, of either family."""

        self.silent: set[str] = set()
        """Names, or ends of names, that get no answer."""

        self.long: set[str] = set()
        """Names that UDP is too small for: the answer is truncated there."""

        self.ttl = 5
        self.asked: Counter[str] = Counter()
        """Questions for addresses of version 4, by name."""

        self.over_tcp: list[str] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._converse, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(HOST, self.port)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        if self._transport is not None:
            self._transport.close()
        if self._server is not None:
            self._server.close()

    def answer(self, query: bytes, *, is_tcp: bool) -> bytes | None:
        """Return the answer to a query; None where it gets none."""
        number, _, _ = struct.unpack_from(">HHH", query)
        labels, offset = [], 12
        while query[offset]:
            labels.append(query[offset + 1 : offset + 1 + query[offset]].decode().lower())
            offset += 1 + query[offset]
        question = query[12 : offset + 5]
        (kind,) = struct.unpack_from(">H", query, offset + 1)
        name = ".".join(labels)
        if kind == _A:
            self.asked[name] += 1
        if is_tcp:
            self.over_tcp.append(name)
        if any(name == end or name.endswith(f".{end}") for end in self.silent):
            return None
        flags, records = _RESPONSE, []
        if name not in self.names:
            flags |= _NO_SUCH_NAME
        elif name in self.long and not is_tcp:
            flags |= _TRUNCATED
        else:
            addresses = map(ipaddress.ip_address, self.names[name])
            records = [
                struct.pack(">HHHIH", 0xC00C, kind, 1, self.ttl, len(each.packed)) + each.packed
                for each in addresses
                if (each.version == 4) == (kind == _A) and kind in {_A, _AAAA}
            ]
        head = struct.pack(">HHHHHH", number, flags, 1, len(records), 0, 0)
        return head + question + b"".join(records)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(length), is_tcp=True)
                if answer is not None:
                    writer.write(struct.pack(">H", len(answer)) + answer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The selector loop's is none by its classes.
        self._transport = cast("asyncio.DatagramTransport", transport)

    @override
    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.answer(data, is_tcp=False)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
