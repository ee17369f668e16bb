"""A message as a consumer hands it out: what its reply subject says, and the ways to answer it.

Made by `pull_inbox`, for whoever works on it.
"""

from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

__all__ = ["PulledMessage", "ack_subject", "reply_tokens"]

_NANOSECONDS: Final = 1_000_000_000

_ACK_PREFIX: Final = "$JS.ACK."
_TOKENS_WITHOUT_DOMAIN: Final = 9


def reply_tokens(reply: str) -> list[str] | None:
    """Return what the reply subject of a message says; None where no consumer handed it out.

    That is stream, consumer, how often it was delivered, its sequence in the stream and among all
    that the consumer handed out, when it was stored, and how many are pending. They stand behind
    `$JS.ACK.`, or, in the newer form, behind a domain and an account's hash as well.
    """
    if not reply.startswith(_ACK_PREFIX):
        return None
    tokens = reply.split(".")
    return tokens[2 if len(tokens) == _TOKENS_WITHOUT_DOMAIN else 4 :]


def ack_subject(stream: str, consumer: str, sequence: int, consumer_sequence: int) -> str:
    """Return the subject on which a message of a consumer can be answered by who did not get it.

    The server reads the stream's sequence of it; the time and the number of pending messages are
    left out.
    """
    return f"{_ACK_PREFIX}{stream}.{consumer}.1.{sequence}.{consumer_sequence}.0.0"


class PulledMessage:
    """A message of a consumer, with what its reply subject says."""

    __slots__ = (
        "_client",
        "consumer",
        "consumer_sequence",
        "data",
        "delivered",
        "headers",
        "pending",
        "reply",
        "sequence",
        "stored_at",
        "subject",
    )

    def __init__(self, client: Client, message: Msg, tokens: list[str]) -> None:
        """Take it apart; `tokens` is what its reply subject says: see `reply_tokens`."""
        self._client = client
        self.subject = message.subject
        self.data = message.data
        self.headers: dict[str, str] = message.headers or {}
        self.reply = message.reply
        self.consumer = tokens[1]
        self.delivered = int(tokens[2])
        self.sequence = int(tokens[3])
        self.consumer_sequence = int(tokens[4])
        """Which of all that the consumer has handed out this is, one that comes again included."""

        self.stored_at = int(tokens[5])
        """When the stream stored it, in nanoseconds since the epoch."""

        self.pending = int(tokens[6])
        """How many messages the consumer has not handed out yet."""

    async def ack(self) -> None:
        """Say that it is finished; lost with the connection, the message comes again."""
        await self._answer(b"+ACK")

    async def confirm(self, within: float) -> bool:
        """Ack once more and wait until the consumer says that it has this ack, and all before."""
        try:
            await self._client.request(self.reply, b"+ACK", timeout=within)
        except NatsError:
            return False
        return True

    async def nak(self, delay: float) -> None:
        """Say that it has to come again, in `delay` seconds."""
        await self._answer(b'-NAK {"delay": %d}' % int(delay * _NANOSECONDS))

    async def _answer(self, word: bytes) -> None:
        try:
            await self._client.publish(self.reply, word)
        except NatsError:
            # Not connected: the server delivers it again, which every caller has to handle anyway.
            return
