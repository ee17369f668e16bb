"""`forebay dead --invalid`: bodies that no parser took are found, and split again on request."""

import json
from typing import Any

import pytest

from forebay.core.subjects import Lane
from support.processor.processor_harness import CHANNEL, RAW, ProcessorHarness, token, webhook
from support.programs.dead_command import Ended, forebay_dead
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def dead(processor: ProcessorHarness, name: str, verb: str, *options: str) -> Ended:
    """Run a verb on an endpoint's invalid bodies; it has to go well."""
    done = await forebay_dead(
        *(verb, "--invalid", "--endpoint", f"demo/{name}", *options),
        nats_url=processor.stack.nats_server.url,
    )
    assert (done.code, done.err) == (0, "")
    return done


async def bodies(processor: ProcessorHarness, name: str) -> list[dict[str, Any]]:
    """Return what `ls` says of them."""
    return (await dead(processor, name, "ls", "-o", "json")).records


async def test_a_body_that_can_be_read_at_last_is_split_and_delivered_once(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    body = webhook(("wamid.late", "15550001111"), ("wamid.late.2", "15550002222"))
    # As a receiver of an older version set it aside, which did not know its shape.
    await processor.store(name, body, lane=Lane.INVALID)
    keys = [token("wamid.late"), token("wamid.late.2")]
    await processor.wait_delivered(name, keys)
    (found,) = await bodies(processor, name)
    assert (found["reason"], found["kind"]) == ("Invalid", "unreadable")
    # Twice: each is split again, and the claims let nothing through that was delivered.
    for _ in range(2):
        done = await dead(processor, name, "replay", "--yes", "-o", "json")
        assert done.record["outcomes"]["replayed"] == 1

    async def repeats() -> bool:
        labels = {"endpoint": name, "outcome": "repeat"}
        return await processor.part.metric("forebay_processor_items_total", **labels) == 4

    await eventually(repeats, saying="both copies to be split")
    assert sorted(processor.delivered(name)) == sorted(keys)


async def test_what_still_cannot_be_read_stays(processor: ProcessorHarness) -> None:
    name = processor.plain()
    await processor.store(name, b"\xffno json", lane=Lane.INVALID)
    (before,) = await bodies(processor, name)
    assert "no json" not in (await shown(processor, before["id"])).out
    assert "no json" in (await shown(processor, before["id"], "--reveal")).out
    await dead(processor, name, "replay", "--yes")
    (after,) = await bodies(processor, name)
    assert after["id"] == before["id"]
    assert after["diedAt"] > before["diedAt"]
    assert "removed: 1" in (await dead(processor, name, "purge", "--yes")).out
    assert await bodies(processor, name) == []


async def shown(processor: ProcessorHarness, own: str, *options: str) -> Ended:
    return await forebay_dead(
        *("show", "--invalid", own, *options), nats_url=processor.stack.nats_server.url
    )


async def test_a_body_whose_provider_was_wrong_reaches_its_destination(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name), provider="meta")
    await processor.store(name, b'{"order": 7}', lane=Lane.INVALID)

    async def was_looked_at() -> bool:
        return bool(
            [
                line
                for line in processor.part.logged("body_unreadable")
                if line["endpoint"] == f"demo/{name}"
            ]
        )

    await eventually(was_looked_at)
    await processor.serve(name, processor.http(name), provider="generic")
    await dead(processor, name, "replay", "--yes")
    await eventually(lambda: len(processor.delivered(name)) == 1)
    assert processor.arrivals(name)[0].event["data"] == {"order": 7}


@pytest.mark.parametrize(
    ("body", "reason"), [(b"no json", "NotJson"), (b'{"order": 7}', "NoEnvelope")]
)
async def test_the_log_says_why_a_body_of_a_receiver_s_could_not_be_split(
    processor: ProcessorHarness, body: bytes, reason: str
) -> None:
    name = processor.plain()
    await processor.store(name, body, lane=Lane.INVALID)

    async def reasons() -> list[str]:
        return [
            line["reason"]
            for line in processor.part.logged("body_unreadable")
            if line["endpoint"] == f"demo/{name}"
        ]

    assert await eventually(reasons, saying="the body to be looked at") == [reason]


@pytest.mark.parametrize("options", [("ls", "--kind", "messages"), ("replay", "--to", "crm")])
async def test_what_a_body_has_not_cannot_be_asked_for(options: tuple[str, ...]) -> None:
    done = await forebay_dead(*options, "--invalid")
    assert done.code == 2
    assert "leave --to out" in done.err or "--invalid goes with" in done.err


def crowded(count: int) -> bytes:
    """Return a webhook of small messages, each of which carries 1.9 KB of what stands beside."""
    messages = [{"id": f"m{number}"} for number in range(count)]
    value = {"metadata": {"phone_number_id": CHANNEL}, "x": "y" * 1850, "messages": messages}
    entry = {"id": "1022", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def test_a_body_that_expands_too_far_is_kept_whole_and_can_be_let_through(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    body = crowded(600)
    await processor.store(name, body)
    await eventually(lambda: _is_listed(processor, name), saying="the body to be set aside")
    (found,) = await bodies(processor, name)
    assert found["reason"] == "ExpandsTooFar"
    assert processor.arrivals(name) == []
    assert (
        await dead(processor, name, "ls", "--reason", "TooManyItems", "-o", "json")
    ).records == []
    done = await dead(processor, name, "replay", "--reason", "ExpandsTooFar", "--yes")
    assert "replayed: 1" in done.out
    # As it is it is still too much.
    await eventually(lambda: _is_listed(processor, name), saying="the body to be set aside again")
    assert processor.arrivals(name) == []
    await dead(processor, name, "replay", "--max-items", "1000", "--yes")
    await processor.wait_delivered(name, [token(f"m{number}") for number in range(600)], within=20)
    assert len(processor.arrivals(name)) == 600


async def _is_listed(processor: ProcessorHarness, name: str) -> bool:
    found = await bodies(processor, name)
    return [each["reason"] for each in found] == ["ExpandsTooFar"]


async def test_a_webhook_with_an_item_that_nats_will_not_take_is_kept_whole(
    processor: ProcessorHarness,
) -> None:
    processor.part.expect_errors("item_too_large")
    name = processor.new_name()
    raw = processor.http(f"{name}-raw", name="raw", format="Raw")
    await processor.serve(name, processor.http(name), raw)
    # As text in JSON each of these two characters takes two: twice as much, above `max_payload`.
    body = webhook(("wamid.large", "15550001111"), text='"' * 2_300_000)
    await processor.store(name, body)

    async def is_kept() -> bool:
        return [each["reason"] for each in await bodies(processor, name)] == ["ItemTooLarge"]

    await eventually(is_kept, within=20, saying="the webhook to be kept")
    # The others of its items are delivered.
    await processor.wait_delivered(name, [token("wamid.large")], within=20)
    kept = await processor.client.jetstream().get_last_msg(
        RAW, f"forebay.raw.0.*.invalid.demo.{name}"
    )
    assert kept.data == body
    assert processor.arrivals(f"{name}-raw") == []
