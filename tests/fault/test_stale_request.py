"""A processor that was stopped asks for messages when it goes on, by a request of before.

The request was made under its lease and leaves when the process is awake again: here the test sends
it, as it is. What the server hands out to it belongs to the new owner, who must not wait for it
until the ack wait ends, nor deliver what is newer before it.
"""

from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.core.subjects import Lane
from support.inputs.bulk_webhooks import store_all, texts
from support.inputs.tables import ENDPOINT, endpoint, http_destination
from support.nats.nats_server import settled
from support.processor.shares import ALL, owned, processors, shares, wait_shared
from support.programs.processes import Part
from support.programs.stack import Stack
from support.programs.under_load import assert_in_order, handed_out, worked_off
from support.timing.wait import eventually

WEBHOOKS = 200
PEOPLE = 10
ROUNDS = 4
REQUESTS = "$JS.API.CONSUMER.MSG.NEXT.>"

SOON_SECONDS = 10.0
"""For what is a matter of a second; the ack wait is a minute."""


def _unit(subject: str) -> str:
    """Return whose consumer a request is for, such as `event.07` of `deliver-live-07`."""
    kind, _, number = subject.rpartition(".")[2].split("-")
    return f"{'raw' if kind == 'split' else 'event'}.{number}"


class Stopped(NamedTuple):
    """A processor that is stopped, the others that own all, and what it was about to ask."""

    part: Part
    others: list[Part]
    requests: list[Msg]

    async def ask(self, client: Client) -> None:
        """Ask for it what it would ask for if it went on now."""
        for each in self.requests:
            await client.publish(each.subject, each.data, each.reply)
        await settled(client)


async def stopped(stack: Stack, client: Client) -> Stopped:
    """Start three processors and stop one of them, for longer than its lease."""
    stack.tables.write_endpoints(
        endpoint(http_destination(stack.sink.url("/stale")), name=ENDPOINT)
    )
    # With two, the other one would give all of them back, and have them handed out again by that.
    stale, *others = await processors(stack, 3)
    requests: dict[str, Msg] = {}

    async def note(message: Msg) -> None:
        requests[message.subject] = message

    subscription = await client.subscribe(REQUESTS, cb=note)
    await settled(client)
    units = await owned(stale)

    def all_asked() -> bool:
        asked = [_unit(each) for each in requests if f"-{Lane.LIVE}-" in each]
        return units <= set(asked)

    # Each consumer is asked for at least every 5 s.
    await eventually(all_asked, within=15, saying="the processor to ask for messages")
    stale.freeze()
    await subscription.unsubscribe()

    async def has_all() -> bool:
        return set().union(*await shares(others)) == ALL

    await eventually(has_all, within=20, saying="the others to have all partitions")
    mine = [each for each in requests.values() if _unit(each.subject) in units]
    return Stopped(stale, others, mine)


def taken_anew(parts: list[Part]) -> int:
    """Return how often they took partitions over anew, since they had missed something."""
    return sum(len(part.logged("deliveries_missed")) for part in parts)


async def test_what_it_gets_is_handed_out_again_at_once(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        stale = await stopped(stack, client)
        await stale.ask(client)
        webhooks = list(texts(WEBHOOKS, "STALE"))
        wanted = {webhook.token for webhook in webhooks}
        await store_all(stack.nats_server.url, webhooks, Lane.LIVE)
        # It is stopped still: nothing but the new owners' own looks can bring what it got.
        await eventually(lambda: stack.sink.keys >= wanted, within=SOON_SECONDS, saying="all items")
        assert taken_anew(stale.others), "the stale requests got something"
        stale.part.thaw()
        await wait_shared([stale.part, *stale.others], within=20)
        await worked_off(stack)
    assert stack.sink.keys == wanted
    assert not stack.sink.repeats, "it delivered what it got after its lease"


async def test_nothing_newer_goes_before_what_it_gets(stack: Stack) -> None:
    async with stack.nats_server.client() as client:
        stale = await stopped(stack, client)
        webhooks = list(texts(WEBHOOKS, "STALE", people=PEOPLE))
        wanted = {webhook.token for webhook in webhooks}
        for number in range(ROUNDS):
            await stale.ask(client)
            await store_all(stack.nats_server.url, webhooks[number::ROUNDS], Lane.LIVE)
            # What the next round brings is newer than what its request has by then.
            await handed_out(stack)
        await eventually(lambda: stack.sink.keys >= wanted, within=25, saying="all items")
        assert taken_anew(stale.others), "the stale requests got something"
        stale.part.thaw()
        await wait_shared([stale.part, *stale.others], within=20)
        await worked_off(stack)
        assert stack.sink.keys == wanted
        await assert_in_order(stack)
