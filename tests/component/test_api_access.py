"""Who may ask the HTTP API what: tokens, scopes, namespaces, and how much at one time."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.client import Client

from forebay.core.api_tokens import ApiScope
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import encode_item
from forebay.core.index_records import IndexOutcome
from forebay.core.subjects import Lane, RawSubject, RetrySubject, endpoint_partition
from forebay.runtime.jetstream.streams import ensure_shard
from support.api.api_harness import ApiHarness
from support.inputs.splitting import split
from support.nats.index_history import handled, publish, stored
from support.nats.nats_server import NatsServer
from support.processor.processor_harness import webhook
from support.programs.dead_command import dead_letter
from support.programs.stack import SHARD
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHERS = ("acme/shop", "beta/shop", "gamma/shop")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    """Give a NATS with streams and no processor, with something in each."""
    async with NatsServer(tmp_path_factory.mktemp("nats")) as running:
        async with running.client() as client:
            await ensure_shard(client, SHARD)
            await fill(client)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(
    server: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiHarness]:
    own = ApiHarness(
        tmp_path_factory.mktemp("api"),
        server.url,
        FOREBAY_API_REQUESTS_PER_TOKEN="1",
        FOREBAY_API_REQUESTS="2",
    )
    await own.part.start()
    yield own
    await own.part.close()
    assert own.part.unexpected_errors() == []


async def fill(client: Client) -> None:
    """Store something of three namespaces that no table names, in each stream that is shown."""
    now = int(time.time() * 1000)
    for number, name in enumerate(OTHERS):
        endpoint, message = EndpointName.parse(name), f"wamid.access.{number}"
        await dead_letter(client, f"{message}.dead", endpoint=name)
        item = split("meta", webhook((message, "15550001")), now / 1000)[0]
        row = RetrySubject("0", 3, Lane.LIVE, endpoint, "crm", item.conversation, item.token)
        await client.jetstream().publish(str(row), encode_item(item))
        record = stored("wamid.access.both", now, endpoint=name)
        await publish(client, "wamid.access.both", record)
        await publish(client, "wamid.access.both", handled(record, now, IndexOutcome.DELIVERED))
        subject = RawSubject("0", endpoint_partition(endpoint, "0"), Lane.INVALID, endpoint)
        await client.jetstream().publish(str(subject), b"no JSON")


async def in_force(api: ApiHarness, token: str) -> str:
    async def is_known() -> bool:
        return (await api.get("/v1/events", token, limit=1)).status != 401

    await eventually(is_known, saying="the token to be in force")
    return token


async def test_without_a_token_or_with_a_wrong_one_nothing_is_told(api: ApiHarness) -> None:
    token = await in_force(api, api.write_token(namespaces=("acme",)))
    answers = [
        await api.get("/v1/dead", wrong)
        for wrong in (None, "", "fby_", token[:-1], token.upper(), "x" * 300)
    ]
    assert {each.status for each in answers} == {401}
    # The same sentence, whatever was wrong.
    assert len({each.text for each in answers}) == 1
    assert {each.headers["www-authenticate"] for each in answers} == {"Bearer"}
    basic = request_bytes(
        "GET", "/v1/dead", headers={"Authorization": f"Basic {token}", "Connection": "close"}
    )
    assert (await exchange(api.part.port, basic)).status == 401


async def test_a_token_of_another_namespace_sees_nothing_of_this_one(api: ApiHarness) -> None:
    acme = await in_force(api, api.write_token(namespaces=("acme",)))
    both = await in_force(api, api.write_token(namespaces=("acme", "beta")))
    every = await in_force(api, api.write_token(namespaces=("*",)))
    for path in ("/v1/dead", "/v1/waiting", "/v1/events"):
        refused = await api.get(path, acme, endpoint="beta/shop")
        assert refused.status == 403
        assert "not for the namespace beta" in refused.record["error"]
        own = await api.get(path, acme)
        assert {each["endpoint"] for each in own.record["items"]} == {"acme/shop"}, path
        two = await api.get(path, both)
        assert {each["endpoint"] for each in two.record["items"]} == set(OTHERS[:2]), path
        all_ = await api.get(path, every, limit=500)
        assert {each["endpoint"] for each in all_.record["items"]} >= set(OTHERS), path
    message = await api.get("/v1/messages", acme, wamid="wamid.access.both")
    assert [each["endpoint"] for each in message.record["items"]] == ["acme/shop"]
    assert (await api.get("/v1/destinations", acme, endpoint="beta/shop")).status == 403


async def test_a_webhook_of_another_namespace_is_as_one_that_is_not_there(
    server: NatsServer, api: ApiHarness
) -> None:
    acme = await in_force(api, api.write_token(namespaces=("acme",)))
    async with server.client() as client:
        stored_as = await client.jetstream().get_last_msg(
            "FOREBAY_RAW_0", "forebay.raw.0.*.invalid.beta.shop"
        )
    theirs = await api.get(f"/v1/webhooks/0/{stored_as.seq}", acme)
    none = await api.get("/v1/webhooks/0/99999999", acme)
    assert (theirs.status, none.status) == (404, 404)
    assert theirs.text.replace(str(stored_as.seq), "N") == none.text.replace("99999999", "N")


async def test_a_scope_that_is_missing_is_403(api: ApiHarness) -> None:
    token = await in_force(api, api.write_token(ApiScope.DEAD, namespaces=("acme",)))
    assert (await api.get("/v1/dead", token)).status == 200
    for path, query in (
        ("/v1/events", {}),
        ("/v1/messages", {"wamid": "wamid.x"}),
        ("/v1/webhooks/0/1", {}),
        ("/v1/webhooks", {"item": "0" * 32}),
        ("/v1/waiting", {}),
        ("/v1/destinations", {}),
    ):
        refused = await api.get(path, token, **query)
        assert refused.status == 403, path
        assert "the token has not the scope" in refused.record["error"]
    refused = await api.get("/v1/dead", token, reveal="true")
    assert (refused.status, "reveal" in refused.record["error"]) == (403, True)


async def test_a_token_that_is_taken_back_or_has_expired_is_none(api: ApiHarness) -> None:
    token = await in_force(api, api.write_token(name="leaver"))
    (api.token_dir / "leaver.json").unlink()

    async def is_refused() -> bool:
        return (await api.get("/v1/dead", token)).status == 401

    await eventually(is_refused, saying="the token to be none")
    await in_force(api, api.write_token(name="marker"))
    over = api.write_token(name="over", expires=datetime.now(UTC) - timedelta(seconds=1))
    await in_force(api, api.write_token(name="later-marker"))
    assert (await api.get("/v1/dead", over)).status == 401


async def test_an_entry_that_cannot_be_read_takes_no_other_away(api: ApiHarness) -> None:
    token = await in_force(api, api.write_token(namespaces=("acme",)))
    (api.token_dir / "broken.json").write_text('{"name": "secret-value"')
    (api.token_dir / "notes.txt").write_text("no entry")
    await eventually(lambda: bool(api.part.logged("api_token_unusable")))
    assert (await api.get("/v1/dead", token)).status == 200
    assert "secret-value" not in api.part.log.read_text()
    (api.token_dir / "broken.json").unlink()


async def test_nothing_of_a_token_or_of_what_is_asked_is_logged(api: ApiHarness) -> None:
    token = await in_force(api, api.write_token(namespaces=("acme",), name="logged"))
    await api.get("/v1/messages", token, wamid="wamid.access.secret")
    log = api.part.log.read_text()
    assert token not in log
    assert "wamid.access.secret" not in log
    assert "logged" in {each["token"] for each in api.part.logged("api_answered")}


async def test_what_comes_of_requests_is_counted(api: ApiHarness) -> None:
    token = await in_force(api, api.write_token(ApiScope.DEAD, namespaces=("acme",)))

    async def counted() -> dict[str, float]:
        return {
            each: await api.part.metric("forebay_api_requests_total", outcome=each)
            for each in ("answered", "unauthorized", "forbidden", "not_found", "bad_request")
        }

    before = await counted()
    await api.get("/v1/dead", token)
    await api.get("/v1/dead", None)
    await api.get("/v1/waiting", token)
    await api.get("/v1/dead", token, limit=0)
    request = request_bytes("GET", "/v1/else", headers={"Connection": "close"})
    assert (await exchange(api.part.port, request)).status == 404
    grown = {name: count - before[name] for name, count in (await counted()).items()}
    assert grown == dict.fromkeys(before, 1)


async def test_nothing_is_written_by_other_methods(api: ApiHarness) -> None:
    token = await in_force(api, api.write_token(namespaces=("acme",)))
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        request = request_bytes(method, "/v1/dead", headers=headers, body=b"{}")
        assert (await exchange(api.part.port, request)).status == 405


async def test_more_requests_of_a_token_than_it_has_places_are_429(
    server: NatsServer, api: ApiHarness
) -> None:
    one, two, three = [await in_force(api, api.write_token(namespaces=("acme",))) for _ in range(3)]
    # NATS that says nothing holds requests for as long as they may take.
    server.freeze()
    try:
        first = asyncio.create_task(api.get("/v1/dead", one))
        second = asyncio.create_task(api.get("/v1/dead", two))
        await asyncio.sleep(0)

        async def is_taken() -> bool:
            return (await api.get("/v1/dead", one)).status == 429

        await eventually(is_taken, saying="a place of the token to be taken")
        busy = await api.get("/v1/dead", three)
        assert (busy.status, busy.headers["retry-after"]) == (503, "1")
    finally:
        server.thaw()
    assert {(await each).status for each in (first, second)} == {200}
    assert (await api.get("/v1/dead", one)).status == 200


async def test_what_takes_too_long_is_504_and_gives_its_place_back(
    server: NatsServer, tmp_path: Path
) -> None:
    api = ApiHarness(
        tmp_path,
        server.url,
        FOREBAY_API_REQUEST_SECONDS="0.2",
        FOREBAY_API_REQUESTS_PER_TOKEN="1",
    )
    token = api.write_token(namespaces=("acme",))
    await api.part.start()
    try:
        server.freeze()
        try:
            for _ in range(2):
                late = await api.get("/v1/dead", token)
                assert (late.status, "narrow it down" in late.record["error"]) == (504, True)
        finally:
            server.thaw()

        async def is_served() -> bool:
            return (await api.get("/v1/dead", token)).status == 200

        await eventually(is_served, saying="a request to be served again")
    finally:
        await api.part.close()


async def test_what_somebody_else_stored_hides_nothing(server: NatsServer, api: ApiHarness) -> None:
    acme = await in_force(api, api.write_token(namespaces=("acme",)))
    before = {
        path: (await api.get(path, acme)).record["items"] for path in ("/v1/dead", "/v1/waiting")
    }
    foreign = (
        "forebay.dead.0.acme",
        "forebay.retry.0.acme",
        "forebay.retry.0.03.odd.acme.shop.c.x.k",
    )
    async with server.client() as client:
        for subject in foreign:
            await client.jetstream().publish(subject, b"not ours")
        for path, items in before.items():
            assert (await api.get(path, acme)).record["items"] == items
        for subject in foreign:
            await client.jetstream().purge_stream(
                "FOREBAY_DEAD_0" if "dead" in subject else "FOREBAY_RETRY_0", subject=subject
            )


async def test_where_no_processor_answers_it_says_so_and_lists_what_is_stored(
    api: ApiHarness,
) -> None:
    acme = await in_force(api, api.write_token(namespaces=("acme",)))
    refused = await api.get("/v1/destinations", acme)
    assert refused.status == 503
    assert "no processor answered" in refused.record["error"]
    listed = (await api.get("/v1/waiting", acme)).record
    assert listed["processorsMissing"] is None
    assert listed["items"][0]["expiresAt"] is None


async def test_it_waits_for_a_nats_that_is_not_there_and_says_so(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    await nats_server.kill()
    api = ApiHarness(tmp_path, nats_server.url)
    token = api.write_token()
    await api.part.start(until_ready=False)
    try:

        async def answers() -> bool:
            try:
                return (await api.part.admin("/livez")).status == 200
            except OSError:
                return False

        await eventually(answers, saying="the process to live")
        assert (await api.part.admin("/readyz")).status == 503
        refused = await api.get("/v1/dead", token)
        assert refused.status == 503
        assert "NATS is not reached" in refused.record["error"]
        await nats_server.start()
        await api.part.wait_ready()
    finally:
        await api.part.close()
