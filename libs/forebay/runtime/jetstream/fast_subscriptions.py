"""nats-py's client with a short way for the messages of a busy subscription.

On nats-py's own way a message's headers are taken apart byte by byte with a generator for each
name, and it goes through a queue and a task to a coroutine: some 15 µs, where splitting a webhook
takes 75 in all (docs/design/0009). Here a function is called in the turn in which it was read.

This leans on six names of nats-py that are not public: the two methods that `QuickClient` overrides
(where a new version does not call them any more, messages go nats-py's way, only slower), the two
that it calls, its table of subscriptions and their number. Its tests
(`tests/component/slow/test_quick_client.py`) fail where a new version changes any of them.
"""

from collections.abc import Callable
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from typing_extensions import override

from forebay.runtime.jetstream.api import parse_headers

__all__ = ["OnMessage", "QuickClient", "subscribe"]

_log = structlog.get_logger(__name__)

OnMessage = Callable[[Msg], None]
"""Takes a message and does not wait. What it raises is logged, and the next message comes."""


async def subscribe(client: Client, subject: str, on_message: OnMessage) -> Subscription:
    """Subscribe with a function that is called for each message, in their order.

    Args:
        client: Any; a `QuickClient` takes the short way.
        subject: What to subscribe to.
        on_message: Called with each message.

    Raises:
        nats.errors.Error: where there is no connection.
    """

    async def called(message: Msg) -> None:  # nats-py wants a coroutine function
        on_message(message)

    subscription = await client.subscribe(subject, cb=called)
    if isinstance(client, QuickClient):
        client.shorten(subscription, on_message)
    return subscription


class QuickClient(Client):
    """A client that knows which subscriptions take the short way."""

    def __init__(self) -> None:
        """Make a client; nothing is connected."""
        super().__init__()
        self._short: dict[int, OnMessage] = {}

    @property
    def certificate(self) -> dict[str, Any] | None:
        """The server's certificate, as `ssl` describes it; None without TLS or a connection."""
        # nats-py has no way to ask for it.
        writer = getattr(self._transport, "_io_writer", None)
        found: dict[str, Any] | None = writer and writer.get_extra_info("peercert")
        return found or None

    def shorten(self, subscription: Subscription, on_message: OnMessage) -> None:
        """Call this for each message of a subscription that has not had any yet."""
        # Those that have ended are forgotten here, and what they call with them.
        self._short = {sid: call for sid, call in self._short.items() if sid in self._subs}
        self._short[subscription._id] = on_message  # noqa: SLF001  # see above

    @override
    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        on_message = self._short.get(sid)
        if on_message is None or sid not in self._subs:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        parsed = await self._process_headers(headers)
        try:
            on_message(self._build_message(sid, subject, reply, data, parsed))
        except Exception as error:  # noqa: BLE001  # or it would end the connection
            _log.error("message_crashed", error=type(error).__name__)

    _parse_header_lines = staticmethod(parse_headers)
