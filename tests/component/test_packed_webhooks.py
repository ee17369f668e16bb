"""Large webhooks are packed in the stream, which nobody outside of it sees."""

import gzip
import json
from random import randbytes
from typing import Any

import pytest

from forebay.core.body_packing import packing
from forebay.core.envelope import PACKED, REASON
from forebay.core.subjects import Lane
from support.processor.processor_harness import RAW, ProcessorHarness, token, webhook
from support.programs.dead_command import forebay_dead
from support.programs.whole_path import WholePath
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

MANY = 60


def large_webhook(name: str) -> tuple[bytes, list[str]]:
    """Return a webhook of 200 KB, and the ids of its messages."""
    ids = [f"wamid.{name}.{number}" for number in range(MANY)]
    return webhook(*((each, "15550001111") for each in ids), text="as we said " * 300), ids


def packed(body: bytes) -> bytes:
    """Pack a body in one go."""
    payload: bytes | None = None
    work = packing(body)
    while payload is None:
        try:
            next(work)
        except StopIteration as ended:
            payload = ended.value
    return payload


async def test_it_is_packed_in_the_stream_and_arrives_as_it_came(whole_path: WholePath) -> None:
    name = await whole_path.endpoint()
    body, ids = large_webhook(name)
    await whole_path.post(name, body)
    context = whole_path.processor.client.jetstream()
    stored = await context.get_last_msg(RAW, f"forebay.raw.0.*.*.demo.{name}")
    assert (stored.headers or {})[PACKED] == str(len(body))
    assert len(stored.data or b"") < len(body) / 5
    keys = [token(each) for each in ids]
    await whole_path.processor.wait_delivered(f"{name}-items", keys, within=30)
    assert [item.key for item in whole_path.items(name)] == keys
    await eventually(lambda: [each.body for each in whole_path.bodies(name)] == [body])


async def test_a_repeat_of_it_is_known(whole_path: WholePath) -> None:
    name = await whole_path.endpoint()
    body, _ = large_webhook(name)
    stored = await whole_path.processor.count(RAW, "forebay.raw.>")
    await whole_path.post(name, body, body)
    assert await whole_path.processor.count(RAW, "forebay.raw.>") <= stored + 1
    await eventually(lambda: [each.body for each in whole_path.bodies(name)] == [body])


async def test_small_and_compressed_ones_are_stored_as_they_came(whole_path: WholePath) -> None:
    name = await whole_path.endpoint()
    person = "15550001111"
    small = webhook((f"wamid.{name}.small", person))
    compressed = gzip.compress(webhook((f"wamid.{name}", person), text=randbytes(200_000).hex()))
    assert len(compressed) > 128 * 1024
    context = whole_path.processor.client.jetstream()
    for body, headers in ((small, {}), (compressed, {"Content-Encoding": "gzip"})):
        await whole_path.post(name, body, headers=headers)
        stored = await context.get_last_msg(RAW, f"forebay.raw.0.*.*.demo.{name}")
        assert stored.data == body
        assert PACKED not in (stored.headers or {})


@pytest.mark.parametrize(
    ("size", "reason"),
    [("-1", "NotJson"), ("17", "NotJson"), (str(2**40), "ExpandsTooFar")],
    ids=["no length", "another length", "more than there may be"],
)
async def test_what_cannot_be_unpacked_is_set_aside_as_it_is(
    processor: ProcessorHarness, size: str, reason: str
) -> None:
    name = processor.plain()
    payload = packed(large_webhook(name)[0])
    await processor.store(name, payload, headers={PACKED: size})

    async def is_aside() -> bool:
        return [each["reason"] for each in await listed(processor, name)] == [reason]

    await eventually(is_aside, saying="it to be set aside")
    kept = await processor.client.jetstream().get_last_msg(
        RAW, f"forebay.raw.0.*.invalid.demo.{name}"
    )
    assert kept.data == payload
    assert (kept.headers or {})[REASON] == reason


async def test_one_that_was_set_aside_is_shown_as_it_came_and_split_on_request(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    body, ids = large_webhook(name)
    headers = {PACKED: str(len(body)), REASON: "TooManyItems"}
    await processor.store(name, packed(body), lane=Lane.INVALID, headers=headers)

    async def is_listed() -> bool:
        return len(await listed(processor, name)) == 1

    await eventually(is_listed, saying="it to be listed")
    (found,) = await listed(processor, name)
    shown = await forebay_dead(
        *("show", "--invalid", found["id"], "--reveal", "-o", "json"),
        nats_url=processor.stack.nats_server.url,
    )
    assert body.decode() in shown.record.values()
    assert shown.record["bytes"] == len(body)
    await dead(processor, name, "replay", "--yes", "-o", "json")
    await processor.wait_delivered(name, [token(each) for each in ids])


async def listed(processor: ProcessorHarness, name: str) -> list[dict[str, Any]]:
    lines = (await dead(processor, name, "ls", "-o", "json")).splitlines()
    return [json.loads(line) for line in lines]


async def dead(processor: ProcessorHarness, name: str, verb: str, *options: str) -> str:
    done = await forebay_dead(
        *(verb, *options, "--invalid", "--endpoint", f"demo/{name}"),
        nats_url=processor.stack.nats_server.url,
    )
    assert (done.code, done.err) == (0, "")
    return done.out
