"""What judges the fault tests: it has to see what is left, lost, doubled or out of order."""

import pytest
from nats.aio.client import Client

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    EventSubject,
    Lane,
    RawSubject,
    RetrySubject,
    consumer_name,
    key_token,
)
from forebay_simulator import AckLatency, Result, WebhookRecord
from support.destinations.sink import Arrival
from support.processor.processor_harness import EVENTS, RAW
from support.programs.stack import Stack
from support.programs.under_load import (
    assert_all_delivered,
    assert_in_order,
    handed_out,
    worked_off,
)

OWN = EndpointName("demo", "meta")
KEYS = ("msg:1065:a", "msg:1065:b")
IN_VAIN = "in vain for the streams to be worked off"


async def stored(client: Client) -> int:
    """Store a webhook, and return its sequence."""
    return (await client.jetstream().publish(str(RawSubject("0", 0, Lane.LIVE, OWN)), b"{}")).seq


async def split(client: Client, key: str, webhook: int, conversation: str = "c") -> None:
    """Store an item of a webhook."""
    subject = EventSubject("0", 0, Lane.LIVE, OWN, "messages", key_token(key))
    headers = {envelope.RAW_SEQUENCE: str(webhook), envelope.CONVERSATION: conversation}
    await client.jetstream().publish(str(subject), b"{}", headers=headers)


async def taken(client: Client, step: str, stream: str, *, is_acked: bool = True) -> None:
    """Take what a consumer of a stream has, as a processor does."""
    own = consumer_name(step, Lane.LIVE, 0)
    puller = await client.jetstream().pull_subscribe_bind(own, stream)
    for message in await puller.fetch(10, timeout=1):
        if is_acked:
            await message.ack_sync()
    await puller.unsubscribe()


async def all_taken(client: Client) -> None:
    for step, stream in (("split", RAW), ("deliver", EVENTS)):
        await taken(client, step, stream)


def arrived(stack: Stack, *keys: str) -> None:
    """Let items have arrived, in this order."""
    for key in keys:
        arrival = Arrival(
            key=key_token(key), attempt=1, path="/", headers={}, body=b"{}", at=0.0, status=200
        )
        stack.sink.arrivals.append(arrival)


def result(*, accepted: bool = True, refused: str = "") -> Result:
    """Return what a provider got for the two items."""
    return Result(
        sent=1,
        accepted=int(accepted),
        refused={refused: 1} if refused else {},
        repeats=0,
        retries=0,
        items=len(KEYS),
        ack_ms=AckLatency.of([]),
        seconds=1.0,
        behind_ms=0.0,
        planned=1,
        started=1,
        seed=1,
        ledger=(WebhookRecord(index=0, keys=KEYS, accepted=True),),
    )


async def two_items(client: Client) -> None:
    """Have two items of one conversation stored and worked off."""
    for key in KEYS:
        await split(client, key, await stored(client))
    await all_taken(client)


# Whether anything is left


async def test_a_webhook_and_an_item_are_left_until_they_are_acked(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        await stored(client)
        with pytest.raises(AssertionError, match=IN_VAIN):
            await worked_off(stack, within=0)
        await taken(client, "split", RAW)
        await worked_off(stack, within=0)
        await split(client, KEYS[0], 1)
        with pytest.raises(AssertionError, match=IN_VAIN):
            await worked_off(stack, within=0)
        await taken(client, "deliver", EVENTS, is_acked=False)
        # Handed out is not done.
        await handed_out(stack)
        with pytest.raises(AssertionError, match=IN_VAIN):
            await worked_off(stack, within=0)


async def test_a_row_is_left_unless_it_is_to_stay(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        subject = RetrySubject("0", 0, Lane.LIVE, OWN, "sink", "c", "key")
        await client.jetstream().publish(str(subject), b"{}")
    with pytest.raises(AssertionError, match=IN_VAIN):
        await worked_off(stack, within=0)
    await worked_off(stack, rows=1, within=0)


# Order


async def test_items_in_another_order_than_their_webhooks_are_seen(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        first, second = await stored(client), await stored(client)
        await split(client, KEYS[1], second)
        await split(client, KEYS[0], first)
    arrived(stack, *KEYS)
    with pytest.raises(AssertionError, match="in another order than RAW"):
        await assert_in_order(stack)


async def test_arrivals_in_another_order_than_their_items_are_seen(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        await two_items(client)
    arrived(stack, *reversed(KEYS))
    with pytest.raises(AssertionError, match="in another order than EVENTS"):
        await assert_in_order(stack)


async def test_conversations_have_an_order_each(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        for key in KEYS:
            await split(client, key, await stored(client), conversation=key[-1])
    arrived(stack, *reversed(KEYS))
    await assert_in_order(stack)


# All of it


async def test_each_item_once_and_in_order_is_fine(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        await two_items(client)
    arrived(stack, *KEYS)
    await assert_all_delivered(stack, result())
    arrived(stack, KEYS[0])
    await assert_all_delivered(stack, result(refused="503"), refused=frozenset({"503"}), repeats=1)


@pytest.mark.parametrize(
    ("claimed", "more"),
    [
        (result(), (KEYS[1],)),
        (result(), ("msg:1065:never accepted",)),
        (result(refused="503"), ()),
        (result(accepted=False), ()),
    ],
    ids=["twice", "one too many", "a refusal", "never accepted in the end"],
)
async def test_what_is_not_so_is_seen(stack: Stack, claimed: Result, more: tuple[str, ...]) -> None:
    async with stack.nats_server.client() as client:
        await two_items(client)
    arrived(stack, *KEYS, *more)
    with pytest.raises(AssertionError):
        await assert_all_delivered(stack, claimed)
