"""What processors would have written to an index: for tests of `forebay events`, and its bench."""

from collections.abc import Iterator, Sequence

from nats.aio.client import Client

from forebay.core.index_records import (
    IndexOutcome,
    IndexRecord,
    ItemHandled,
    ItemStored,
    bucket_of,
    encode_records,
    message_digest,
)
from forebay.core.subjects import conversation_token, index_subject, key_token
from forebay.runtime.jetstream.streams import ShardConfig, index_config

__all__ = [
    "CHANNEL",
    "batches",
    "handled",
    "make_index",
    "message_of",
    "publish",
    "stored",
]

CHANNEL = "108200000000301"


def stored(  # noqa: PLR0913  # each is one thing that distinguishes items
    message: str,
    at: int,
    outcome: IndexOutcome = IndexOutcome.NEW,
    *,
    endpoint: str = "demo/meta",
    person: str = "15550001",
    kind: str = "messages",
    channel: str = CHANNEL,
    raw: int = 1,
) -> ItemStored:
    """Return the record of an item's store; `at` in milliseconds since the epoch."""
    return ItemStored(
        at=at,
        token=key_token(f"msg:{channel}:{message}"),
        message=message_digest(message),
        endpoint=endpoint,
        kind=kind,
        conversation=conversation_token(channel, person),
        channel=channel,
        outcome=outcome,
        received=at - 5,
        raw=raw,
    )


def handled(  # noqa: PLR0913  # each is one thing that distinguishes what happens
    of: ItemStored,
    at: int,
    outcome: IndexOutcome = IndexOutcome.DELIVERED,
    *,
    destination: str = "crm",
    attempt: int = 1,
    why: str = "",
    due: int = 0,
    said: str = "",
) -> ItemHandled:
    """Return the record of what happened to that item at a destination."""
    return ItemHandled(
        at=at,
        token=of.token,
        endpoint=of.endpoint,
        kind=of.kind,
        conversation=of.conversation,
        channel=of.channel,
        destination=destination,
        outcome=outcome,
        attempt=attempt,
        millis=12,
        why=why,
        due=due,
        said=said,
    )


async def make_index(client: Client, shard: str = "0", max_bytes: int | None = None) -> None:
    """Make the stream of a shard's index, and no other."""
    config = ShardConfig(shard=shard)
    if max_bytes is not None:
        config = ShardConfig(shard=shard, index_max_bytes=max_bytes)
    await client.jetstream().add_stream(index_config(config))


async def publish(client: Client, message: str, *records: IndexRecord, shard: str = "0") -> None:
    """Store records about one message, as one message of the stream."""
    subject = index_subject(shard, bucket_of(message))
    await client.jetstream().publish(subject, encode_records(records))


def batches(items: int, a_second: float, begin: int) -> Iterator[tuple[str, list[IndexRecord]]]:
    """Yield what a processor would send, batch by batch, each with its bucket.

    Every tenth item fails once; every hundredth becomes a dead letter. Records are sent when they
    are a second old, or 200 in a bucket.

    Args:
        items: How many.
        a_second: And how many come in a second.
        begin: When the first one comes, in milliseconds since the epoch.
    """
    waiting: dict[str, list[IndexRecord]] = {}
    second = begin // 1000
    for number in range(items):
        at = begin + int(number * 1000 / a_second)
        if at // 1000 > second:
            second = at // 1000
            yield from waiting.items()
            waiting = {}
        message = message_of(number)
        own = waiting.setdefault(bucket_of(message), [])
        own += _records_of(message, number, at)
        if len(own) > 200:  # as the writer's
            yield bucket_of(message), waiting.pop(bucket_of(message))
    yield from waiting.items()


def message_of(number: int) -> str:
    """Return the id of one of these messages."""
    return f"wamid.HBgLMTU1NTAwMDAwMDAVAgASGBQzQTAyQjM0RDVFNkY3QTg5MDEyMwA{number:08}"


def _records_of(message: str, number: int, at: int) -> Sequence[IndexRecord]:
    own = stored(message, at, person=f"1555{number % 10_000:07}", raw=number + 1)
    if number % 100 == 0:
        return [
            own,
            handled(own, at + 3, IndexOutcome.REJECTED, why="status 422", said="no such field"),
            handled(own, at + 9, IndexOutcome.DEAD, attempt=0, why="Rejected"),
        ]
    if number % 10 == 0:
        return [
            own,
            handled(own, at + 3, IndexOutcome.FAILED, why="status 503", due=at + 1000),
            handled(own, at + 1003, attempt=2),
        ]
    return [own, handled(own, at + 3)]
