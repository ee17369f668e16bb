"""`forebay raw show`: a webhook as it came, by its sequence or by an item of it."""

import gzip
import json

import pytest

from forebay.core.subjects import key_token
from support.processor.processor_harness import ProcessorHarness, token, webhook
from support.programs.dead_command import Ended, forebay

pytestmark = pytest.mark.asyncio(loop_scope="session")

PERSON = "15550007777"
TEXT = "Meet me at the fountain"
SIGNATURE = {"x-hub-signature-256": "sha256=5ec2e7"}


async def show(processor: ProcessorHarness, *arguments: str) -> Ended:
    url = processor.stack.nats_server.url
    return await forebay("raw", "show", *arguments, nats_url=url)


async def test_a_webhook_is_shown_without_what_is_private(processor: ProcessorHarness) -> None:
    name = processor.plain()
    body = webhook(("wamid.raw-a", PERSON), text=TEXT)
    raw = await processor.store(name, body, headers=SIGNATURE)
    for options in ((), ("--json",)):
        ended = await show(processor, str(raw), *options)
        assert (ended.code, ended.err) == (0, "")
        assert f"demo/{name}" in ended.out
        assert '"type"' in ended.out
        for private in (PERSON, TEXT, "wamid.raw-a", "5ec2e7"):
            assert private not in ended.out


async def test_it_is_shown_whole_where_it_is_revealed(processor: ProcessorHarness) -> None:
    body = webhook(("wamid.raw-b", PERSON), text=TEXT)
    raw = await processor.store(processor.plain(), body, headers=SIGNATURE)
    found = (await show(processor, str(raw), "--reveal", "--json")).record
    assert found["body"] == json.loads(body)
    assert found["headers"] == SIGNATURE
    assert found["bytes"] == len(body)


async def test_an_item_leads_to_its_webhook(processor: ProcessorHarness) -> None:
    name = processor.plain()
    raw = await processor.store(name, webhook(("wamid.raw-c", PERSON)))
    await processor.wait_delivered(name, [token("wamid.raw-c")])
    assert (await show(processor, token("wamid.raw-c"), "--json")).record["sequence"] == raw


async def test_a_compressed_body_and_one_that_is_no_json(processor: ProcessorHarness) -> None:
    name = processor.plain()
    body = webhook(("wamid.raw-d", PERSON))
    encoded = {"Content-Encoding": "gzip"}
    packed = await processor.store(name, gzip.compress(body), headers=encoded)
    assert (await show(processor, str(packed), "--reveal", "--json")).record["body"] == json.loads(
        body
    )
    odd = await processor.store(name, b"Jo's secret")
    assert (await show(processor, str(odd), "--json")).record["body"] == "<11 bytes, no JSON>"
    assert "Jo's secret" in (await show(processor, str(odd), "--reveal")).out


async def test_a_number_that_nobody_can_hold_is_shown_as_it_came(
    processor: ProcessorHarness,
) -> None:
    raw = await processor.store(processor.plain(), b'{"entry": [1e400]}')
    assert "1e400" in (await show(processor, str(raw), "--reveal", "--json")).out
    assert "1e400" not in (await show(processor, str(raw))).out


@pytest.mark.parametrize(
    ("which", "code", "advice"),
    [
        ("999999999", 1, "RAW has no webhook 999999999"),
        (key_token("msg:1:nobody"), 1, "no item has this id"),
        ("wamid.HBgL", 2, "is neither a sequence"),
    ],
)
async def test_what_is_not_there_gets_a_sentence(
    processor: ProcessorHarness, which: str, code: int, advice: str
) -> None:
    ended = await show(processor, which)
    assert ended.code == code
    assert advice in ended.err
