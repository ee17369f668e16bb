"""Hears what JetStream answers, and what is published to RAW: the store's word, from outside.

For what a stream does not show afterwards: that it had stored a webhook before it was deleted, or
that it refused one because it was being stored at that moment.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from nats.aio.msg import Msg
from typing_extensions import override

from support.nats.nats_server import NatsServer, settled
from support.programs.scope import Scope

__all__ = ["IN_PROCESS", "JetStreamSpy"]

IN_PROCESS: Final = 10158
"""The error that says: the same message id is on its way through the cluster."""


class JetStreamSpy(Scope):
    """Listens to all answers, and to the shard's publishes, over a connection of its own."""

    def __init__(self, server: NatsServer, *, to_webhooks: bool = True) -> None:
        """Name the server of which it is a client.

        Args:
            server: The server.
            to_webhooks: Whether to listen to publishes too. Where no stream takes them any more,
                they have a listener then who does not answer: the server cannot say that nobody is
                there, and publishers wait in vain.
        """
        super().__init__()
        self._server = server
        self._to_webhooks = to_webhooks
        self._bodies: dict[str, bytes] = {}
        self._answers: dict[str, dict[str, Any]] = {}

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Begin to listen."""
        client = await cleanup.enter_async_context(self._server.client())
        if self._to_webhooks:
            await client.subscribe("forebay.raw.0.>", cb=self._published)
        await client.subscribe("_INBOX_forebay_receiver.>", cb=self._answered)
        await settled(client)

    def stored(self) -> Mapping[str, bytes]:
        """Return what JetStream said to have stored so far, by SHA-256 of the body."""
        return {
            hashlib.sha256(self._bodies[reply]).hexdigest(): self._bodies[reply]
            for reply, answer in self._answers.items()
            if reply in self._bodies and "seq" in answer and "error" not in answer
        }

    def acks(self) -> int:
        """Return how often JetStream said that it has a message."""
        return sum("seq" in answer and "error" not in answer for answer in self._answers.values())

    def refused(self, code: int) -> int:
        """Return how often JetStream answered with this error."""
        return sum(
            answer.get("error", {}).get("err_code") == code for answer in self._answers.values()
        )

    async def _published(self, message: Msg) -> None:
        self._bodies[message.reply] = message.data

    async def _answered(self, message: Msg) -> None:
        # Answers of the JetStream API come by here too; they belong to no publish.
        if message.data[:1] == b"{":
            self._answers[message.subject] = json.loads(message.data)
