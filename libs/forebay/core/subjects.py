"""Streams, subjects and partitions: a stored format, version 2.

What stands here is on disk in every installation. Changing a subject, a hash or the number of
partitions is a migration with a design note of its own, never an edit (docs/design/0001).

    forebay.raw.<shard>.<q>.<lane>.<namespace>.<name>
    forebay.event.<shard>.<p>.<lane>.<namespace>.<name>.<kind>.<key>
    forebay.retry.<shard>.<p>.<lane>.<namespace>.<name>.<destination>.<conversation>.<key>
    forebay.dead.<shard>.<namespace>.<name>.<destination>.<key>
    forebay.index.<shard>.<bucket>

In RETRY the word `replay` stands in the place of the lane for an item that a person sent again:
rows that the processor did not write itself, and that are outside the order (docs/design/0006).

`<q>` and `<p>` are two digits, 00 to 15, or 00 to 03 in a shard of one endpoint's own
(`dedicated_shard`): `<q>` a hash of the endpoint, `<p>` of the endpoint and the conversation.
`<key>` and `<conversation>` are hex of a hash: ids hold characters that a subject may not, and
phone numbers are private.
"""

import enum
import functools
import hashlib
import re
import sys
from typing import Final, Literal, NamedTuple

from typing_extensions import override

from forebay.core.endpoint_name import EndpointName

__all__ = [
    "DEDICATED_PARTITIONS",
    "FORMAT_VERSION",
    "PARTITIONS",
    "REPLAY",
    "DeadSubject",
    "EventSubject",
    "Lane",
    "RawSubject",
    "RetrySubject",
    "StreamKind",
    "consumer_name",
    "conversation_partition",
    "conversation_token",
    "dead_subject",
    "dedicated_shard",
    "endpoint_partition",
    "event_subjects",
    "in_any_partition",
    "index_stream",
    "index_subject",
    "is_dedicated",
    "key_token",
    "lease_stream",
    "lease_subject",
    "partitions_of",
    "replay_subjects",
    "stream_name",
    "stream_of",
    "stream_subjects",
    "subjects_of_item",
]

FORMAT_VERSION = "2"
"""Kept in each stream's metadata as `forebay.dev/format`: of subjects, keys and digests
(docs/design/0014)."""

PARTITIONS = 16
"""Partitions of a shard, for RAW (`q`) and for EVENTS and RETRY (`p`)."""

DEDICATED_PARTITIONS = 4
"""The same of a shard of one endpoint's own: a fourth of the consumers (docs/design/0042)."""

_DEDICATED: Final = re.compile(r"d-[0-9a-f]{14}")


@functools.lru_cache(maxsize=16_384)
def dedicated_shard(endpoint: EndpointName) -> str:
    """Return the name of the shard that an endpoint has for itself alone, where it has one.

    56 bits of a hash: as much as a shard's name has room for, and too many to be met on purpose.
    """
    return f"d-{hashlib.sha256(str(endpoint).encode()).hexdigest()[:14]}"


def is_dedicated(shard: str) -> bool:
    """Say whether a shard is one endpoint's own: no installation's is called like that."""
    return _DEDICATED.fullmatch(shard) is not None


@functools.lru_cache(maxsize=1024)
def partitions_of(shard: str) -> int:
    """Return how many partitions a shard has: its name says it, so that all parts agree."""
    return DEDICATED_PARTITIONS if is_dedicated(shard) else PARTITIONS


class Lane(enum.StrEnum):
    """How urgent a webhook or an item is; the first is the most urgent."""

    LIVE = "live"
    STATUS = "status"
    BULK = "bulk"
    INVALID = "invalid"


REPLAY: Final = "replay"
"""In RETRY, the place of the lane for what a person sent again. It is no lane of other streams."""


class StreamKind(enum.StrEnum):
    """The four streams of a shard."""

    RAW = "raw"
    EVENTS = "event"
    RETRY = "retry"
    DEAD = "dead"


_STREAM_NAMES = {
    StreamKind.RAW: "RAW",
    StreamKind.EVENTS: "EVENTS",
    StreamKind.RETRY: "RETRY",
    StreamKind.DEAD: "DEAD",
}


def stream_name(kind: StreamKind, shard: str) -> str:
    """Return the name of a shard's stream, such as `FOREBAY_RAW_0`."""
    return f"FOREBAY_{_STREAM_NAMES[kind]}_{shard}"


def stream_subjects(kind: StreamKind, shard: str) -> str:
    """Return the wildcard of all subjects of a shard's stream."""
    return f"forebay.{kind}.{shard}.>"


_NAMES_OF_SUBJECTS: Final = {
    **{str(kind): f"FOREBAY_{name}_" for kind, name in _STREAM_NAMES.items()},
    "lease": "FOREBAY_LEASE_",
    "index": "FOREBAY_INDEX_",
}


def stream_of(subject: str) -> str:
    """Return the name of the stream to which one of Forebay's subjects belongs."""
    _, kind, shard, *_ = subject.split(".", 3)
    return _NAMES_OF_SUBJECTS[kind] + shard


def lease_stream(shard: str) -> str:
    """Return the name of the stream in which a shard's processors agree who owns what.

    It holds no data of anybody: one message, which may be lost while no processor runs.
    """
    return f"FOREBAY_LEASE_{shard}"


def lease_subject(shard: str) -> str:
    """Return the one subject of that stream."""
    return f"forebay.lease.{shard}"


def index_stream(shard: str) -> str:
    """Return the name of the stream that holds what happened to each item (`index_records`).

    Nothing is delivered from it: what it loses is missing in the answers to people only.
    """
    return f"FOREBAY_INDEX_{shard}"


def index_subject(shard: str, bucket: str) -> str:
    """Return the subject of one bucket of that stream; `*` stands for all of them."""
    return f"forebay.index.{shard}.{bucket}"


def key_token(key: str) -> str:
    """Return the 32 hex digits that stand for an item's key in subjects and as `webhook-id`.

    They are the first half of the key's SHA-256, so that anyone can compute them again:
    `printf %s "$key" | sha256sum | cut -c1-32`.
    """
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def conversation_token(channel: str, person: str) -> str:
    """Return the 16 hex digits that stand for one person's talk with one channel."""
    return hashlib.sha256(f"{channel}\n{person}".encode()).hexdigest()[:16]


def endpoint_partition(endpoint: EndpointName, shard: str) -> int:
    """Return `q`, the partition of RAW in which all webhooks of an endpoint are in a shard."""
    digest = hashlib.sha256(str(endpoint).encode()).digest()
    return int.from_bytes(digest[:8]) % partitions_of(shard)


def conversation_partition(endpoint: EndpointName, conversation: str, shard: str) -> int:
    """Return `p`, the partition of EVENTS and RETRY that holds a conversation in a shard."""
    # What is cached takes any arguments, as far as mypy goes; these are to be checked.
    return _conversation_partition(endpoint, conversation, partitions_of(shard))


@functools.lru_cache(maxsize=8192)
def _conversation_partition(endpoint: EndpointName, conversation: str, partitions: int) -> int:
    digest = hashlib.sha256(f"{endpoint}/{conversation}".encode()).digest()
    return int.from_bytes(digest[:8]) % partitions


def in_any_partition(subject: str) -> str:
    """Return a subject of RAW, EVENTS or RETRY with a wildcard in the place of the partition."""
    stream, kind, shard, _, rest = subject.split(".", 4)
    return f"{stream}.{kind}.{shard}.*.{rest}"


# For more endpoints than one installation has: one that is not kept costs as much as two that are.
@functools.lru_cache(maxsize=16_384)
def _shared_name(namespace: str, name: str) -> EndpointName:
    return EndpointName(namespace, name)


class RawSubject(NamedTuple):
    """Where one webhook body is stored."""

    shard: str
    partition: int
    lane: Lane
    endpoint: EndpointName

    @override
    def __str__(self) -> str:
        """Return the subject."""
        namespace, name = self.endpoint
        return f"forebay.raw.{self.shard}.{self.partition:02d}.{self.lane}.{namespace}.{name}"

    @classmethod
    def parse(cls, subject: str) -> "RawSubject":
        """Read a subject of RAW; raises ValueError where it is none."""
        _, kind, shard, partition, lane, namespace, name = subject.split(".")
        if kind != StreamKind.RAW:
            message = f"{subject!r} is no subject of RAW"
            raise ValueError(message)
        return cls(shard, int(partition), Lane(lane), _shared_name(namespace, name))


class EventSubject(NamedTuple):
    """Where one item is stored; its existence is the claim that the item was seen."""

    shard: str
    partition: int
    lane: Lane
    endpoint: EndpointName
    kind: str
    key: str

    @override
    def __str__(self) -> str:
        """Return the subject."""
        namespace, name = self.endpoint
        return (
            f"forebay.event.{self.shard}.{self.partition:02d}.{self.lane}."
            f"{namespace}.{name}.{self.kind}.{self.key}"
        )

    @classmethod
    def parse(cls, subject: str) -> "EventSubject":
        """Read a subject of EVENTS; raises ValueError where it is none."""
        _, stream, shard, partition, lane, namespace, name, kind, key = subject.split(".")
        if stream != StreamKind.EVENTS:
            message = f"{subject!r} is no subject of EVENTS"
            raise ValueError(message)
        endpoint = _shared_name(namespace, name)
        return cls(shard, int(partition), Lane(lane), endpoint, kind, key)


def event_subjects(
    shard: str, partition: int, lane: Lane, endpoint: EndpointName, kind: str, key: str
) -> tuple[str, str]:
    """Return an item's subject in EVENTS, and the wildcard of it in whichever partition.

    A partition follows from the person, whom two webhooks can name in two ways.
    """
    namespace, name = endpoint
    rest = f"{lane.value}.{namespace}.{name}.{kind}.{key}"
    return f"forebay.event.{shard}.{partition:02d}.{rest}", f"forebay.event.{shard}.*.{rest}"


class RetrySubject(NamedTuple):
    """Where one item waits for one destination."""

    shard: str
    partition: int
    lane: Lane | Literal["replay"]
    endpoint: EndpointName
    destination: str
    conversation: str
    key: str

    @override
    def __str__(self) -> str:
        """Return the subject."""
        namespace, name = self.endpoint
        return (
            f"forebay.retry.{self.shard}.{self.partition:02d}.{self.lane}."
            f"{namespace}.{name}.{self.destination}.{self.conversation}.{self.key}"
        )

    @classmethod
    def parse(cls, subject: str) -> "RetrySubject":
        """Read a subject of RETRY; raises ValueError where it is none."""
        (_, stream, shard, partition, lane, namespace, name, destination, conversation, key) = (
            subject.split(".")
        )
        if stream != StreamKind.RETRY:
            message = f"{subject!r} is no subject of RETRY"
            raise ValueError(message)
        # One each of what many rows share: hundreds of thousands of them may be in memory.
        endpoint = _shared_name(namespace, name)
        shard, destination = sys.intern(shard), sys.intern(destination)
        own: Lane | Literal["replay"] = REPLAY if lane == REPLAY else Lane(lane)
        return cls(shard, int(partition), own, endpoint, destination, conversation, key)

    @property
    def is_replay(self) -> bool:
        """Whether a person sent the item again: it is outside the order and holds back nobody."""
        return self.lane == REPLAY

    @property
    def row_key(self) -> str:
        """What distinguishes it from the other rows of its destination."""
        return f"{REPLAY}.{self.key}" if self.is_replay else self.key


class DeadSubject(NamedTuple):
    """Where one dead letter is kept."""

    shard: str
    endpoint: EndpointName
    destination: str
    key: str

    @override
    def __str__(self) -> str:
        """Return the subject."""
        return dead_subject(self.shard, self.endpoint, self.destination, self.key)

    @classmethod
    def parse(cls, subject: str) -> "DeadSubject":
        """Read a subject of DEAD; raises ValueError where it is none."""
        _, stream, shard, namespace, name, destination, key = subject.split(".")
        if stream != StreamKind.DEAD:
            message = f"{subject!r} is no subject of DEAD"
            raise ValueError(message)
        return cls(shard, EndpointName(namespace, name), destination, key)


def replay_subjects(shard: str, partition: int) -> str:
    """Return the wildcard of all replayed rows of one partition of RETRY."""
    return f"forebay.{StreamKind.RETRY}.{shard}.{partition:02d}.{REPLAY}.>"


def dead_subject(shard: str, endpoint: EndpointName, destination: str, key: str) -> str:
    """Return the subject of a dead letter; one item is dead once per destination."""
    namespace, name = endpoint
    return f"forebay.dead.{shard}.{namespace}.{name}.{destination}.{key}"


def subjects_of_item(shard: str, token: str, endpoint: str = "*/*") -> dict[StreamKind, str]:
    """Return the wildcards of all places where an item can be, in the order in which it goes there.

    Args:
        shard: Where it is searched.
        token: Its `webhook-id`.
        endpoint: `namespace/name`; by default any.
    """
    place = endpoint.replace("/", ".")
    return {
        StreamKind.EVENTS: f"forebay.event.{shard}.*.*.{place}.*.{token}",
        StreamKind.RETRY: f"forebay.retry.{shard}.*.*.{place}.*.*.{token}",
        StreamKind.DEAD: f"forebay.dead.{shard}.{place}.*.{token}",
    }


def consumer_name(step: str, lane: Lane, partition: int) -> str:
    """Return the name of the durable consumer of one lane of one partition.

    `step` is `split` (on RAW) or `deliver` (on EVENTS).
    """
    return f"{step}-{lane}-{partition:02d}"
