"""The tables: events, messages, conversations, and who writes into them."""

from typing import Final

from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision: Final = "0001"
down_revision: Final = None

_STATEMENTS: Final = (
    # One row for each item and endpoint. What makes an id unique over all partitions: an item's
    # `received_at` is stored with it, the same at every attempt and after every replay.
    """
    create table events (
        endpoint text not null,
        id text collate "C" not null,
        received_at timestamptz not null,
        occurred_at timestamptz not null,
        kind text not null,
        type text not null,
        key text not null,
        subject text collate "C",
        channel text,
        conversation text not null,
        lane text not null,
        other_channel boolean not null,
        superseded boolean not null,
        variant boolean not null,
        repaired boolean not null,
        traceparent text,
        data jsonb,
        data_text text,
        stored_at timestamptz not null default now(),
        primary key (id, endpoint, received_at)
    ) partition by range (received_at)
    """,
    "create index on events (subject) where subject is not null",
    # One row for each message, and in a group for each of its members. No index on what changes
    # with a status, so that PostgreSQL can write the new row beside the old one (HOT).
    """
    create table messages (
        endpoint text not null,
        channel text not null,
        message_id text collate "C" not null,
        participant text not null default '',
        direction text not null check (direction in ('in', 'out')),
        conversation text not null,
        person text,
        type text,
        status text,
        status_rank smallint not null default 0,
        sent_at timestamptz,
        delivered_at timestamptz,
        read_at timestamptz,
        played_at timestamptz,
        failed_at timestamptz,
        error_code bigint,
        errors jsonb,
        pricing jsonb,
        label text,
        first_received_at timestamptz not null,
        primary key (message_id, participant, channel, endpoint)
    ) with (fillfactor = 85)
    """,
    "create index on messages (endpoint, conversation, sent_at)",
    "create index on messages using brin (first_received_at)",
    """
    create table conversations (
        endpoint text not null,
        conversation text not null,
        channel text,
        person text,
        first_at timestamptz not null,
        last_at timestamptz not null,
        last_in_at timestamptz,
        last_out_at timestamptz,
        messages_in bigint not null default 0,
        last_received_at timestamptz not null,
        primary key (endpoint, conversation)
    ) with (fillfactor = 85)
    """,
    # Destinations that share the schema: the longest wish of all of them holds.
    """
    create table writers (
        endpoint text not null,
        destination text not null,
        retention_days integer not null,
        seen_at timestamptz not null default now(),
        primary key (endpoint, destination)
    )
    """,
)


def upgrade() -> None:
    """Make them, in the schema that is first on the search path."""
    connection = op.get_bind()
    for statement in _STATEMENTS:
        connection.exec_driver_sql(statement)
