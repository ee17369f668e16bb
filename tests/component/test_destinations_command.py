"""`forebay destinations` at running processors: what it shows, and what it has them do."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.core.control import CONTROL_SUBJECT, ControlRequest, ControlVerb
from forebay.core.tables import Retry
from forebay.runtime.jetstream.control_client import ask_processors
from support.inputs.tables import QUICK_RETRY
from support.processor.processor_harness import ProcessorHarness, token
from support.programs.dead_command import forebay
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOURS = Retry(initial_delay_seconds=7200, max_delay_seconds=7200)
"""Pauses that no test waits for."""


async def run(processor: ProcessorHarness, *arguments: str) -> str:
    """Run a verb that is to go well; returns what it printed."""
    ended = await forebay("destinations", *arguments, nats_url=processor.stack.nats_server.url)
    assert ended.code == 0, ended
    assert not ended.err
    return ended.out


async def listed(processor: ProcessorHarness, name: str) -> dict[str, Any]:
    """Return what is shown of an endpoint's only destination."""
    out = await run(processor, "ls", "--endpoint", f"demo/{name}", "--json")
    (line,) = out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


async def refused(processor: ProcessorHarness, name: str, message: str) -> None:
    """Let a destination refuse an item, which waits then."""
    await processor.serve(name, processor.http(name))
    processor.sink.answer_key(token(message), 401)
    await processor.send(name, message)

    async def is_shown() -> bool:
        found = await listed(processor, name)
        return bool(found["state"] == "Refused" and found["waiting"] == 1)

    await eventually(is_shown, saying="the destination to be shown as one that refuses us")


async def test_one_that_is_well_is_listed_as_up(processor: ProcessorHarness) -> None:
    name = processor.plain()
    keys = await processor.send(name, "wamid.listed")
    await processor.wait_delivered(name, keys)
    assert await listed(processor, name) == {
        "endpoint": f"demo/{name}",
        "destination": "sink",
        "state": "Up",
        "reason": "",
        "waiting": 0,
        "share": 0.0,
        "blocked": 0,
        "oldest_seconds": None,
        "expires_seconds": None,
        "failing_seconds": None,
        "next_attempt_seconds": None,
        "max_age_seconds": QUICK_RETRY.max_age_seconds,
    }


async def test_one_that_refuses_us_says_why_and_retry_now_has_it_tried_at_once(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await refused(processor, name, "wamid.retry.now")
    found = await listed(processor, name)
    assert found["reason"] == "status 401"
    assert 0 < found["next_attempt_seconds"] <= 60
    assert 0 <= found["oldest_seconds"] < 60
    table = await run(processor, "ls", "--endpoint", f"demo/{name}")
    assert "Refused" in table
    assert "status 401" in table
    # The pause would be half a minute at least.
    said = await run(processor, "retry-now", f"demo/{name}", "sink")
    assert said.startswith("1 attempt begins now")
    await processor.wait_delivered(name, [token("wamid.retry.now")])
    await eventually(lambda: _is_up(processor, name), saying="it to be up")


async def _is_up(processor: ProcessorHarness, name: str) -> bool:
    found = await listed(processor, name)
    return bool((found["state"], found["waiting"]) in {("Up", 0), ("Failing", 0)})


async def test_close_breaker_has_everything_sent_again(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await refused(processor, name, "wamid.close.breaker")
    said = await run(processor, "close-breaker", f"demo/{name}", "sink")
    assert said == "closed: what waits is sent now\n"
    await processor.wait_delivered(name, [token("wamid.close.breaker")])
    assert (
        await run(processor, "close-breaker", f"demo/{name}", "sink")
        == "no breaker was open: nothing to do\n"
    )


async def test_conversations_that_wait_for_hours_are_tried_at_once(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, retry=HOURS))
    messages = [f"wamid.hours.{number}" for number in range(3)]
    for number, message in enumerate(messages):
        processor.sink.answer_key(token(message), 500)
        await processor.send(name, message, person=f"1555{number}")

    async def all_wait() -> bool:
        return bool((await listed(processor, name))["blocked"] == 3)

    await eventually(all_wait, saying="three conversations that wait")
    assert (await listed(processor, name))["state"] == "Failing"
    said = await run(processor, "retry-now", f"demo/{name}", "sink", "--json")
    assert json.loads(said) == {"processors": 1, "missing": 0, "changed": 3}
    await processor.wait_delivered(name, list(map(token, messages)))


@pytest.mark.parametrize(
    ("endpoint", "destination", "advice"),
    [
        ("demo/{name}", "sinc", "demo/{name} has no destination sinc: did you mean sink?"),
        ("demo/{name}x.", "sink", "give an endpoint such as acme/shop"),
        ("nowhere/at-all", "sink", "no table names an endpoint nowhere/at-all"),
    ],
)
async def test_what_is_not_there_is_refused_with_advice(
    processor: ProcessorHarness, endpoint: str, destination: str, advice: str
) -> None:
    name = processor.plain()
    ended = await forebay(
        *("destinations", "retry-now", endpoint.format(name=name), destination),
        nats_url=processor.stack.nats_server.url,
    )
    assert (ended.code, ended.out) == (2, "")
    assert advice.format(name=name) in ended.err


async def test_a_request_is_answered_below_the_subject_for_answers_only(
    processor: ProcessorHarness,
) -> None:
    client, came = processor.client, asyncio.Queue[Msg]()
    elsewhere = await client.subscribe("forebay.elsewhere", cb=came.put)
    answers = await client.subscribe("forebay.control.answer.x", cb=came.put)
    request = msgspec.json.encode(ControlRequest(verb=ControlVerb.LIST))
    await client.publish(CONTROL_SUBJECT, request, reply="forebay.elsewhere")
    await client.publish(CONTROL_SUBJECT, b"no JSON", reply="forebay.control.answer.x")
    async with asyncio.timeout(10):
        message = await came.get()
    # They are answered in their order.
    assert message.subject == "forebay.control.answer.x"
    assert "cannot be read" in json.loads(message.data)["error"]
    assert came.empty()
    await elsewhere.unsubscribe()
    await answers.unsubscribe()


@pytest.mark.parametrize("verb", [ControlVerb.RETRY_NOW, ControlVerb.CLOSE_BREAKER])
async def test_where_reports_are_asked_for_nothing_is_done(
    processor: ProcessorHarness, verb: ControlVerb
) -> None:
    name = processor.new_name()
    await refused(processor, name, f"wamid.reports.{verb}")
    asked = ControlRequest(verb=verb, endpoint=f"demo/{name}", destination="sink")
    done = await ask_processors(processor.client, asked, reads_only=True)
    assert [each.error for each in done.answers] == ["who asks here may only read"]
    assert (await listed(processor, name))["state"] == "Refused"
    asked = ControlRequest(verb=ControlVerb.LIST, endpoint=f"demo/{name}")
    (told,) = (await ask_processors(processor.client, asked, reads_only=True)).answers
    assert [each.state for each in told.destinations] == ["Refused"]


async def test_a_request_that_is_nested_without_end_is_refused_in_words(
    processor: ProcessorHarness,
) -> None:
    client, came = processor.client, asyncio.Queue[Msg]()
    answers = await client.subscribe("forebay.control.answer.y", cb=came.put)
    request = b'{"verb":"list","later":' + b"[" * 2000 + b"]" * 2000 + b"}"
    await client.publish(CONTROL_SUBJECT, request, reply="forebay.control.answer.y")
    async with asyncio.timeout(10):
        message = await came.get()
    assert "cannot be read" in json.loads(message.data)["error"]
    await answers.unsubscribe()


@pytest.mark.asyncio(loop_scope="function")
async def test_without_a_processor_the_command_says_so(client: Client) -> None:
    url = client.connected_url
    assert url is not None
    ended = await forebay("destinations", "ls", nats_url=f"nats://{url.netloc}")
    assert ended.code == 1
    assert "no processor answered: is one running" in ended.err
