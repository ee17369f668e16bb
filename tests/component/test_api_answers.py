"""The HTTP API beside a running processor: the same stories as the command, page by page."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from forebay.core.api_tokens import ApiScope
from forebay.core.subjects import key_token
from forebay.core.tables import Retry
from support.api.api_harness import EVERYTHING, ApiHarness
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.programs.dead_command import forebay
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = Retry(initial_delay_seconds=3600, max_delay_seconds=3600, max_age_seconds=7200)
PERSON = "15550007777"
TEXT = "Meet me at the fountain"
SIGNATURE = {"x-hub-signature-256": "sha256=5ec2e7"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(
    processor: ProcessorHarness, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiHarness]:
    own = ApiHarness(tmp_path_factory.mktemp("api"), processor.stack.nats_server.url)
    await own.part.start()
    yield own
    await own.part.close()
    assert own.part.unexpected_errors() == []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(api: ApiHarness) -> str:
    return await in_force(api, api.write_token())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def revealer(api: ApiHarness) -> str:
    return await in_force(api, api.write_token(*EVERYTHING, ApiScope.REVEAL))


async def in_force(api: ApiHarness, own: str) -> str:
    async def is_known() -> bool:
        return (await api.get("/v1/events", own, limit=1)).status == 200

    await eventually(is_known, saying="the token to be in force")
    return own


async def story(api: ApiHarness, own: str, message: str, *outcomes: str) -> dict[str, Any]:
    """Wait until the API knows these outcomes of a message, and return what it says."""

    async def known() -> dict[str, Any] | None:
        items: list[dict[str, Any]] = (await api.get("/v1/messages", own, wamid=message)).record[
            "items"
        ]
        for item in items:
            found = [each["outcome"] for each in (*item["stored"], *item["handled"])]
            if sorted(found) == sorted(outcomes):
                return item
        return None

    found: dict[str, Any] | None = await eventually(known, saying=f"{outcomes} of {message}")
    assert found is not None
    return found


async def test_a_delivered_message(
    processor: ProcessorHarness, api: ApiHarness, reader: str
) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.api-d", PERSON), text=TEXT))
    told = await story(api, reader, "wamid.api-d", "new", "delivered")
    assert (told["id"], told["endpoint"]) == (token("wamid.api-d"), f"demo/{name}")
    assert told["now"] == ["sink: delivered"]
    assert told["stored"][0]["rawSequence"] == raw
    (row,) = (await api.get("/v1/events", reader, endpoint=f"demo/{name}")).record["items"]
    assert (row["id"], row["handled"][0]["outcome"]) == (told["id"], "delivered")


async def test_a_message_that_waits_and_one_that_is_dead(
    processor: ProcessorHarness, api: ApiHarness, reader: str
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    processor.sink.answer_key(token("wamid.api-w"), 500)
    processor.sink.answer_key(token("wamid.api-x"), 422)
    await processor.send(name, "wamid.api-w", person=PERSON)
    await processor.send(name, "wamid.api-x")
    waits = await story(api, reader, "wamid.api-w", "new", "failed")
    assert waits["now"][0].startswith("sink: waits since ")
    dead = await story(api, reader, "wamid.api-x", "new", "rejected", "dead")
    assert dead["now"][0].startswith("sink: dead letter (Rejected)")
    (row,) = (await api.get("/v1/waiting", reader, endpoint=f"demo/{name}")).record["items"]
    assert (row["id"], row["hasFailed"]) == (token("wamid.api-w"), True)
    assert row["why"].startswith("it failed; the destination: ")
    assert row["expiresAt"] is not None
    (letter,) = (await api.get("/v1/dead", reader, endpoint=f"demo/{name}")).record["items"]
    assert (letter["id"], letter["reason"]) == (token("wamid.api-x"), "Rejected")
    assert letter["error"] == "status 422"
    (own,) = (await api.get("/v1/destinations", reader, endpoint=f"demo/{name}")).record["items"]
    assert (own["destination"], own["waiting"]) == ("sink", 1)


async def test_destinations_of_other_namespaces_are_not_there(api: ApiHarness, reader: str) -> None:
    assert (await api.get("/v1/destinations", reader)).record["items"]
    acme = await in_force(api, api.write_token(namespaces=("acme",)))
    assert (await api.get("/v1/destinations", acme)).record["items"] == []


async def test_a_message_that_never_came(api: ApiHarness, reader: str) -> None:
    never = await api.get("/v1/messages", reader, wamid="wamid.api-never")
    assert never.record["items"] == []
    assert never.record["indexBegins"] is not None


async def test_it_says_what_the_command_says(
    processor: ProcessorHarness, api: ApiHarness, reader: str, revealer: str
) -> None:
    name = processor.plain()
    await processor.send(name, "wamid.api-same", person=PERSON)
    await story(api, reader, "wamid.api-same", "new", "delivered")
    url = processor.stack.nats_server.url
    for own, options in ((reader, ()), (revealer, ("--reveal",))):
        reveal = str(bool(options)).lower()
        listed = await forebay(
            *("events", "ls", "-e", f"demo/{name}", "--json", *options), nats_url=url
        )
        answer = await api.get("/v1/events", own, endpoint=f"demo/{name}", reveal=reveal)
        assert answer.record["items"] == listed.records
        shown = await forebay("events", "show", "wamid.api-same", "--json", *options, nats_url=url)
        told = await api.get("/v1/messages", own, wamid="wamid.api-same", reveal=reveal)
        stories = [json.loads(line) for line in shown.out.splitlines()]
        for each in stories:
            # The command shows it in any case.
            assert each["conversation"]
            if not options:
                del each["conversation"]
        assert told.record["items"] == stories


async def test_a_webhook_is_masked_until_it_is_revealed(
    processor: ProcessorHarness, api: ApiHarness, reader: str, revealer: str
) -> None:
    name = processor.plain()
    body = webhook(("wamid.api-raw", PERSON), text=TEXT)
    raw = await processor.store(name, body, headers=SIGNATURE)
    await story(api, reader, "wamid.api-raw", "new", "delivered")
    for path, query in (
        (f"/v1/webhooks/0/{raw}", {}),
        ("/v1/webhooks", {"item": token("wamid.api-raw")}),
    ):
        masked = await api.get(path, reader, **query)
        assert masked.status == 200
        for private in (PERSON, TEXT, "wamid.api-raw", "5ec2e7"):
            assert private not in masked.text
        refused = await api.get(path, reader, **query, reveal="true")
        assert refused.status == 403
        assert "scope reveal" in refused.record["error"]
        shown = (await api.get(path, revealer, **query, reveal="true")).record
        own = shown["webhooks"][0] if "webhooks" in shown else shown
        assert own["body"] == json.loads(body)
        assert own["headers"] == SIGNATURE
        assert TEXT not in (await api.get(path, revealer, **query)).text


async def test_nothing_private_is_shown_by_any_list_unless_it_is_revealed(
    processor: ProcessorHarness, api: ApiHarness, reader: str, revealer: str
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    processor.sink.answer_key(token("wamid.api-p1"), 500)
    processor.sink.answer_key(token("wamid.api-p2"), 422)
    for message, person in (("wamid.api-p1", PERSON), ("wamid.api-p2", "15550008888")):
        await processor.store(name, webhook((message, person), text=TEXT))
    await story(api, reader, "wamid.api-p1", "new", "failed")
    await story(api, reader, "wamid.api-p2", "new", "rejected", "dead")
    for path in ("/v1/events", "/v1/waiting", "/v1/dead", "/v1/destinations"):
        answer = await api.get(path, reader, endpoint=f"demo/{name}")
        assert answer.record["items"], path
        for private in (PERSON, TEXT, "wamid.api-p", "conversation", "itemkey"):
            assert private not in answer.text, path
    for path in ("/v1/waiting", "/v1/dead"):
        answer = await api.get(path, revealer, endpoint=f"demo/{name}", reveal="true")
        assert "wamid.api-p" in answer.text, path


@pytest.mark.parametrize("path", ["/v1/dead", "/v1/waiting", "/v1/events"])
async def test_pages_go_through_all_once_and_in_order(
    processor: ProcessorHarness, api: ApiHarness, reader: str, path: str
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    messages = [f"wamid.page.{path[4:]}.{number}" for number in range(5)]
    answer = 422 if path == "/v1/dead" else 500
    for message in messages:
        processor.sink.answer_key(token(message), answer)
    await processor.send(name, *messages)

    async def listed(**query: object) -> dict[str, Any]:
        return (await api.get(path, reader, endpoint=f"demo/{name}", **query)).record

    async def all_there() -> bool:
        return len((await listed())["items"]) == len(messages)

    await eventually(all_there, saying=f"{len(messages)} rows of {path}")
    whole = [each["id"] for each in (await listed())["items"]]
    assert sorted(whole) == sorted(map(token, messages))
    found: list[str] = []
    query: dict[str, object] = {"limit": 2}
    while True:
        page = await listed(**query)
        found += [each["id"] for each in page["items"]]
        if page["next"] is None:
            break
        assert len(page["items"]) == 2
        query["cursor"] = page["next"]
    assert found == whole


@pytest.mark.parametrize(
    ("path", "query", "advice"),
    [
        ("/v1/events", {"limit": 0}, "limit cannot be used"),
        ("/v1/events", {"limit": 501}, "limit cannot be used"),
        ("/v1/dead", {"limit": "many"}, "limit cannot be used"),
        ("/v1/events", {"outcome": "lost"}, "outcome 'lost' is none: there are new"),
        ("/v1/events", {"since": "soon"}, "'soon' is no time"),
        ("/v1/events", {"cursor": "s.0.5"}, "cursor is none of this list"),
        ("/v1/dead", {"cursor": "i.1.1.1"}, "cursor is none of this list"),
        ("/v1/waiting", {"endpoint": "demo"}, "endpoint 'demo' is not of the form"),
        ("/v1/dead", {"reason": "expird"}, "reason 'expird' is none: there are Rejected"),
        ("/v1/events", {"wamid": "w" * 600}, "wamid cannot be used"),
        ("/v1/messages", {}, "wamid cannot be used"),
        ("/v1/webhooks", {"item": "wamid.x"}, "is no id of an item"),
        ("/v1/dead", {"endpiont": "demo/meta"}, "endpiont cannot be used"),
        ("/v1/webhooks/0/0", {}, "sequence cannot be used"),
        ("/v1/webhooks/0/99999999999999999999999", {}, "sequence cannot be used"),
    ],
)
async def test_what_can_mean_nothing_is_one_sentence(
    api: ApiHarness, reader: str, path: str, query: dict[str, object], advice: str
) -> None:
    answer = await api.get(path, reader, **query)
    assert answer.status == 400
    assert advice in answer.record["error"]


async def test_what_is_not_there_is_404(api: ApiHarness, reader: str) -> None:
    for path in ("/v1/webhooks/0/999999999", "/v1/webhooks/blue/1"):
        assert (await api.get(path, reader)).status == 404
    none = await api.get("/v1/webhooks", reader, item=key_token("msg:1:nobody"))
    assert none.record == {"webhooks": []}
