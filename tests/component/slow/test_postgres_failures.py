"""A real PostgreSQL that fails in every way: what an attempt ends in, and that nothing is lost."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from msgspec.structs import replace

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import HttpTls, PostgresTarget
from forebay_processor.destinations.network.address_guard import Guard
from forebay_processor.destinations.network.name_resolver import Names
from forebay_processor.destinations.port import (
    Delivered,
    Failed,
    Rejected,
    Result,
    Trouble,
)
from forebay_processor.destinations.postgres.connection import PostgresClient
from forebay_processor.destinations.postgres.destination import PostgresDestination
from forebay_processor.destinations.postgres.statements import schema_lock
from support.destinations.http_destination import LOOPBACK
from support.destinations.postgres_destination import attempts_of, serving_postgres, store
from support.destinations.postgres_server import USER, PostgresServer, needs_postgres
from support.processor.processor_harness import webhook
from support.programs.authority import Authority
from support.programs.ports import HOST, free_port
from support.programs.stalling_proxy import StallingProxy
from support.timing.wait import eventually

pytestmark = [needs_postgres, pytest.mark.asyncio(loop_scope="module")]

ATTEMPTS: Final = attempts_of(webhook(*((f"wamid.{each}", f"1555{each}") for each in range(20))))
ATTEMPT: Final = ATTEMPTS[0]


async def outcome(target: PostgresTarget, guard: Guard | None = None) -> Result:
    """Deliver one item by a destination of its own."""
    async with serving_postgres(target, guard) as destination:
        return await destination.deliver(ATTEMPT)


def nobody(error: str) -> Failed:
    return Failed(error, trouble=Trouble.DESTINATION)


def refused(error: str) -> Failed:
    return Failed(error, trouble=Trouble.REFUSED)


# What is wrong with the settings


async def test_a_wrong_password_is_for_a_person(postgres: PostgresServer, schema: str) -> None:
    target = postgres.target(schema, password="wrong")
    assert await outcome(target) == refused("sqlstate 28P01")


async def test_a_user_who_may_not_create_is_told_so_until_the_right_is_there(
    postgres: PostgresServer, schema: str
) -> None:
    await postgres.as_root(
        f"create role {schema} login password 'x'; revoke create on database {USER} from public"
    )
    async with serving_postgres(postgres.target(schema, user=schema, password="x")) as destination:
        assert await destination.deliver(ATTEMPT) == refused("sqlstate 42501")
        await postgres.as_root(f"create schema {schema} authorization {schema}")
        assert await destination.deliver(ATTEMPT) == Delivered()


async def test_tables_that_somebody_removed_are_made_anew(
    postgres: PostgresServer, schema: str
) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await destination.deliver(ATTEMPT) == Delivered()
        await postgres.as_root(f"drop schema {schema} cascade")
        assert await destination.deliver(ATTEMPT) == refused("sqlstate 42P01")
        assert await destination.deliver(ATTEMPT) == Delivered()


# What is wrong with the server


async def test_where_nobody_listens_all_wait(postgres: PostgresServer, schema: str) -> None:
    target = postgres.target(schema, port=free_port())
    assert await outcome(target) == nobody("ClientConnectorError")


async def test_the_next_host_is_used_where_the_first_is_away(
    postgres: PostgresServer, schema: str
) -> None:
    hosts = ((HOST, free_port()), (HOST, postgres.port))
    assert await outcome(postgres.target(schema, hosts=hosts)) == Delivered()


async def test_an_address_inside_is_refused(postgres: PostgresServer, schema: str) -> None:
    failed = await outcome(postgres.target(schema), Guard())
    assert isinstance(failed, Failed)
    assert failed.trouble is Trouble.DESTINATION
    assert "private address" in failed.error


async def test_a_server_that_never_answers_is_given_up_in_time(
    postgres: PostgresServer, schema: str
) -> None:
    async with StallingProxy(postgres.port) as proxy:
        target = postgres.target(schema, port=proxy.port, timeout_seconds=0.5)
        async with serving_postgres(target) as destination:
            assert await destination.deliver(ATTEMPT) == Delivered()
            proxy.stall()
            assert await destination.deliver(ATTEMPT) == Failed("timeout")
            assert await destination.deliver(ATTEMPT) == Failed("timeout"), "a new connection"
            proxy.resume()
            assert await destination.deliver(ATTEMPT) == Delivered()


async def test_a_read_only_server_is_waited_for(postgres: PostgresServer, schema: str) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await destination.deliver(ATTEMPT) == Delivered()
        async with postgres.client() as client:
            # As a standby does that was the primary: to those who are connected.
            name = f"forebay {ATTEMPT.endpoint}/{ATTEMPT.destination}"
            await client.execute(f"alter role {USER} set default_transaction_read_only = on")
            await client.fetch(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = $1",
                name,
            )
        failed = await destination.deliver(ATTEMPT)
        assert isinstance(failed, Failed)
        assert failed.trouble is Trouble.DESTINATION
        assert await destination.deliver(ATTEMPT) == nobody("sqlstate 25006")
        await postgres.as_root(f"alter role {USER} reset default_transaction_read_only")
        assert await destination.deliver(ATTEMPT) == Delivered()


async def test_a_server_without_connections_is_waited_for(
    postgres: PostgresServer, schema: str
) -> None:
    await postgres.as_root(
        f"create role {schema} login password 'x' connection limit 0;"
        f"create schema {schema} authorization {schema}"
    )
    target = postgres.target(schema, user=schema, password="x")
    assert await outcome(target) == nobody("sqlstate 53300")


RAISE: Final = """
    create function refuse() returns trigger language plpgsql as $$
    begin raise exception 'secret 15550001234' using errcode = '{}'; end $$;
    create trigger refuse before insert on events for each row execute function refuse()
"""


@pytest.mark.parametrize(
    ("state", "result"),
    [
        ("53100", nobody("sqlstate 53100")),
        ("23505", Rejected("sqlstate 23505")),
        ("22012", Rejected("sqlstate 22012")),
        ("P0001", Failed("sqlstate P0001")),
        ("40001", Failed("sqlstate 40001")),
        ("57014", Failed("timeout")),
    ],
)
async def test_an_error_is_judged_by_its_state_and_nothing_of_it_is_kept(
    postgres: PostgresServer, schema: str, state: str, result: Result
) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        await destination.deliver(ATTEMPT)
        await postgres.as_root(RAISE.format(state), schema)
        got = await destination.deliver(ATTEMPTS[1])
        assert got == result
        assert isinstance(got, Failed | Rejected)
        assert not got.said
        assert len(await postgres.rows(schema, "select 1 from events")) == 1
        assert len(await postgres.rows(schema, "select 1 from messages")) == 1, "all or nothing"


async def test_tables_that_are_locked_are_not_waited_for_long(
    postgres: PostgresServer, schema: str
) -> None:
    async with serving_postgres(postgres.target(schema, timeout_seconds=1)) as destination:
        assert await destination.deliver(ATTEMPT) == Delivered()
        async with postgres.client() as client, client.transaction():
            await client.execute(f"lock table {schema}.events in access exclusive mode")
            assert await destination.deliver(ATTEMPTS[1]) == nobody("sqlstate 55P03")
        assert await destination.deliver(ATTEMPTS[1]) == Delivered()


async def test_a_connection_that_is_cut_in_a_batch_leaves_all_of_it_or_nothing(
    postgres: PostgresServer, schema: str
) -> None:
    async with StallingProxy(postgres.port) as proxy:
        target = postgres.target(schema, port=proxy.port)
        async with serving_postgres(target) as destination:
            assert await destination.deliver(ATTEMPT) == Delivered()
            async with postgres.client() as client, client.transaction():
                await client.execute(f"lock table {schema}.events in access exclusive mode")
                under_way = asyncio.create_task(store(destination, ATTEMPTS))

                async def waits() -> bool:
                    return bool(
                        await client.fetchval("select count(*) from pg_locks where not granted")
                    )

                await eventually(waits, saying="the batch to wait for the lock")
                proxy.drop()
                failed = await under_way
            assert isinstance(failed, Failed)
            assert failed.trouble is Trouble.DESTINATION
            assert await store(destination, ATTEMPTS) == Delivered()
    assert await postgres.value(schema, "select count(*) from events") == len(ATTEMPTS)
    counted = await postgres.value(schema, "select sum(messages_in) from conversations")
    assert counted == len(ATTEMPTS)


async def test_two_batches_of_the_same_rows_at_once_do_not_lock_each_other_up(
    postgres: PostgresServer, schema: str
) -> None:
    async with serving_postgres(postgres.target(schema)) as destination:
        backwards = list(reversed(ATTEMPTS))
        for _ in range(20):
            results = await asyncio.gather(
                *(store(destination, batch) for batch in (ATTEMPTS, backwards) * 2)
            )
            assert set(results) == {Delivered()}
            await postgres.as_root("truncate events, messages, conversations", schema)


# Layout


PROGRAM: Final = """
import asyncio, sys
from support.destinations.postgres_destination import serving_postgres
from support.destinations.postgres_server import PASSWORD, USER
from forebay.core.tables import PostgresTarget
from forebay_processor.destinations.port import Delivered
from test_postgres_failures import ATTEMPTS

async def main():
    target = PostgresTarget(
        hosts=(("127.0.0.1", int(sys.argv[1])),), database=USER, user=USER, password=PASSWORD,
        tls=None, schema=sys.argv[2],
    )
    async with serving_postgres(target) as destination:
        print(await destination.deliver(ATTEMPTS[int(sys.argv[3])]))

asyncio.run(main())
"""


async def test_processors_that_start_at_once_make_the_tables_once(
    postgres: PostgresServer, schema: str
) -> None:
    tests = Path(__file__).parents[2]
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, str(postgres.port), schema, str(number)),
            env={"PYTHONPATH": f"{tests}:{Path(__file__).parent}"},
            stdout=asyncio.subprocess.PIPE,
        )
        for number in range(4)
    ]
    said = [(await process.communicate())[0] for process in processes]
    assert said == [b"Delivered()\n"] * 4
    assert await postgres.value(schema, "select count(*) from events") == 4
    assert await postgres.value(schema, "select count(*) from forebay_version") == 1


async def test_a_server_that_stands_still_holds_up_no_other_tenants_tables(
    postgres: PostgresServer, schema: str
) -> None:
    """However many destinations a tenant has there: the other waits for one of them."""
    stuck = [f"{schema}_{each}" for each in range(6)]
    names = Names(time.monotonic)
    client = PostgresClient(Guard(LOOPBACK), names, upgrade_seconds=1.0)
    made = [PostgresDestination(postgres.target(each), client) for each in (*stuck, schema)]
    tenants = [replace(ATTEMPT, endpoint=EndpointName("other", "shop"))]
    async with postgres.client() as holder, holder.transaction():
        for each in stuck:
            name = schema_lock(each)
            await holder.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", name)
        waiting = [asyncio.create_task(each.deliver(ATTEMPT)) for each in made[:-1]]
        await asyncio.sleep(0)
        assert await made[-1].deliver(tenants[0]) == Delivered()
        still = [each for each in waiting if not each.done()]
        assert len(still) >= len(stuck) - 2, "the other tenant stood behind them"
    await asyncio.gather(*waiting)
    for one in made:
        one.close()
        await one.wait_closed()
    await names.close()


async def test_several_schemas_of_one_database_know_nothing_of_each_other(
    postgres: PostgresServer, schema: str
) -> None:
    schemas = [f"{schema}_{each}" for each in range(3)]
    for place, each in enumerate(schemas):
        async with serving_postgres(postgres.target(each)) as destination:
            assert await store(destination, ATTEMPTS[: place + 1]) == Delivered()
    counts = [await postgres.value(each, "select count(*) from events") for each in schemas]
    assert counts == [1, 2, 3]


async def test_a_schema_of_a_later_version_is_used_as_it_is(
    postgres: PostgresServer, schema: str
) -> None:
    assert await outcome(postgres.target(schema)) == Delivered()
    await postgres.as_root("update forebay_version set version_num = '9999'", schema)
    async with serving_postgres(postgres.target(schema)) as destination:
        assert await destination.deliver(ATTEMPTS[1]) == Delivered()
    assert await postgres.value(schema, "select count(*) from events") == 2


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tls_server(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> AsyncIterator[PostgresServer]:
    certificate = authority.issue("db", "DNS:db.example.com,DNS:localhost")
    folder = tmp_path_factory.mktemp("tls-postgres")
    async with PostgresServer(folder, certificate=certificate) as running:
        yield running


async def test_the_servers_certificate_and_its_name_are_checked(
    tls_server: PostgresServer, authority: Authority, schema: str
) -> None:
    def target(tls: HttpTls | None, host: str = "localhost") -> PostgresTarget:
        return tls_server.target(schema, tls=tls, hosts=((host, tls_server.port),))

    trusted = HttpTls(ca=authority.pem)
    assert await outcome(target(trusted)) == Delivered()
    assert await outcome(target(HttpTls())) == nobody("ClientConnectorCertificateError")
    # By its address, which the certificate does not name.
    assert await outcome(target(trusted, HOST)) == nobody("ClientConnectorCertificateError")
    named = HttpTls(ca=authority.pem, server_name="db.example.com")
    assert await outcome(target(named, HOST)) == Delivered()
    assert await outcome(target(HttpTls(insecure_skip_verify=True), HOST)) == Delivered()
    assert await outcome(target(None, HOST)) == refused("sqlstate 28000")
    unread = await outcome(target(HttpTls(ca="no PEM")))
    assert unread == refused("tls.ca cannot be read: give certificates in PEM")


async def test_a_server_without_tls_gets_no_password(postgres: PostgresServer, schema: str) -> None:
    target = postgres.target(schema, tls=HttpTls())
    assert await outcome(target) == nobody("ClientConnectorSSLError")
