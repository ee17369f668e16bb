"""What a request asks for: its parameters. An unknown one is refused: it would mean nothing.

Filters are read where they are used (`forebay.views.filters`), which says what they may be.
"""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "DeadQuery",
    "DestinationsQuery",
    "EventsQuery",
    "MessageQuery",
    "WaitingQuery",
    "WebhookQuery",
    "WebhooksQuery",
]

MOST_ROWS: Final = 500
"""Of a page: 1 MB or less."""

TEXT: Final = 512
"""Characters of a parameter: a provider's id has some 60."""

Text = Annotated[str | None, Field(max_length=TEXT)]
Time = Annotated[
    str | None,
    Field(max_length=TEXT, description="`2h`, `1d`, `today`, `2026-11-22`, `2026-11-22T14:00Z`."),
]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DestinationsQuery(_Query):
    """Of `/v1/destinations`."""

    endpoint: Annotated[Text, Field(description="Only of this endpoint, `namespace/name`.")] = None
    destination: Annotated[Text, Field(description="Only this one, or for this one.")] = None


class _RevealQuery(_Query):
    reveal: Annotated[
        bool, Field(description="Show what is masked: the token needs the scope `reveal`.")
    ] = False


class MessageQuery(_RevealQuery):
    """Of `/v1/messages`."""

    wamid: Annotated[
        str, Field(min_length=1, max_length=TEXT, description="The provider's id of the message.")
    ]


class WebhookQuery(_RevealQuery):
    """Of one webhook."""


class WebhooksQuery(_RevealQuery):
    """Of `/v1/webhooks`."""

    item: Annotated[str, Field(max_length=TEXT, description="An item's id, all of it.")]


class _ListQuery(DestinationsQuery, _RevealQuery):
    kind: Annotated[Text, Field(description="Only of this kind, such as messages.")] = None
    wamid: Annotated[
        Text, Field(description="Only of the message with this id of the provider.")
    ] = None
    id: Annotated[
        Text, Field(description="Only with an id (`webhook-id`) that begins with this.")
    ] = None
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, description="Rows of a page at most.")] = 100
    cursor: Annotated[Text, Field(description="The `next` of the page before.")] = None


class EventsQuery(_ListQuery):
    """Of `/v1/events`."""

    channel: Annotated[Text, Field(description="Only of this phone number id.")] = None
    conversation: Annotated[Text, Field(description="Only of the one with this token.")] = None
    outcome: Annotated[Text, Field(description="Only with this outcome, such as failed.")] = None
    since: Time = None
    until: Time = None


class WaitingQuery(_ListQuery):
    """Of `/v1/waiting`."""

    conversation: Annotated[Text, Field(description="Only of the one with this token.")] = None


class DeadQuery(_ListQuery):
    """Of `/v1/dead`."""

    reason: Annotated[Text, Field(description="Only with this reason, such as Rejected.")] = None
    since: Time = None
    until: Time = None
