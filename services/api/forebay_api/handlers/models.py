"""What answers are like, for the OpenAPI document; a test holds each answer to it.

What `reveal` adds is optional here. Times are RFC 3339 in UTC, with milliseconds.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

__all__ = [
    "DeadList",
    "DestinationList",
    "EventList",
    "Message",
    "RefusalAnswer",
    "WaitingList",
    "WebhookList",
    "WebhookShown",
]


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")


Next = Annotated[
    str | None,
    Field(description="The `cursor` of the next page; null where there is none."),
]
Missing = Annotated[
    int | None,
    Field(
        description="Processors that are known and did not answer; null where none did: then "
        "states, reasons and times are not known."
    ),
]
Unread = Annotated[int, Field(description="Records of the index that a later version wrote.")]
Revealed = Annotated[str | None, Field(default=None, description="With `reveal` only.")]


class RefusalAnswer(_Answer):
    """Why a request is not served."""

    error: Annotated[str, Field(description="One sentence that says what to do.")]


class HandledShown(_Answer):
    """What happened at a destination."""

    at: str
    destination: str | None
    outcome: str
    attempt: int | None
    milliseconds: int
    error: str | None
    next_attempt_at: str | None
    answer: Revealed


class EventRow(_Answer):
    """An item, with what happened to it last at each destination, in the time that is searched."""

    id: Annotated[str, Field(description="Its `webhook-id`.")]
    endpoint: str
    kind: str
    channel: str
    shard: str
    at: str
    stored: str | None
    received_at: str | None
    raw_sequence: int | None
    repeats: int
    handled: list[HandledShown]
    conversation: Revealed


class EventList(_Answer):
    """A page of items, oldest first but for a second or two."""

    items: list[EventRow]
    next: Next
    more: Annotated[bool, Field(description="Whether there are more than are shown so far.")]
    unread_records: Unread


class StoredShown(_Answer):
    """An item was cut out of a webhook."""

    at: str
    outcome: str
    received_at: str | None
    raw_sequence: int


class Story(_Answer):
    """What is known of an item."""

    id: str
    endpoint: str
    kind: str
    channel: str
    conversation: Revealed
    shard: str
    stored: list[StoredShown]
    handled: list[HandledShown]
    now: Annotated[list[str], Field(description="Where it is at this moment, in words.")]


class Message(_Answer):
    """All items about one message, a hundred at most; none where nothing is known of it."""

    items: list[Story]
    index_begins: Annotated[
        str | None, Field(description="Since when it is kept what happened; null for not at all.")
    ]
    unread_records: Unread


class WebhookShown(_Answer):
    """A webhook as the provider sent it; of its body the shape only, unless it is revealed."""

    sequence: int
    shard: str
    endpoint: str | None
    lane: str | None
    received_at: str | None
    stored_at: str
    bytes: int
    stored_bytes: int
    reason: str | None
    headers: dict[str, str]
    body: Any


class WebhookList(_Answer):
    """The webhooks in which an item first came, one an endpoint."""

    webhooks: list[WebhookShown]


class WaitingRow(_Answer):
    """An item that waits for a destination."""

    id: str
    endpoint: str
    destination: str
    kind: str
    lane: str
    state: str | None
    reason: str | None
    why: str
    received_at: str | None
    waits_since: str
    next_attempt_about: str | None
    expires_at: str | None
    has_failed: bool
    shard: str
    sequence: int
    bytes: int
    itemkey: Revealed
    conversation: Revealed


class WaitingList(_Answer):
    """A page of what waits, in the order in which it was stored."""

    items: list[WaitingRow]
    next: Next
    processors_missing: Missing


class DeathShown(_Answer):
    """An earlier death of an item that was replayed since."""

    died_at: str
    destination: str
    reason: str
    error: str
    attempts: int


class DeadRow(_Answer):
    """A dead letter, without its content."""

    id: str
    endpoint: str
    destination: str
    kind: str
    type: str | None
    reason: str
    error: str
    attempts: int
    died_at: str
    received_at: str | None
    happened_at: str | None
    channel: str | None
    shard: str
    sequence: int
    bytes: int
    replayed_before: bool
    deaths_before: list[DeathShown]
    itemkey: Revealed
    conversation: Revealed
    traceparent: Revealed


class DeadList(_Answer):
    """A page of dead letters, oldest first."""

    items: list[DeadRow]
    next: Next


class DestinationRow(BaseModel):
    """How a destination is, over all processors."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str
    destination: str
    state: str
    reason: str
    waiting: int
    share: float
    """Of what it may have of RETRY: at 1 it gets no more."""

    blocked: int
    oldest_seconds: float | None
    expires_seconds: float | None
    failing_seconds: float | None
    next_attempt_seconds: float | None
    max_age_seconds: float | None


class DestinationList(_Answer):
    """All destinations of the token's namespaces."""

    items: list[DestinationRow]
    processors_missing: int
    left_out: Annotated[int, Field(description="Destinations that found no room in the answer.")]
