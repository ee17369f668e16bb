"""What is in a stream, read back whole."""

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

__all__ = ["count", "read_stream"]

_AT_ONCE = 500


async def count(client: Client, stream: str) -> int:
    """Return how many messages a stream holds."""
    return (await client.jetstream().stream_info(stream)).state.messages


async def read_stream(
    client: Client, stream: str, subject: str = ">", *, headers_only: bool = False
) -> list[Msg]:
    """Return all messages that a stream holds now on some subjects, in its order."""
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, headers_only=headers_only)
    subscription = await client.jetstream().pull_subscribe(subject, stream=stream, config=config)
    left = (await subscription.consumer_info()).num_pending or 0
    messages: list[Msg] = []
    while len(messages) < left:
        messages += await subscription.fetch(min(left - len(messages), _AT_ONCE))
    await subscription.unsubscribe()
    return messages
