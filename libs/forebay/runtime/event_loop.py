"""The event loop of the parts on the hot path: uvloop, whose connections resolve names with care.

uvloop's `create_connection` hands a name to a future of its own and leaves that future alone when
whoever connects gives up first: the resolver's failure then comes to nobody, and is logged as
`Future exception was never retrieved`. A receiver that started before the names of NATS resolved
said so at level error. Here the name is resolved first, by a call that knows of its being
cancelled, and then each address is tried; so this holds for every client on this loop, nats-py's
too. Needs the extra of a part that has uvloop.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

import uvloop
from typing_extensions import override

__all__ = ["PartLoop"]

HEAD_START_SECONDS: Final = 0.5
"""For one of several addresses, before the next is tried: a name can have one of IPv6 where no
route leads. The last one has all the time that whoever connects gives."""


class PartLoop(uvloop.Loop):
    """A loop for `asyncio.Runner`."""

    @override
    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        **options: Any,
    ) -> Any:
        """Connect as uvloop does; a host's name is resolved here, and its addresses are tried."""
        if not host or port is None:
            return await super().create_connection(protocol_factory, host, port, **options)
        found = await self.getaddrinfo(
            host,
            port,
            family=options.pop("family", 0),
            type=socket.SOCK_STREAM,
            proto=options.pop("proto", 0),
            flags=options.pop("flags", 0),
        )
        if options.get("ssl") and options.get("server_hostname") is None:
            options["server_hostname"] = host
        addresses = list(dict.fromkeys((str(each[4][0]), each[0]) for each in found))
        last = len(addresses) - 1
        failed: OSError | None = None
        for place, (address, family) in enumerate(addresses):
            within = None if place == last else HEAD_START_SECONDS
            try:
                async with asyncio.timeout(within):
                    return await super().create_connection(
                        protocol_factory, address, port, family=family, **options
                    )
            except OSError as error:  # TimeoutError is one
                failed = error
        raise failed or OSError(f"no address of {host}")
