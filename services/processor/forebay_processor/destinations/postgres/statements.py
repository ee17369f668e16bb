"""The SQL of destinations `postgres`: one statement that takes a batch, whole or not at all.

A batch is one round trip and one transaction: rows come as arrays, one for each column. What is
new goes into `events`; only that changes `messages` and `conversations`, so a batch that comes
again changes nothing. Rows are written in the order of their keys, so that two batches that write
the same ones wait for each other and do not lock each other up.
"""

from datetime import date
from functools import cache
from typing import Final

from forebay.core.status_ranks import STATUS_RANKS

__all__ = [
    "AGES",
    "COLUMNS",
    "LATEST_VERSION",
    "PARTITION_PREFIX",
    "VERSION_TABLE",
    "longest_wish",
    "partition_of",
    "schema_lock",
    "storing",
    "too_old",
    "wish",
]

LATEST_VERSION: Final = "0002"
"""The last of `migrations`: a schema with it, or a later one, is used as it is."""

AGES: Final = {"messages": "first_received_at", "conversations": "last_received_at"}
"""Tables that rows are removed from, and what says how old one is: a message is as old as the first
that was heard of it, a conversation as the last."""

PARTITION_PREFIX: Final = "events_"

SEEN_DAYS: Final = 30
"""A destination that has not written for so long has no wish any more."""

VERSION_TABLE: Final = "forebay_version"
"""Of each schema; holds the last of `migrations` that was run there."""

COLUMNS: Final = {
    "id": "text",
    "received_at": "timestamptz",
    "occurred_at": "timestamptz",
    "kind": "text",
    "type": "text",
    "key": "text",
    "subject": "text",
    "channel": "text",
    "conversation": "text",
    "lane": "text",
    "other_channel": "bool",
    "superseded": "bool",
    "variant": "bool",
    "repaired": "bool",
    "traceparent": "text",
    "data": "text",
    "data_text": "text",
    "direction": "text",
    "message_id": "text",
    "participant": "text",
    "person": "text",
    "message_type": "text",
    "status": "text",
    "status_rank": "int2",
    "error_code": "int8",
    "errors": "text",
    "pricing": "text",
    "label": "text",
}
"""What is handed over of each item, with its type in PostgreSQL; JSON comes as text."""

_NOTHING: Final = {
    "type": "''",
    "key": "''",
    "other_channel": "false",
    "superseded": "false",
    "variant": "false",
    "repaired": "false",
    "participant": "''",
    "status_rank": "0::int2",
}
"""What stands for nothing where it is not null: an array that says nothing is null as a whole."""

_OF_EVENTS: Final = tuple(COLUMNS)[:17]

_MESSAGE: Final = {
    "participant": ("participant", "participant"),
    "channel": ("channel", "channel"),
    "direction": ("direction", "min(direction)"),
    "conversation": ("conversation", "min(conversation)"),
    "person": ("person", "max(person)"),
    "type": ("message_type", "max(message_type)"),
    "status": ("status", "(array_agg(status order by status_rank desc))[1]"),
    "status_rank": ("status_rank", "max(status_rank)"),
    **{
        f"{status}_at": (
            f"case when {condition} then occurred_at end",
            f"min(occurred_at) filter (where {condition})",
        )
        for status, condition in (
            ("sent", "status = 'sent' or status is null"),
            *((status, f"status = '{status}'") for status in STATUS_RANKS if status != "sent"),
        )
    },
    "error_code": (
        "error_code",
        "(array_agg(error_code order by received_at) filter (where error_code is not null))[1]",
    ),
    "errors": (
        "errors::jsonb",
        "(array_agg(errors order by received_at) filter (where errors is not null))[1]::jsonb",
    ),
    "pricing": (
        "pricing::jsonb",
        "(array_agg(pricing order by received_at) filter (where pricing is not null))[1]::jsonb",
    ),
    "label": ("label", "max(label)"),
    "first_received_at": ("received_at", "min(received_at)"),
}
"""The columns of `messages` beside its id and the endpoint: of one row, and of several together."""

_CONVERSATION: Final = {
    "channel": ("channel", "min(channel)"),
    "person": ("person", "max(person)"),
    "first_at": ("occurred_at", "min(occurred_at)"),
    "last_at": ("occurred_at", "max(occurred_at)"),
    **{
        f"last_{direction}_at": (
            f"case when direction = '{direction}' then occurred_at end",
            f"max(occurred_at) filter (where direction = '{direction}')",
        )
        for direction in ("in", "out")
    },
    "messages_in": (
        "case when direction = 'in' then 1 else 0 end",
        "count(*) filter (where direction = 'in')",
    ),
    "last_received_at": ("received_at", "max(received_at)"),
}
"""The columns of `conversations` beside its name and the endpoint, likewise."""

_LATER_TIMES: Final = ", ".join(
    f"{status}_at = least(old.{status}_at, excluded.{status}_at)" for status in STATUS_RANKS
)


@cache
def storing(schema: str, *, has_pairs: bool) -> str:
    """Return the statement that stores a batch, and says how many of its rows were new.

    Its parameters are the endpoint and an array for each of `COLUMNS`.

    Args:
        schema: Where the tables are.
        has_pairs: Whether several of the batch are of one message or of one conversation: then
            they are put together first, for PostgreSQL changes a row once in a statement. Batches
            of the queue hold one of a conversation and lane, so this is rare, and costs a third.
    """
    of = 1 if has_pairs else 0
    arrays = ", ".join(
        f"${place}::{kind}[]" for place, kind in enumerate(COLUMNS.values(), start=2)
    )
    selected = ", ".join(
        f"coalesce({name}, {_NOTHING[name]}) as {name}" if name in _NOTHING else name
        for name in COLUMNS
    )
    names = ", ".join(_OF_EVENTS)
    values = ", ".join(f"{name}::jsonb" if name == "data" else name for name in _OF_EVENTS)
    by_message = "message_id, participant, channel"
    return f"""
    with given as (
        select {selected} from unnest({arrays}) as given ({", ".join(COLUMNS)})
    ), stored as (
        insert into "{schema}".events (endpoint, {names})
        select $1, {values} from given order by id
        on conflict do nothing
        returning id
    ), fresh as (
        select given.* from given join stored using (id)
    ), of_messages as (
        insert into "{schema}".messages as old (endpoint, message_id, {", ".join(_MESSAGE)})
        select $1, message_id, {", ".join(each[of] for each in _MESSAGE.values())}
        from fresh
        where message_id is not null
        {f"group by {by_message}" if has_pairs else ""}
        order by {by_message}
        on conflict (message_id, participant, channel, endpoint) do update set
            status = case when excluded.status_rank > old.status_rank
                then excluded.status else old.status end,
            status_rank = greatest(old.status_rank, excluded.status_rank),
            {_LATER_TIMES},
            type = coalesce(old.type, excluded.type),
            person = coalesce(old.person, excluded.person),
            error_code = coalesce(old.error_code, excluded.error_code),
            errors = coalesce(old.errors, excluded.errors),
            pricing = coalesce(old.pricing, excluded.pricing),
            label = coalesce(old.label, excluded.label)
    ), of_conversations as (
        insert into "{schema}".conversations as old (
            endpoint, conversation, {", ".join(_CONVERSATION)}
        )
        select $1, conversation, {", ".join(each[of] for each in _CONVERSATION.values())}
        from fresh
        where direction is not null and (status is null or status = 'sent')
        {"group by conversation" if has_pairs else ""}
        order by conversation
        on conflict (endpoint, conversation) do update set
            person = coalesce(old.person, excluded.person),
            first_at = least(old.first_at, excluded.first_at),
            last_at = greatest(old.last_at, excluded.last_at),
            last_in_at = greatest(old.last_in_at, excluded.last_in_at),
            last_out_at = greatest(old.last_out_at, excluded.last_out_at),
            messages_in = old.messages_in + excluded.messages_in,
            last_received_at = greatest(old.last_received_at, excluded.last_received_at)
    )
    select count(*) from stored
    """  # noqa: S608  # the schema's name is held to a pattern


def partition_of(day: date) -> str:
    """Return the name of a day's partition of `events`; names are in the order of days."""
    return f"{PARTITION_PREFIX}{day:%Y%m%d}"


def wish(schema: str) -> str:
    """Return the statement that notes for how many days a destination's rows are to be kept."""
    return f"""
    insert into "{schema}".writers (endpoint, destination, retention_days) values ($1, $2, $3)
    on conflict (endpoint, destination)
    do update set retention_days = excluded.retention_days, seen_at = now()
    """  # noqa: S608  # as above


def longest_wish(schema: str) -> str:
    """Return the statement that says for how many days rows are kept; 0 for ever."""
    return f"""
    select case when bool_or(retention_days = 0) then 0 else max(retention_days) end
    from "{schema}".writers where seen_at > now() - interval '{SEEN_DAYS} days'
    """  # noqa: S608  # as above


def too_old(schema: str, table: str) -> str:
    """Return the statement that removes rows of one of `AGES` from before $1: $2 of them."""
    return f"""
    delete from "{schema}".{table} where ctid = any(array(
        select ctid from "{schema}".{table} where {AGES[table]} < $1 limit $2
    ))
    """  # noqa: S608  # as above


def schema_lock(schema: str) -> str:
    """Return the name whose hash is the advisory lock on a schema's layout."""
    return f"forebay:{schema}"
