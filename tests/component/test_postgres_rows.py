"""A real PostgreSQL as a destination: what arrives there, whole and once, and what it says."""

import itertools
import json
import random
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from forebay.core.events import Event, read_event
from forebay_processor.destinations.cloudevents import encode_event
from forebay_processor.destinations.port import Attempt, Delivered, Rejected
from support.destinations.postgres_destination import attempts_of, serving_postgres, store
from support.destinations.postgres_server import PostgresServer, needs_postgres
from support.inputs.events import attempt_of, corpus_events
from support.inputs.statuses import status_webhook
from support.processor.processor_harness import CHANNEL, webhook

pytestmark = [needs_postgres, pytest.mark.asyncio(loop_scope="module")]

MESSAGE = "wamid.HBgL/+="
KEPT = ("messages", "conversations")


def expected(event: Event, attempt: Attempt) -> dict[str, Any]:
    """Return the row of an event, by what an `http` destination gets of it."""
    namespace, name = event.source.removeprefix("/forebay/").split("/")
    return {
        "endpoint": f"{namespace}/{name}",
        "id": event.id,
        "received_at": attempt.received_at,
        "occurred_at": datetime.fromisoformat(event.time).timestamp(),
        "kind": event.kind,
        "type": event.itemtype,
        "key": event.itemkey,
        "subject": event.subject or None,
        "channel": event.channel or None,
        "conversation": event.conversation,
        "lane": event.lane,
        "other_channel": event.otherchannel,
        "superseded": event.superseded,
        "variant": event.variant,
        "repaired": event.repaired,
        "traceparent": event.traceparent or None,
        "data": event.value(),
        "data_text": None,
    }


async def stored(postgres: PostgresServer, schema: str) -> dict[str, dict[str, Any]]:
    """Return all rows of events by their ids; fails where an id has two."""
    async with postgres.client() as client:
        await client.execute(f"set search_path = {schema}")
        rows = [dict(row) for row in await client.fetch("select * from events")]
    for row in rows:
        row["received_at"] = row["received_at"].timestamp()
        row["occurred_at"] = row["occurred_at"].timestamp()
        row["data"] = json.loads(row["data"])
        del row["stored_at"]
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows), "an id has two rows"
    return found


async def test_every_payload_and_case_arrives_whole(postgres: PostgresServer, schema: str) -> None:
    attempts = {each.item.token: attempt_of(each.item) for each in corpus_events()}
    assert len(attempts) > 100
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await store(destination, list(attempts.values())) == Delivered()
    rows = await stored(postgres, schema)
    wanted = {
        token: expected(read_event(encode_event(each)), each) for token, each in attempts.items()
    }
    assert rows == wanted


def nested(depth: int) -> bytes:
    """Return a webhook that holds lists in lists."""
    return webhook((MESSAGE, "15550001234")).replace(b'"Hello"', b"[" * depth + b"]" * depth)


async def test_what_a_text_of_postgres_cannot_hold_arrives_whole_beside_it(
    postgres: PostgresServer, schema: str
) -> None:
    texts = ["a\x00b", "\x00", "\\u0000 as written", "\\\x00", "\\\\u0000\x00", "\U0001f600\ufffd"]
    attempts = [
        attempts_of(webhook((f"{MESSAGE}{place}", "15550001234"), text=text))[0]
        for place, text in enumerate(texts)
    ]
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await store(destination, attempts) == Delivered()
    found = await postgres.rows(
        schema,
        "select data #>> '{value,messages,0,text,body}', data_text from events order by subject",
    )
    assert [body for body, _ in found] == [text.replace("\x00", "\ufffd") for text in texts]
    for text, (_, whole) in zip(texts, found, strict=True):
        if "\x00" not in text:
            assert whole is None
            continue
        assert json.loads(whole)["value"]["messages"][0]["text"]["body"] == text


async def test_what_jsonb_refuses_arrives_as_text(postgres: PostgresServer, schema: str) -> None:
    (attempt,) = attempts_of(webhook((MESSAGE, "15550001234")))
    # A number of 200,000 digits is JSON, and beyond what PostgreSQL computes with.
    raw = bytes(attempt.item.data).replace(b'"Hello"', b"9" * 200_000)
    large = replace(attempt, item=replace(attempt.item, data=type(attempt.item.data)(raw)))
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await store(destination, [large]) == Rejected("sqlstate 22003")
        assert await destination.deliver(large) == Delivered()
    rows = await postgres.rows(schema, "select data, data_text, subject from events")
    assert rows == [(None, raw.decode(), MESSAGE)]
    assert await postgres.value(schema, "select direction from messages") == "in"


async def test_a_batch_that_comes_again_changes_nothing(
    postgres: PostgresServer, schema: str
) -> None:
    attempts = attempts_of(webhook(("wamid.1", "1555"), ("wamid.2", "1556")))
    async with serving_postgres(postgres.target(schema)) as destination:
        for _ in range(3):
            assert await store(destination, attempts) == Delivered()
            assert await destination.deliver(attempts[0]) == Delivered()
    assert len(await stored(postgres, schema)) == 2
    counts = await postgres.rows(schema, "select messages_in from conversations")
    assert counts == [(1,), (1,)]


async def test_two_endpoints_in_one_schema_have_a_row_each(
    postgres: PostgresServer, schema: str
) -> None:
    (attempt,) = attempts_of(webhook((MESSAGE, "1555")))
    other = replace(attempt, endpoint=attempt.endpoint._replace(name="other"))
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await destination.deliver(attempt) == Delivered()
        assert await destination.deliver(other) == Delivered()
    for table in ("events", "messages", "conversations"):
        rows = await postgres.rows(schema, f"table {table}")
        assert sorted(row[0] for row in rows) == ["acme/other", "acme/shop"], table


# What became of a message


STATE = """
    select status, status_rank, sent_at is not null, delivered_at is not null,
        read_at is not null, failed_at is not null, error_code, pricing ->> 'category'
    from messages
"""


def statuses() -> list[Attempt]:
    """Return the statuses of one message, each with what only it has."""
    more: dict[str, dict[str, Any]] = {
        "sent": {"pricing": {"category": "utility"}},
        "failed": {"errors": [{"code": 131026, "title": "Undeliverable"}]},
        "delivered": {"pricing": {"category": "marketing"}},
        "read": {},
    }
    return [
        attempts_of(status_webhook(MESSAGE, name, **fields))[0] for name, fields in more.items()
    ]


def orders() -> Iterator[tuple[int, ...]]:
    yield from itertools.permutations(range(4))


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
async def test_statuses_in_any_order_end_in_the_highest(
    postgres: PostgresServer, schema: str, *, together: bool
) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        for order in orders():
            attempts = [statuses()[place] for place in order]
            if together:
                assert await store(destination, attempts) == Delivered()
            else:
                for attempt in attempts:
                    assert await destination.deliver(attempt) == Delivered()
            ((*state, category),) = await postgres.rows(schema, STATE)
            assert state == ["read", 4, True, True, True, True, 131026], order
            first = "utility" if order.index(0) < order.index(2) else "marketing"
            assert category == first or together, order
            await postgres.as_root("truncate events, messages", schema)


async def test_a_late_status_changes_nothing_of_the_state(
    postgres: PostgresServer, schema: str
) -> None:
    sent, failed, _, read = statuses()
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await destination.deliver(read) == Delivered()
        for late in (sent, failed):
            assert await destination.deliver(late) == Delivered()
            assert await postgres.value(schema, "select status from messages") == "read"


async def test_payments_leave_the_state_of_their_message_alone(
    postgres: PostgresServer, schema: str
) -> None:
    (paid,) = attempts_of(status_webhook(MESSAGE, "failed", type="payment"))
    (sent,) = attempts_of(status_webhook(MESSAGE, "sent"))
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await store(destination, [sent, paid]) == Delivered()
    assert await postgres.rows(schema, "select status, failed_at from messages") == [("sent", None)]
    assert await postgres.value(schema, "select count(*) from events") == 2


async def test_each_member_of_a_group_has_a_state_of_their_own(
    postgres: PostgresServer, schema: str
) -> None:
    group = {"recipient_type": "group", "recipient_id": "group-1"}
    webhooks = [
        status_webhook(MESSAGE, "delivered", recipient_participant_id="1555", **group),
        status_webhook(MESSAGE, "read", recipient_participant_id="1556", **group),
    ]
    async with serving_postgres(postgres.target(schema)) as destination:
        for body in webhooks:
            assert await store(destination, attempts_of(body)) == Delivered()
    rows = await postgres.rows(schema, "select participant, status from messages order by 1")
    assert rows == [("1555", "delivered"), ("1556", "read")]


async def test_what_a_body_says_of_a_message_can_be_anything(
    postgres: PostgresServer, schema: str
) -> None:
    odd: list[Any] = [None, True, 7, 1.5, [], {}, ["x"], {"a": 1}, "", "x" * 5000, "a\x00b", 10**40]
    attempts = []
    for value in odd:
        body = json.loads(status_webhook(MESSAGE, "sent"))
        status = body["entry"][0]["changes"][0]["value"]["statuses"][0]
        for field in ("id", "recipient_id", "errors", "pricing", "biz_opaque_callback_data"):
            changed = {**status, field: value, "recipient_participant_id": value}
            body["entry"][0]["changes"][0]["value"]["statuses"] = [changed]
            attempts += attempts_of(json.dumps(body).encode())
    async with serving_postgres(postgres.target(schema)) as destination:
        for attempt in attempts:
            assert await destination.deliver(attempt) == Delivered(), bytes(attempt.item.data)[:300]
    assert await postgres.value(schema, "select count(*) from events") == len(
        {each.token for each in attempts}
    )


async def test_an_id_that_no_index_holds_costs_its_column_only(
    postgres: PostgresServer, schema: str
) -> None:
    """An entry of an index has 2.7 kB, and what repeats nothing cannot be compressed into it."""
    characters = random.Random(1).sample(range(0x20000, 0x2A000), 1000)
    webhooks = [
        status_webhook("".join(map(chr, characters)), "sent"),
        status_webhook("x" * 1000, "sent"),
    ]
    async with serving_postgres(postgres.target(schema)) as destination:
        attempts = [each for body in webhooks for each in attempts_of(body)]
        assert await store(destination, attempts) == Delivered()
    assert await postgres.rows(schema, "select subject from events order by 1 nulls last") == [
        ("x" * 1000,),
        (None,),
    ]


async def test_a_conversation_knows_when_its_person_wrote_last(
    postgres: PostgresServer, schema: str
) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        for number in range(3):
            await store(destination, attempts_of(webhook((f"wamid.{number}", "15550001234"))))
        await store(destination, attempts_of(status_webhook("wamid.out", "sent")))
    rows = await postgres.rows(
        schema, "select channel, person, messages_in, last_in_at = last_out_at from conversations"
    )
    assert rows == [(CHANNEL, "15550001234", 3, True)]


async def test_items_say_the_same_together_and_each_by_itself(
    postgres: PostgresServer, schema: str
) -> None:
    attempts = {each.item.token: attempt_of(each.item) for each in corpus_events()}
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await store(destination, list(attempts.values())) == Delivered()
        together = [
            await postgres.rows(schema, f"table {name} order by 1, 2, 3, 4") for name in KEPT
        ]
        await postgres.as_root("truncate events, messages, conversations", schema)
        for attempt in attempts.values():
            assert await destination.deliver(attempt) == Delivered()
        alone = [await postgres.rows(schema, f"table {name} order by 1, 2, 3, 4") for name in KEPT]
    assert len(together[0]) > 30
    assert together == alone
