"""`forebay waiting ls` at a running processor: what waits, why, and until when."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from nats.aio.client import Client

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import encode_item
from forebay.core.subjects import Lane, RetrySubject
from forebay.core.tables import Retry
from support.inputs.splitting import split
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.programs.dead_command import Ended, forebay
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATER = Retry(initial_delay_seconds=3600, max_delay_seconds=3600, max_age_seconds=7200)
PERSON = "15550001234"


async def run(url: str, *arguments: str) -> Ended:
    ended = await forebay("waiting", "ls", *arguments, nats_url=url)
    assert ended.code == 0, ended
    return ended


async def rows(processor: ProcessorHarness, name: str, *arguments: str) -> list[dict[str, Any]]:
    """Return what is listed of an endpoint."""
    url = processor.stack.nats_server.url
    ended = await run(url, "--endpoint", f"demo/{name}", "--json", *arguments)
    return [json.loads(line) for line in ended.out.splitlines()]


async def waiting(processor: ProcessorHarness, *messages: str) -> str:
    """Let the first of a conversation's items fail, and the others wait; returns the endpoint."""
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=LATER))
    processor.sink.answer_key(token(messages[0]), 500)
    await processor.send(name, *messages)

    async def all_wait() -> bool:
        return await processor.rows(name) == len(messages)

    await eventually(all_wait, saying="all of them to wait")
    return name


async def test_each_says_why_since_when_and_until_when_and_nothing_of_persons(
    processor: ProcessorHarness,
) -> None:
    name = await waiting(processor, "wamid.w.first", "wamid.w.behind")
    first, behind = await rows(processor, name)
    assert (first["id"], behind["id"]) == (token("wamid.w.first"), token("wamid.w.behind"))
    assert first["why"] == "it failed; the destination: Failing (status 500)"
    assert behind["why"] == "it waits for its turn; the destination: Failing (status 500)"
    assert (first["kind"], first["destination"]) == ("messages", "sink")
    since, due, expires = (
        datetime.fromisoformat(first[each])
        for each in ("waitsSince", "nextAttemptAbout", "expiresAt")
    )
    assert expires == since + timedelta(seconds=7200)
    assert timedelta(seconds=1799) <= due - since <= timedelta(seconds=3700)
    assert not {"itemkey", "conversation"} & first.keys()
    (revealed, _) = await rows(processor, name, "--reveal")
    assert "wamid.w.first" in revealed["itemkey"]


async def test_one_is_found_by_message_id_conversation_and_limit(
    processor: ProcessorHarness,
) -> None:
    name = await waiting(processor, "wamid.f.first", "wamid.f.behind", "wamid.f.last")
    every = await rows(processor, name, "--reveal")
    assert [each["id"] for each in await rows(processor, name, "--wamid", "wamid.f.behind")] == [
        token("wamid.f.behind")
    ]
    own = await rows(processor, name, "--conversation", every[0]["conversation"])
    assert len(own) == 3
    assert not await rows(processor, name, "--conversation", "0" * 32)
    assert not await rows(processor, name, "--destination", "other")
    assert len(await rows(processor, name, "--limit", "2")) == 2


async def test_the_table_says_that_there_are_more(processor: ProcessorHarness) -> None:
    name = await waiting(processor, "wamid.t.first", "wamid.t.behind")
    url = processor.stack.nats_server.url
    ended = await run(url, "--endpoint", f"demo/{name}", "--limit", "1")
    assert token("wamid.t.first")[:12] in ended.out
    assert "status 500" in ended.out
    assert "the first 1; there are more" in ended.out
    assert "wamid.t" not in ended.out


@pytest.mark.asyncio(loop_scope="function")
async def test_without_a_processor_rows_are_listed_and_what_is_missing_is_said(
    client: Client,
) -> None:
    item = split("meta", webhook(("wamid.alone", PERSON)), 0)[0]
    subject = RetrySubject(
        "0", 3, Lane.LIVE, EndpointName("demo", "meta"), "crm", item.conversation, item.token
    )
    await client.jetstream().publish(str(subject), encode_item(item))
    url = client.connected_url
    assert url is not None
    ended = await run(f"nats://{url.netloc}", "--json")
    found = json.loads(ended.out)
    assert (found["id"], found["why"]) == (item.token, "it waits for its turn")
    assert found["expiresAt"] is None
    assert "no processor answered" in ended.err
