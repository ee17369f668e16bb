"""Hears what commands ask of this processor, and sends its answers.

One request at a time for each subject; of those that come meanwhile so many wait, and the rest is
not heard: whoever asked gets no answer in time, and says so.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from typing_extensions import override

from forebay.core.control import ANSWER_SUBJECT, CONTROL_SUBJECT, REPORT_SUBJECT
from forebay.runtime.jetstream.link import LinkListener

__all__ = ["ControlListener"]

MOST_WAITING: Final = 16
"""Requests."""

PAUSE_SECONDS: Final = 0.05
"""After each: what a person asks does not come more often."""


class ControlListener(LinkListener):
    """Subscribes on each new connection; a listener of the link before another one."""

    def __init__(
        self, behind: LinkListener, answer: Callable[[bytes, bool], Awaitable[bytes]]
    ) -> None:
        """Prepare.

        Args:
            behind: Who else listens to the link: it hears everything first.
            answer: Does what a request asks, and returns the answer; never raises. It is told
                whether who asked may only read.
        """
        self._behind = behind
        self._answer = answer
        self._client: Client | None = None

    @override
    async def connected(self, client: Client) -> None:
        await self._behind.connected(client)
        self._client = client
        # Whoever has lost the connection by now gets another client.
        with contextlib.suppress(NatsError):
            for subject in (CONTROL_SUBJECT, REPORT_SUBJECT):
                await client.subscribe(subject, cb=self._asked, pending_msgs_limit=MOST_WAITING)

    @override
    def reconnected(self) -> None:
        self._behind.reconnected()

    @override
    def disconnected(self) -> None:
        self._behind.disconnected()

    async def _asked(self, message: Msg) -> None:
        client = self._client
        if client is None or not message.reply.startswith(f"{ANSWER_SUBJECT}."):
            return
        answer = await self._answer(message.data, message.subject != CONTROL_SUBJECT)
        with contextlib.suppress(NatsError):
            await client.publish(message.reply, answer)
        await asyncio.sleep(PAUSE_SECONDS)
