"""Pulling from consumers: in batches, through restarts, and in order after an owner died."""

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from forebay.core.subjects import Lane, StreamKind, consumer_name, stream_name
from forebay.runtime.jetstream.link import NatsLink
from forebay.runtime.jetstream.pull_inbox import LARGE_AT_ONCE, PullInbox
from forebay.runtime.jetstream.pull_status import PullRefusal
from forebay.runtime.jetstream.pulled_message import PulledMessage
from forebay.runtime.jetstream.puller import BATCH_BYTES, EXPIRES_SECONDS, SHORTEST_SECONDS, Puller
from forebay.runtime.jetstream.streams import consumer_config, stream_config
from forebay.runtime.settings import NatsSettings
from forebay_processor.adapters.streams import Streams
from support.nats.nats_server import NatsServer, settled
from support.programs.stack import SHARD
from support.timing.wait import eventually

RAW = stream_name(StreamKind.RAW, "0")
LIVE = consumer_name("split", Lane.LIVE, 3)
STATUS = consumer_name("split", Lane.STATUS, 3)


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Give a client of a server with RAW and two of its consumers."""
    async with nats_server.client() as connected:
        context = connected.jetstream()
        await context.add_stream(stream_config(StreamKind.RAW, SHARD))
        for lane in (Lane.LIVE, Lane.STATUS):
            await context.add_consumer(RAW, consumer_config("split", "0", lane, 3))
        yield connected


async def store(client: Client, *numbers: int, lane: Lane = Lane.LIVE) -> None:
    """Store messages that hold a number each."""
    for number in numbers:
        await client.jetstream().publish(f"forebay.raw.0.03.{lane}.demo.meta", b"%d" % number)


async def started(client: Client) -> PullInbox:
    inbox = PullInbox(client)
    await inbox.start()
    return inbox


async def dies_with(client: Client, count: int, consumer: str = LIVE) -> list[PulledMessage]:
    """Take so many messages as an owner that then is gone, with all that it asked for."""
    inbox = await started(client)
    messages = await take(inbox.puller(RAW, consumer, batch=count), count)
    await inbox.close()
    return messages


async def left_unacked(client: Client, count: int) -> None:
    """Wait until the server, which works acks by and by, holds no more than so many unacked."""

    async def is_left() -> bool:
        info = await client.jetstream().consumer_info(RAW, LIVE)
        return info.num_ack_pending is not None and info.num_ack_pending == count

    await eventually(is_left, saying=f"{count} messages to be left unacked")


async def is_waiting(client: Client) -> None:
    """Wait until the server has an open request."""

    async def has_one() -> bool:
        return bool((await client.jetstream().consumer_info(RAW, LIVE)).num_waiting)

    await eventually(has_one, saying="a request to wait at the server")


async def take(puller: Puller, count: int) -> list[PulledMessage]:
    """Take so many messages, in as many batches as they come."""
    taken: list[PulledMessage] = []
    async with asyncio.timeout(10):
        while len(taken) < count:
            taken += await puller.next_batch()
    return taken


def numbers(messages: list[PulledMessage]) -> list[int]:
    return [int(message.data) for message in messages]


async def hands_on_nothing(client: Client, puller: Puller) -> None:
    """Assert that it hands on nothing of what comes, since it saw that something is missing."""
    waiting = asyncio.create_task(puller.next_batch())
    try:
        await eventually(lambda: puller.has_missed, saying="what is missing to be seen")
        await settled(client)
        assert not waiting.done()
    finally:
        waiting.cancel()


async def test_large_messages_come_by_several_requests(client: Client) -> None:
    count, body = 40, bytes(900_000)
    for _ in range(count):
        await client.jetstream().publish(f"forebay.raw.0.03.{Lane.LIVE}.demo.meta", body)
    requests = await client.subscribe(f"$JS.API.CONSUMER.MSG.NEXT.{RAW}.{LIVE}")
    began = asyncio.get_running_loop().time()
    messages = await take((await started(client)).puller(RAW, LIVE, batch=256), count)
    taken = asyncio.get_running_loop().time() - began
    assert [message.sequence for message in messages] == list(range(1, count + 1))
    at_least = math.ceil(count * len(body) / BATCH_BYTES)
    assert requests.pending_msgs >= at_least
    assert taken < at_least * EXPIRES_SECONDS, "a request that brought its bytes is over at once"


async def test_messages_larger_than_a_request_come_one_by_one_and_few_at_a_time(
    client: Client,
) -> None:
    """However many partitions have large webhooks: memory is for some of them."""
    body = bytes(3_000_000)
    for partition in range(4):
        await client.jetstream().add_consumer(
            RAW, consumer_config("split", "0", Lane.LIVE, partition)
        )
        subject = f"forebay.raw.0.{partition:02d}.{Lane.LIVE}.demo.meta"
        for each in (b"small", body, b"small", body):
            await client.jetstream().publish(subject, each)
    inbox = await started(client)
    consumers = [consumer_name("split", Lane.LIVE, partition) for partition in range(4)]
    pullers = [inbox.puller(RAW, consumer, batch=256) for consumer in consumers]
    batches = [await puller.next_batch() for puller in pullers]
    assert [len(batch) for batch in batches] == [1] * 4
    waiting = [asyncio.create_task(puller.next_batch()) for puller in pullers]
    await eventually(lambda: sum(task.done() for task in waiting) == LARGE_AT_ONCE)
    await asyncio.wait(waiting, timeout=0.3)
    assert sum(task.done() for task in waiting) == LARGE_AT_ONCE
    # Whoever wants the next batch has no more use for the last one.
    came = {puller.consumer: 1 for puller in pullers}
    tasks = dict(zip(waiting, pullers, strict=True))
    async with asyncio.timeout(20):
        while tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                puller = tasks.pop(task)
                came[puller.consumer] += len(task.result())
                if came[puller.consumer] < 4:
                    tasks[asyncio.create_task(puller.next_batch())] = puller
                else:
                    puller.release()
    assert set(came.values()) == {4}
    await inbox.close()


async def test_no_time_passes_between_two_requests(client: Client) -> None:
    await asyncio.gather(*(store(client, number) for number in range(2_000)))
    puller = (await started(client)).puller(RAW, LIVE, batch=50)
    began = asyncio.get_running_loop().time()
    messages = await take(puller, 2_000)
    # 40 requests; where each ended with a pause, as after an error, these were 10 s.
    assert asyncio.get_running_loop().time() - began < 5
    assert sorted(numbers(messages)) == list(range(2_000))


async def test_messages_come_in_order_and_no_batch_is_too_large(client: Client) -> None:
    await store(client, *range(25))
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    batches: list[list[PulledMessage]] = []
    while sum(len(batch) for batch in batches) < 25:
        batches.append(await puller.next_batch())
        for message in batches[-1]:
            await message.ack()
    assert max(len(batch) for batch in batches) <= 10
    assert [number for batch in batches for number in numbers(batch)] == list(range(25))


async def test_a_message_says_where_it_stands_and_how_often_it_came(client: Client) -> None:
    await store(client, 7)
    (message,) = await take((await started(client)).puller(RAW, LIVE, batch=10), 1)
    assert message.subject == "forebay.raw.0.03.live.demo.meta"
    assert (message.data, message.sequence, message.delivered) == (b"7", 1, 1)


async def test_who_waits_gets_a_message_when_it_is_stored(client: Client) -> None:
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    waiting = asyncio.create_task(take(puller, 1))
    await store(client, 1)
    assert numbers(await waiting) == [1]


async def test_consumers_that_share_an_inbox_get_their_own_messages(client: Client) -> None:
    inbox = await started(client)
    live, status = (inbox.puller(RAW, consumer, batch=10) for consumer in (LIVE, STATUS))
    await store(client, 1, 2)
    await store(client, 3, lane=Lane.STATUS)
    assert numbers(await take(live, 2)) == [1, 2]
    assert numbers(await take(status, 1)) == [3]


async def test_what_was_acked_is_gone_and_what_was_not_is_not(client: Client) -> None:
    await store(client, 1, 2, 3)
    for message in await take((await started(client)).puller(RAW, LIVE, batch=10), 3):
        if message.data != b"2":
            await message.ack()
    await left_unacked(client, 1)


async def test_a_refused_message_comes_again_when_it_was_said(client: Client) -> None:
    await store(client, 1, 2)
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    first, second = await take(puller, 2)
    await first.nak(0.2)
    await second.ack()
    (again,) = await take(puller, 1)
    assert (again.data, again.delivered, again.sequence) == (b"1", 2, 1)


class Reconnecting:
    """A link's listener that pulls, as the processor's does."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self.inbox: PullInbox | None = None
        self.puller: Puller | None = None
        self.losses = 0

    async def connected(self, client: Client) -> None:
        """Pull over this client."""
        self.inbox = await started(client)
        self.puller = self.inbox.puller(RAW, LIVE, batch=10)

    def reconnected(self) -> None:
        """Ask again."""
        assert self.inbox is not None
        self.inbox.reconnected()

    def disconnected(self) -> None:
        """Count the loss."""
        self.losses += 1


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_pulling_goes_on_after_the_server_was_restarted(
    nats_server: NatsServer, client: Client, how: str
) -> None:
    listener = Reconnecting()
    link = NatsLink(NatsSettings(url=nats_server.url), "test", listener)
    running = asyncio.create_task(link.run())
    try:
        await link.wait_reached()
        assert listener.puller is not None
        await store(client, 1)
        (first,) = await take(listener.puller, 1)
        await first.ack()
        # It waits with an open request, which the restarted server knows nothing of.
        waiting = asyncio.create_task(take(listener.puller, 1))
        await (nats_server.kill() if how == "killed" else nats_server.stop())
        await nats_server.start()
        await eventually(lambda: client.is_connected and listener.losses, saying="the connections")
        await store(client, 2)
        # A server that was killed may have forgotten the ack: then the first comes once more.
        taken = await waiting
        while taken[-1].data != b"2":
            taken += await take(listener.puller, 1)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_consumer_that_comes_later_is_pulled_from(client: Client) -> None:
    context = client.jetstream()
    await context.delete_consumer(RAW, LIVE)
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    waiting = asyncio.create_task(take(puller, 1))
    await store(client, 1)
    await context.add_consumer(RAW, consumer_config("split", "0", Lane.LIVE, 3))
    assert numbers(await waiting) == [1]


# Taking over from an owner that died


async def test_the_subject_of_an_ack_is_what_taking_over_relies_on(client: Client) -> None:
    await store(client, 1)
    (message,) = await take((await started(client)).puller(RAW, LIVE, batch=10), 1)
    # $JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
    assert re.fullmatch(rf"\$JS\.ACK\.{RAW}\.{LIVE}\.1\.1\.1\.\d{{19}}\.0", message.reply)


async def test_what_a_dead_owner_left_comes_first_and_in_order(client: Client) -> None:
    await store(client, *range(1, 9))
    for message in await dies_with(client, 6):
        if message.data in {b"1", b"3"}:
            await message.ack()
    await left_unacked(client, 4)
    # The owner dies with 2, 4, 5 and 6 in its hands; 7 and 8 were never handed out.
    assert (await Streams(client).take_over(RAW, LIVE)).left == 4
    after = await take((await started(client)).puller(RAW, LIVE, batch=10), 6)
    assert numbers(after) == [2, 4, 5, 6, 7, 8]
    assert [message.delivered for message in after] == [2, 2, 2, 2, 1, 1]


async def test_taking_over_twice_hands_nothing_out_twice(client: Client) -> None:
    await store(client, *range(1, 5))
    await dies_with(client, 4)
    streams = Streams(client)
    assert (await streams.take_over(RAW, LIVE)).left == 4
    await streams.take_over(RAW, LIVE)
    await store(client, 5)
    after = await take((await started(client)).puller(RAW, LIVE, batch=10), 5)
    assert numbers(after) == [1, 2, 3, 4, 5]


async def test_an_owner_that_dies_while_it_takes_over_does_not_change_the_order(
    client: Client,
) -> None:
    await store(client, *range(1, 9))
    await dies_with(client, 6)
    streams = Streams(client)
    assert (await streams.take_over(RAW, LIVE)).left == 6
    # The next one dies when it got the first three of them again.
    assert numbers(await dies_with(client, 3)) == [1, 2, 3]
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    puller.begin_after(await streams.take_over(RAW, LIVE))
    assert numbers(await take(puller, 8)) == list(range(1, 9))


async def test_what_was_left_and_is_gone_is_not_waited_for(client: Client) -> None:
    await store(client, *range(1, 5))
    await dies_with(client, 4)
    left = await Streams(client).take_over(RAW, LIVE)
    await client.jetstream().delete_msg(RAW, 2)
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    puller.begin_after(left)
    async with asyncio.timeout(5):
        assert numbers(await take(puller, 3)) == [1, 3, 4]


async def test_taking_over_from_nobody_changes_nothing(client: Client) -> None:
    await store(client, 1, 2)
    assert (await Streams(client).take_over(RAW, LIVE)).left == 0
    after = await take((await started(client)).puller(RAW, LIVE, batch=10), 2)
    assert [(message.data, message.delivered) for message in after] == [(b"1", 1), (b"2", 1)]


async def test_taking_over_leaves_out_what_other_lanes_hold(client: Client) -> None:
    await store(client, 1)
    await store(client, 2, 3, lane=Lane.STATUS)
    await store(client, 4)
    await dies_with(client, 2)
    await dies_with(client, 2, STATUS)
    assert (await Streams(client).take_over(RAW, LIVE)).left == 2
    assert numbers(await take((await started(client)).puller(RAW, LIVE, batch=10), 2)) == [1, 4]
    assert (await client.jetstream().consumer_info(RAW, STATUS)).num_ack_pending == 2


async def test_nothing_is_handed_on_after_what_somebody_else_got(client: Client) -> None:
    await store(client, 1, 2)
    inbox = await started(client)
    puller = inbox.puller(RAW, LIVE, batch=2)
    puller.begin_after(await Streams(client).take_over(RAW, LIVE))
    assert numbers(await take(puller, 2)) == [1, 2]
    await store(client, 3)
    assert numbers(await dies_with(client, 1)) == [3]
    await store(client, 4, 5)
    await hands_on_nothing(client, puller)
    await inbox.close()
    again = (await started(client)).puller(RAW, LIVE, batch=10)
    again.begin_after(await Streams(client).take_over(RAW, LIVE))
    assert numbers(await take(again, 5)) == [1, 2, 3, 4, 5]
    assert not again.has_missed


async def test_what_was_handed_out_before_the_first_message_is_seen_too(client: Client) -> None:
    await store(client, 1, 2)
    taken = await Streams(client).take_over(RAW, LIVE)
    await dies_with(client, 1)
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    puller.begin_after(taken)
    await hands_on_nothing(client, puller)


async def test_a_message_missing_from_what_comes_again_stops_the_rest(client: Client) -> None:
    await store(client, *range(1, 5))
    await dies_with(client, 4)
    taken = await Streams(client).take_over(RAW, LIVE)
    assert numbers(await dies_with(client, 2)) == [1, 2]
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    puller.begin_after(taken)
    await hands_on_nothing(client, puller)


async def test_what_was_taken_away_while_it_was_taken_over_is_seen_too(client: Client) -> None:
    await store(client, 1, 2)
    await dies_with(client, 2)
    # A request that is open at the server gets what comes again, before the new owner asks.
    stale = asyncio.create_task(take((await started(client)).puller(RAW, LIVE, batch=2), 2))
    await is_waiting(client)
    taken = await Streams(client).take_over(RAW, LIVE)
    assert numbers(await stale) == [1, 2]
    puller = (await started(client)).puller(RAW, LIVE, batch=10)
    puller.begin_after(taken)
    await store(client, 3)
    await hands_on_nothing(client, puller)


async def test_a_request_ends_before_its_maker_may_have_messages_no_more(client: Client) -> None:
    requests = await client.subscribe(f"$JS.API.CONSUMER.MSG.NEXT.{RAW}.{LIVE}")
    puller = (await started(client)).puller(RAW, LIVE, batch=1, allowed=lambda: 1.5)
    waiting = asyncio.create_task(puller.next_batch())
    request = json.loads((await requests.next_msg(timeout=5)).data)
    waiting.cancel()
    # The lease has 1.5 s left: the server must hand nothing out after that.
    assert request["expires"] == 1_500_000_000
    assert EXPIRES_SECONDS > 1.5


async def test_with_a_lease_that_is_all_but_over_nothing_is_asked_for(client: Client) -> None:
    requests = await client.subscribe(f"$JS.API.CONSUMER.MSG.NEXT.{RAW}.{LIVE}")
    seconds = [SHORTEST_SECONDS / 2]
    puller = (await started(client)).puller(RAW, LIVE, batch=1, allowed=lambda: seconds[0])
    waiting = asyncio.create_task(puller.next_batch())
    await settled(client)
    # The first request that comes is the one that was made with a lease again.
    seconds[0] = 2.0
    request = json.loads((await requests.next_msg(timeout=5)).data)
    waiting.cancel()
    assert request["expires"] == 2_000_000_000
    assert not requests.pending_msgs


async def test_a_message_is_sent_back_for_so_many_seconds(client: Client) -> None:
    await store(client, 1)
    answers = await client.subscribe("$JS.ACK.>")
    (message,) = await take((await started(client)).puller(RAW, LIVE, batch=1), 1)
    await message.nak(0.4)
    answer = (await answers.next_msg(timeout=5)).data
    verb, _, options = answer.partition(b" ")
    # The server counts in nanoseconds, and takes what is no number as "at once".
    assert (verb, json.loads(options)) == (b"-NAK", {"delay": 400_000_000})


@pytest.mark.parametrize("when", ["before", "while it is asked for"])
async def test_a_consumer_that_is_gone_is_reported_to_who_pulls_from_it(
    client: Client, when: str
) -> None:
    refused: list[PullRefusal] = []
    inbox = PullInbox(client, lambda _stream, _consumer, reason: refused.append(reason))
    await inbox.start()
    context = client.jetstream()
    if when == "before":
        await context.delete_consumer(RAW, LIVE)
    waiting = asyncio.create_task(inbox.puller(RAW, LIVE, batch=1).next_batch())
    if when != "before":
        await is_waiting(client)
        await context.delete_consumer(RAW, LIVE)
    await eventually(lambda: refused, saying="a refusal to be reported")
    waiting.cancel()
    assert refused[0] is (
        PullRefusal.NO_CONSUMER if when == "before" else PullRefusal.CONSUMER_DELETED
    )


async def test_who_may_not_pull_learns_that_nobody_answers(tmp_path: Path) -> None:
    may = '"$JS.API.STREAM.>", "$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DURABLE.>"'
    user = f"{{user: a, password: b, permissions: {{publish: [{may}]}}}}"
    users = f"authorization {{ users: [{user}] }}"
    async with NatsServer(tmp_path / "nats", config=users) as server:
        client = await nats.connect(server.url, user="a", password="b")
        await client.jetstream().add_stream(stream_config(StreamKind.RAW, SHARD))
        await client.jetstream().add_consumer(RAW, consumer_config("split", "0", Lane.LIVE, 3))
        refused: list[PullRefusal] = []
        inbox = PullInbox(client, lambda _stream, _consumer, reason: refused.append(reason))
        await inbox.start()
        puller = inbox.puller(RAW, LIVE, batch=1, allowed=lambda: SHORTEST_SECONDS)
        waiting = asyncio.create_task(puller.next_batch())
        await eventually(lambda: refused, saying="a refusal to be reported")
        waiting.cancel()
        assert refused[0] is PullRefusal.UNANSWERED
        await client.close()
