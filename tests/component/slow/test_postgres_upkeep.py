"""Partitions by day, what is removed when, and the views, on a real PostgreSQL."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from forebay.core.tables import PostgresTarget
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.port import Attempt, Delivered
from forebay_processor.destinations.postgres.connection import PostgresClient, PostgresTls
from forebay_processor.destinations.postgres.schema_maintenance import AHEAD, PostgresTables
from support.destinations.http_destination import LOOPBACK
from support.destinations.postgres_destination import attempts_of, serving_postgres, store
from support.destinations.postgres_server import PostgresServer, needs_postgres
from support.inputs.events import attempt_of, corpus_events
from support.inputs.statuses import status_webhook
from support.processor.processor_harness import CHANNEL, webhook

pytestmark = [needs_postgres, pytest.mark.asyncio(loop_scope="module")]

DAY: Final = 86_400
PERSON: Final = "15550001234"


def received(days_ago: int, message: str = "wamid.1") -> Attempt:
    """Return a message that came so many days ago, of a person of its own."""
    person = f"1555{days_ago:04}"
    moment = time.time() - days_ago * DAY
    return attempts_of(webhook((f"{message}.{days_ago}", person)), received_at=moment)[0]


def partition(days_ago: int) -> str:
    return f"events_{datetime.now(UTC) - timedelta(days=days_ago):%Y%m%d}"


async def partitions(postgres: PostgresServer, schema: str) -> list[str]:
    rows = await postgres.rows(
        schema,
        "select relname from pg_inherits join pg_class child on child.oid = inhrelid "
        "where inhparent = 'events'::regclass order by 1",
    )
    return [name for (name,) in rows]


async def keep_up(target: PostgresTarget, destination: str = "db") -> None:
    """Do what is done each hour."""
    names = Names(time.monotonic)
    tables = PostgresTables(target, PostgresTls(target.tls), PostgresClient(Guard(LOOPBACK), names))
    try:
        await tables.keep_up(received(0).endpoint, destination)
    finally:
        await names.close()


async def test_each_day_of_receipt_has_a_partition(postgres: PostgresServer, schema: str) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        attempts = [received(days) for days in (400, 1, 0)]
        assert await store(destination, attempts) == Delivered()
        for days in (400, 1, 0):
            assert await rows_in(postgres, schema, partition(days)) == 1


async def test_partitions_are_there_before_they_are_needed(
    postgres: PostgresServer, schema: str
) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await destination.deliver(received(0)) == Delivered()
    await keep_up(postgres.target(schema))
    found = await partitions(postgres, schema)
    assert found == [partition(-each) for each in range(AHEAD + 1)]


async def test_a_partition_that_somebody_dropped_is_made_anew_at_once(
    postgres: PostgresServer, schema: str
) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await destination.deliver(received(3)) == Delivered()
        await postgres.as_root(f"drop table {partition(3)}", schema)
        assert await destination.deliver(received(3, "wamid.2")) == Delivered()
        assert await postgres.value(schema, "select count(*) from events") == 1


async def rows_in(postgres: PostgresServer, schema: str, table: str) -> int:
    return len(await postgres.rows(schema, f"table {table}"))


async def count(postgres: PostgresServer, schema: str) -> list[int]:
    tables = ("events", "messages", "conversations")
    return [await rows_in(postgres, schema, each) for each in tables]


async def fill(postgres: PostgresServer, schema: str, days: Sequence[int]) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await store(destination, [received(each) for each in days]) == Delivered()


async def test_what_is_older_than_the_retention_goes_and_nothing_else(
    postgres: PostgresServer, schema: str
) -> None:
    await fill(postgres, schema, [40, 31, 30, 29, 1, 0])
    await postgres.as_root("truncate writers", schema)
    await keep_up(postgres.target(schema, retention_days=30))
    assert partition(31) not in await partitions(postgres, schema)
    assert partition(30) in await partitions(postgres, schema)
    assert await count(postgres, schema) == [4, 4, 4]


async def test_the_longest_wish_of_a_schemas_destinations_holds(
    postgres: PostgresServer, schema: str
) -> None:
    await fill(postgres, schema, [90, 40, 0])
    await postgres.as_root("truncate writers", schema)
    await keep_up(postgres.target(schema, retention_days=60), "longer")
    await keep_up(postgres.target(schema, retention_days=7), "shorter")
    assert await count(postgres, schema) == [2, 2, 2]
    await keep_up(postgres.target(schema, retention_days=0), "all of it")
    await postgres.as_root("delete from writers where destination = 'longer'", schema)
    await keep_up(postgres.target(schema, retention_days=7), "shorter")
    assert await count(postgres, schema) == [2, 2, 2]
    # Who has not written for a month has no wish any more.
    await postgres.as_root(
        "update writers set seen_at = now() - interval '31 days' where destination = 'all of it'",
        schema,
    )
    await keep_up(postgres.target(schema, retention_days=7), "shorter")
    assert await count(postgres, schema) == [1, 1, 1]


async def test_a_partition_that_somebody_reads_is_removed_later(
    postgres: PostgresServer, schema: str
) -> None:
    await fill(postgres, schema, [40, 0])
    await postgres.as_root("truncate writers", schema)
    target = postgres.target(schema, retention_days=7)
    async with postgres.client() as reader, reader.transaction():
        await reader.fetch(f"table {schema}.{partition(40)}")
        await keep_up(target)
        assert partition(40) in await partitions(postgres, schema)
        async with serving_postgres(target) as destination:
            assert await destination.deliver(received(0, "wamid.2")) == Delivered()
    await keep_up(target)
    assert partition(40) not in await partitions(postgres, schema)


# Views


def at(seconds: int, body: bytes) -> bytes:
    """Return a webhook whose items happened so many seconds later."""
    return body.replace(b"1795165201", str(1_795_165_201 + seconds).encode())


async def test_response_times_are_from_a_persons_first_message_to_our_next(
    postgres: PostgresServer, schema: str
) -> None:
    said = [
        at(0, webhook(("wamid.a", PERSON))),
        at(60, webhook(("wamid.b", PERSON))),
        at(90, status_webhook("wamid.ours", "sent")),
        at(95, status_webhook("wamid.ours2", "sent")),
        at(500, webhook(("wamid.c", PERSON))),
        at(600, webhook(("wamid.d", "15559999999"))),
    ]
    async with serving_postgres(postgres.target(schema)) as destination:
        for body in said:
            assert await store(destination, attempts_of(body)) == Delivered()
    rows = await postgres.rows(
        schema, "select message_id, extract(epoch from took)::int from response_times order by 1"
    )
    assert rows == [("wamid.a", 90), ("wamid.c", None), ("wamid.d", None)]


async def test_failures_are_counted_by_code_and_deliveries_by_label(
    postgres: PostgresServer, schema: str
) -> None:
    errors: Any = [{"code": 131026, "title": "Undeliverable"}]
    label = {"biz_opaque_callback_data": "spring"}
    said = []
    for number in range(5):
        said.append(status_webhook(f"wamid.{number}", "sent", recipient_id=str(number), **label))
        last = {"recipient_id": str(number), **label}
        if number < 2:
            said.append(status_webhook(f"wamid.{number}", "failed", errors=errors, **last))
        else:
            said.append(at(7, status_webhook(f"wamid.{number}", "delivered", **last)))
    async with serving_postgres(postgres.target(schema)) as destination:
        for body in said:
            assert await store(destination, attempts_of(body)) == Delivered()
    failures = await postgres.rows(
        schema, "select channel, error_code, title, messages from failures_by_code"
    )
    assert failures == [(CHANNEL, 131026, "Undeliverable", 2)]
    ((*counts, half),) = await postgres.rows(
        schema,
        "select label, messages, delivered, read, failed, half_delivered_after "
        "from deliveries_by_label",
    )
    assert counts == ["spring", 5, 3, 0, 2]
    assert half == timedelta(seconds=7)


async def test_the_corpus_has_templates_payments_and_no_open_window_of_long_ago(
    postgres: PostgresServer, schema: str
) -> None:
    attempts = {each.item.token: attempt_of(each.item) for each in corpus_events()}
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await store(destination, list(attempts.values())) == Delivered()
    fields = {
        field for (field,) in await postgres.rows(schema, "select distinct field from templates")
    }
    assert {"message_template_status_update", "message_template_quality_update"} <= fields
    payments = await postgres.rows(
        schema, "select status, transaction_id from payments where reference_id = 'ref-77'"
    )
    assert ("captured", "txn-3") in payments
    paid = [each for each in attempts.values() if each.item.key.startswith("pay:")]
    assert await postgres.value(schema, "select count(*) from payments") == len(paid) > 3


async def test_a_window_is_open_for_a_day_after_a_persons_last_message(
    postgres: PostgresServer, schema: str
) -> None:
    now = int(time.time())
    async with serving_postgres(postgres.target(schema)) as destination:
        for person, hours in (("1", 1), ("2", 23), ("3", 25)):
            body = json.loads(webhook((f"wamid.{person}", person)))
            (message,) = body["entry"][0]["changes"][0]["value"]["messages"]
            message["timestamp"] = str(now - hours * 3600)
            assert await store(destination, attempts_of(json.dumps(body).encode())) == Delivered()
    rows = await postgres.rows(
        schema, "select person, is_unanswered from open_windows order by person"
    )
    assert rows == [("1", True), ("2", True)]
