"""A leader moves, a connection or an answer is lost: a webhook is published again and stored once.

The server is played, since a real one does these things when it likes to; three real ones are in
`tests/component/slow/test_receiver_on_three.py` and `tests/fault/test_servers_roll.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from forebay.runtime.jetstream.errors import StreamMissing
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.settings import NatsSettings
from forebay_receiver.adapters.shard_state import IN_A_ROW, OVERTAKEN_SECONDS
from forebay_receiver.adapters.store import JetStreamStore
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import Reason
from support.nats.played_store import PlayedStore
from support.receiver.receiver_store import RecordedResults, storing
from support.timing.wait import eventually

LONG = 20.0
"""A budget that no test waits for."""


@contextlib.asynccontextmanager
async def store_on(
    played: PlayedStore, metrics: ReceiverMetrics | None = None
) -> AsyncIterator[JetStreamStore]:
    """Give a store that knows in how many copies its stream is."""
    async with storing(NatsSettings(url=played.url), metrics) as store:
        await eventually(lambda: played.asked and store.answered_lately(), saying="the first probe")
        yield store


@pytest.fixture
async def played() -> AsyncIterator[PlayedStore]:
    """Give a stream in three copies."""
    async with PlayedStore(copies=3) as running:
        yield running


@pytest.fixture
async def store(played: PlayedStore) -> AsyncIterator[JetStreamStore]:
    async with store_on(played) as running:
        yield running


def send(store: JetStreamStore, number: int = 1, seconds: float = LONG) -> RecordedResults:
    """Store a webhook of its own."""
    webhook = RecordedResults(store, b"%d" % number, seconds, message_id=str(number))
    store.store(webhook)
    return webhook


async def answered(*webhooks: RecordedResults) -> list[PubAck]:
    """Wait for the PubAck of each, which has to be the one answer."""
    await eventually(lambda: all(each.results for each in webhooks), saying="an answer to each")
    results = [each.results for each in webhooks]
    assert [len(each) for each in results] == [1] * len(webhooks)
    acks = [ack for (ack,) in results if isinstance(ack, PubAck)]
    assert len(acks) == len(webhooks), results
    return acks


async def test_where_nobody_answers_it_is_asked_for_again_until_a_leader_is_there(
    store: JetStreamStore, played: PlayedStore
) -> None:
    played.always = "nobody"
    webhook = send(store)
    await eventually(lambda: len(played.published) > 2 * IN_A_ROW, saying="it to be asked for")
    assert webhook.results == []
    played.always = "stored"
    (ack,) = await answered(webhook)
    assert not ack.duplicate
    assert len({(each.message_id, each.payload) for each in played.published}) == 1


async def test_what_comes_while_nobody_answers_waits_with_it_and_only_one_is_tried(
    store: JetStreamStore, played: PlayedStore
) -> None:
    played.always = "nobody"
    first = [send(store, number) for number in range(IN_A_ROW)]
    await eventually(lambda: store.rejection("0") is None and len(played.published) > IN_A_ROW)
    before = len(played.published)
    later = [send(store, 100 + number) for number in range(200)]
    await eventually(lambda: len(played.published) > before + 2, saying="further trials")
    # At most one under way at a time: those that came are 200, and few of them were sent.
    assert len(played.published) < before + 50
    played.always = "stored"
    await answered(*first, *later)
    assert len(played.stored) == IN_A_ROW + 200


async def test_of_a_stream_in_one_copy_nobody_there_is_said_at_once() -> None:
    async with PlayedStore(copies=1) as played, store_on(played) as store:
        played.always = "nobody"
        webhooks = [send(store, number) for number in range(IN_A_ROW)]
        await eventually(lambda: all(each.results for each in webhooks), saying="the answers")
        assert {type(each.results[0]) for each in webhooks} == {StreamMissing}
        assert len(played.published) == IN_A_ROW
        played.go_away()
        await eventually(lambda: store.rejection("0") is Reason.NATS_AWAY, saying="the loss")


async def test_a_webhook_that_was_stored_when_its_connection_was_lost_is_stored_once(
    store: JetStreamStore, played: PlayedStore
) -> None:
    played.answers.append("lost")
    (ack,) = await answered(send(store))
    # Stored by this very webhook: no repeat of a provider's.
    assert (ack.seq, ack.duplicate) == (1, False)
    assert [each.message_id for each in played.published] == ["1", "1"]
    assert played.stored == ["1"]


async def test_what_comes_between_two_connections_is_let_in_and_waits(
    store: JetStreamStore, played: PlayedStore
) -> None:
    played.go_away()
    await eventually(lambda: store.max_body_bytes > 2**40, saying="the loss to be noticed")
    assert store.rejection("0") is None
    webhooks = [send(store, number) for number in range(50)]
    played.lets_in = True
    await answered(*webhooks)
    assert len(played.published) == 50


async def test_an_answer_that_is_lost_is_noticed_by_the_answers_to_others(
    store: JetStreamStore, played: PlayedStore
) -> None:
    played.answers.append("silence")
    lost = send(store, 1)
    number = 1

    async def is_answered() -> bool:
        nonlocal number
        number += 1
        await answered(send(store, number))
        return bool(lost.results)

    began = asyncio.get_running_loop().time()
    await eventually(is_answered, saying="the lost one's answer")
    await answered(lost)
    assert asyncio.get_running_loop().time() - began > OVERTAKEN_SECONDS
    assert [each.message_id for each in played.published].count("1") == 2
    assert played.stored.count("1") == 1


async def test_an_answer_that_is_lost_is_noticed_where_nobody_is_there_for_the_next_one(
    store: JetStreamStore, played: PlayedStore
) -> None:
    played.answers += ["silence", "nobody"]
    webhooks = [send(store, number) for number in range(2)]
    await answered(*webhooks)
    assert sorted(each.message_id for each in played.published) == ["0", "0", "1", "1"]


async def test_while_all_are_silent_none_is_sent_twice(
    store: JetStreamStore, played: PlayedStore
) -> None:
    played.always = "silence"
    webhooks = [send(store, number, seconds=3 * OVERTAKEN_SECONDS) for number in range(20)]
    await eventually(lambda: all(each.results for each in webhooks), saying="the answers")
    assert len(played.published) == 20


async def test_what_is_asked_for_again_is_counted_by_what_came_of_it_and_is_no_late_store(
    played: PlayedStore,
) -> None:
    metrics = ReceiverMetrics(pool="test")
    async with store_on(played, metrics) as store:
        played.answers += ["lost", "nobody", "stored", "nobody"]
        await answered(send(store, 1), send(store, 2))
    assert await counted(metrics, "forebay_receiver_waited_total") == {"found": 1, "stored": 1}
    assert await counted(metrics, "forebay_receiver_late_stored_total") == {}


async def counted(metrics: ReceiverMetrics, name: str) -> dict[str, int]:
    """Return what a counter says by outcome, without zeros."""
    lines = (await metrics.exposition()).content.decode().splitlines()
    found = {
        line.partition('outcome="')[2].partition('"')[0]: int(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(name)
    }
    return {outcome: count for outcome, count in found.items() if count}
