"""Traffic through all of Forebay while something happens, and what must be true afterwards."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence

from nats.aio.client import Client
from nats.js.api import ConsumerInfo

from forebay.core.subjects import EventSubject, RawSubject, key_token
from forebay_simulator import Plan, Result, simulate
from support.destinations.sink import Sink
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import PATH
from support.nats.streams import read_stream
from support.processor.processor_harness import EVENTS, RAW, RETRY
from support.programs.processes import Part
from support.programs.stack import Stack
from support.timing.wait import eventually

__all__ = [
    "IN_FLIGHT",
    "assert_all_delivered",
    "assert_in_order",
    "handed_out",
    "play",
    "tokens",
    "wait_all_done",
    "worked_off",
]

IN_FLIGHT = 64
"""Attempts that the tests' destination takes at a time: what a fault may repeat."""


@contextlib.asynccontextmanager
async def play(
    receiver: Part, *, rate: float = 150, seconds: float = 4, batch: int = 2
) -> AsyncIterator[asyncio.Task[Result]]:
    """Send webhooks beside the block, which has to await the task that it is given."""
    plan = Plan(
        url=receiver.url(PATH),
        rate=rate,
        duration=seconds,
        secret=APP_SECRET,
        batch=batch,
        duplicates=0.05,
        retry_for=30,
    )
    async with asyncio.TaskGroup() as group:
        yield group.create_task(simulate(plan))


def tokens(result: Result) -> set[str]:
    """Return the `webhook-id` of every item that was accepted."""
    return {key_token(key) for key in result.accepted_keys}


async def assert_all_delivered(
    stack: Stack,
    result: Result,
    *,
    refused: frozenset[str] = frozenset(),
    repeats: int = 0,
) -> None:
    """Wait until the streams are worked off, and assert that nothing is lost, doubled or mixed up.

    Args:
        stack: What was under load.
        result: What the provider got for answers.
        refused: How webhooks may have been refused meanwhile; in the end all were accepted.
        repeats: How many items may have arrived again.
    """
    await wait_all_done(stack, result)
    assert result.lost == 0
    assert result.refused.keys() <= refused
    assert stack.sink.keys == tokens(result)
    assert stack.sink.repeats.total() <= repeats
    await assert_in_order(stack)


async def wait_all_done(stack: Stack, result: Result, *, within: float = 30) -> None:
    """Wait until every accepted item has arrived, and nothing is left to be done."""
    wanted = tokens(result)
    await eventually(
        lambda: stack.sink.keys >= wanted,
        within=within,
        saying=f"{len(wanted)} items at the sink",
    )
    await worked_off(stack, within=within)


async def worked_off(stack: Stack, *, rows: int = 0, within: float = 30) -> None:
    """Wait until nothing is left to be done: from then on nothing arrives, so nothing comes twice.

    Args:
        stack: Whose streams.
        rows: What stays in RETRY.
        within: Seconds.
    """
    async with stack.nats_server.client() as client:

        async def is_done() -> bool:
            return await _left(client) == rows

        await eventually(is_done, within=within, saying="the streams to be worked off")


async def handed_out(stack: Stack) -> None:
    """Wait until everything in RAW and EVENTS is handed out to somebody, acked or not."""
    async with stack.nats_server.client() as client:

        async def is_out() -> bool:
            infos = [each for stream in (RAW, EVENTS) for each in await _infos(client, stream)]
            return not any(info.num_pending for info in infos)

        await eventually(is_out, saying="all messages to be handed out")


async def assert_in_order(stack: Stack) -> None:
    """Assert that each conversation's items came first in the order in which EVENTS has them.

    And that EVENTS has them in the order in which RAW had their webhooks, lane by lane: a body with
    items of several lanes is in RAW's lane of the most urgent one, and lanes do not wait for each
    other.
    """
    lanes: dict[int, str] = {}
    stored: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    async with stack.nats_server.client() as client:
        for message in await read_stream(client, RAW, headers_only=True):
            lanes[message.metadata.sequence.stream] = RawSubject.parse(message.subject).lane
        for message in await read_stream(client, EVENTS, headers_only=True):
            subject, headers = EventSubject.parse(message.subject), message.headers or {}
            webhook = int(headers["Forebay-Raw-Seq"])
            lane = f"{subject.endpoint} {lanes[webhook]} > {subject.lane}"
            stored[lane, headers["Forebay-Conversation"]].append((webhook, subject.key))
    first = _first_accepted(stack.sink)
    assert stored
    for chain, items in stored.items():
        webhooks = [sequence for sequence, _ in items]
        assert webhooks == sorted(webhooks), f"EVENTS has {chain} in another order than RAW"
        places = [first[key] for _, key in items]
        assert places == sorted(places), f"{chain} arrived in another order than EVENTS has it"


def _first_accepted(sink: Sink) -> dict[str, int]:
    first: dict[str, int] = {}
    for place, arrival in enumerate(sink.arrivals):
        if arrival.accepted:
            first.setdefault(arrival.key, place)
    return first


async def _left(client: Client) -> int:
    """Return how many messages wait for a split, a delivery or another attempt."""
    context = client.jetstream()
    left = (await context.stream_info(RETRY)).state.messages
    for stream in (RAW, EVENTS):
        for info in await _infos(client, stream):
            left += (info.num_pending or 0) + (info.num_ack_pending or 0)
    return left


async def _infos(client: Client, stream: str) -> Sequence[ConsumerInfo]:
    infos = await client.jetstream().consumers_info(stream)
    return [info for info in infos if (info.name or "").startswith(("split-", "deliver-"))]
