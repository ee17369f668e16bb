"""Webhooks wait for a leader or a connection: how long, how many are tried, what is counted."""

import asyncio
from collections.abc import Callable

import pytest
from typing_extensions import override

from forebay.runtime.jetstream.errors import (
    ForeignAnswer,
    MessageTooLarge,
    NotConnected,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    StreamMissing,
)
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_receiver.adapters.shard_state import IN_A_ROW, MOVE_SECONDS, ShardState
from forebay_receiver.adapters.storing import Storing
from forebay_receiver.adapters.waiting_webhooks import PAUSE_SECONDS, WaitingWebhooks
from forebay_receiver.metrics import ReceiverMetrics
from support.receiver.receiver_in_process import MemoryStore
from support.timing.clocks import LoopClock

BUDGET = 2.5


class Webhook(Storing):
    """One that records what it is told."""

    __slots__ = ("results",)

    def __init__(self, begun: float) -> None:
        subject = "forebay.raw.0.00.live.demo.shop"
        super().__init__(MemoryStore(), "0", subject, b"{}", b"", begun, begun + BUDGET)
        self.results: list[PubAck | StoreError] = []

    @override
    def done(self, result: PubAck | StoreError) -> None:
        self.results.append(result)


class Waiting:
    """What waits, with a shard whose state the test makes, and a clock that it turns."""

    def __init__(self, clock: LoopClock) -> None:
        clock.stop()
        self.clock = clock
        self.loop = asyncio.get_running_loop()
        self.metrics = ReceiverMetrics(pool="test")
        self.state = ShardState(is_connected=True)
        self.state.copies = 3
        self.state.answered(self.loop.time())
        self.published: list[Storing] = []
        self.fails: StoreError | None = None
        """How what is published fails, at once; None where it stays in flight."""

        self.webhooks = WaitingWebhooks(
            lambda _: self.state, self._publish, self.metrics, self.loop.time
        )

    def webhook(self) -> Webhook:
        """Return one that was let in now."""
        return Webhook(self.loop.time())

    def trouble(self, error: StoreError | None = None) -> None:
        """Have the stream refuse so many that it counts as in trouble."""
        for _ in range(IN_A_ROW):
            self.state.failed(self.webhook(), error or StreamMissing(), self.loop.time())

    def fail(self, webhook: Storing, error: StoreError) -> bool:
        """Have a webhook fail; says whether it waits."""
        self.state.failed(webhook, error, self.loop.time())
        return self.webhooks.keeps(webhook, error, self.state)

    async def passes(self, seconds: float = 1.01 * PAUSE_SECONDS) -> None:
        """Let time pass, and what is due be done."""
        self.clock.ahead += seconds
        for _ in range(3):
            await asyncio.sleep(0)

    async def counted(self) -> dict[str, int]:
        """Return what was counted, without zeros."""
        lines = (await self.metrics.exposition()).content.decode().splitlines()
        found = {
            line.partition('outcome="')[2].partition('"')[0]: int(line.rpartition(" ")[2])
            for line in lines
            if line.startswith("forebay_receiver_waited_total{")
        }
        return {outcome: count for outcome, count in found.items() if count}

    def _publish(self, webhook: Storing) -> None:
        self.published.append(webhook)
        if self.state.trouble is not None:
            self.state.sending(webhook, self.loop.time())
        if self.fails is not None and not self.fail(webhook, self.fails):
            webhook.done(self.fails)


@pytest.fixture
async def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """Give a stream in three copies that answered a moment ago."""
    return Waiting(LoopClock(monkeypatch))


@pytest.mark.parametrize(
    "error", [StreamMissing(), NotConnected(), StoreUnavailable()], ids=lambda it: type(it).__name__
)
async def test_what_a_repeat_can_mend_is_published_again_after_a_pause(
    waiting: Waiting, error: StoreError
) -> None:
    webhook = waiting.webhook()
    assert waiting.fail(webhook, error)
    await waiting.passes(PAUSE_SECONDS * 0.9)
    assert waiting.published == []
    await waiting.passes(PAUSE_SECONDS * 0.2)
    assert waiting.published == [webhook]
    assert webhook.results == []


@pytest.mark.parametrize(
    "error",
    [StoreFull(), StoreRefused(), MessageTooLarge(), ForeignAnswer()],
    ids=lambda it: type(it).__name__,
)
async def test_what_no_repeat_can_change_is_not_kept(waiting: Waiting, error: StoreError) -> None:
    assert not waiting.fail(waiting.webhook(), error)
    assert waiting.webhooks.known == {}


def one_copy(waiting: Waiting) -> None:
    waiting.state.copies = 1


def no_answer_for_long(waiting: Waiting) -> None:
    waiting.clock.ahead += MOVE_SECONDS


def never_an_answer(waiting: Waiting) -> None:
    waiting.state.last_answer = None


def silent(waiting: Waiting) -> None:
    waiting.clock.ahead += 0.1
    waiting.trouble(StoreUnavailable())


def full(waiting: Waiting) -> None:
    waiting.trouble(StoreFull())


@pytest.mark.parametrize(
    "state",
    [one_copy, no_answer_for_long, never_an_answer, silent, full],
    ids=lambda it: it.__name__,
)
async def test_nothing_waits_for_a_stream_that_does_not_move(
    waiting: Waiting, state: Callable[[Waiting], None]
) -> None:
    state(waiting)
    webhook = waiting.webhook()
    assert not waiting.fail(webhook, StoreUnavailable())
    assert not waiting.webhooks.keeps_back(webhook, waiting.state)


async def test_a_webhook_without_time_left_does_not_wait(waiting: Waiting) -> None:
    webhook = waiting.webhook()
    waiting.clock.ahead += BUDGET - PAUSE_SECONDS
    assert not waiting.fail(webhook, StreamMissing())


async def test_while_nobody_is_there_one_at_a_time_is_tried(waiting: Waiting) -> None:
    waiting.trouble()
    waiting.fails = StreamMissing()
    webhooks = [waiting.webhook() for _ in range(100)]
    for webhook in webhooks:
        waiting.fail(webhook, StreamMissing())
    for number in range(1, 6):
        await waiting.passes()
        assert len(waiting.published) == number
    assert all(webhook.results == [] for webhook in webhooks)


async def test_a_trial_that_is_lost_does_not_keep_the_others_waiting(waiting: Waiting) -> None:
    waiting.trouble()
    webhooks = [waiting.webhook() for _ in range(2)]
    for webhook in webhooks:
        waiting.fail(webhook, StreamMissing())
    await waiting.passes()
    await waiting.passes(0.9)
    assert waiting.published == webhooks[:1]
    await waiting.passes(0.1)
    assert waiting.published == webhooks


async def test_what_comes_meanwhile_waits_too_and_goes_in_its_order(waiting: Waiting) -> None:
    waiting.state.connected(is_connected=False)
    webhooks = [waiting.webhook() for _ in range(100)]
    assert all(waiting.webhooks.keeps_back(webhook, waiting.state) for webhook in webhooks)
    await waiting.passes()
    assert waiting.published == []
    waiting.state.connected(is_connected=True)
    await waiting.passes()
    assert waiting.published == webhooks


async def test_a_webhook_that_comes_is_the_trial_where_there_is_none(waiting: Waiting) -> None:
    waiting.trouble()
    assert not waiting.webhooks.keeps_back(waiting.webhook(), waiting.state)
    waiting.state.sending(waiting.webhook(), waiting.loop.time())
    assert waiting.webhooks.keeps_back(waiting.webhook(), waiting.state)


def not_connected(waiting: Waiting) -> None:
    waiting.state.connected(is_connected=False)


def nobody_there(waiting: Waiting) -> None:
    waiting.trouble()
    waiting.fails = StreamMissing()


@pytest.mark.parametrize(
    ("state", "error"), [(not_connected, NotConnected), (nobody_there, StreamMissing)]
)
async def test_who_waited_in_vain_is_answered_before_the_budget_ends(
    waiting: Waiting, state: Callable[[Waiting], None], error: type[StoreError]
) -> None:
    state(waiting)
    webhook = waiting.webhook()
    waiting.fail(webhook, StoreUnavailable())
    while not webhook.results:
        await waiting.passes()
        assert waiting.loop.time() <= webhook.deadline
    assert waiting.loop.time() >= webhook.deadline - 2 * PAUSE_SECONDS
    assert [type(each) for each in webhook.results] == [error]
    assert await waiting.counted() == {"unavailable": 1}
    assert waiting.webhooks.known == {}


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (no_answer_for_long, StreamMissing),
        (silent, StoreUnavailable),
        (full, StoreFull),
        (not_connected, NotConnected),
    ],
    ids=["gone", "silent", "full", "away"],
)
async def test_all_that_wait_are_answered_when_it_is_known_to_be_in_vain(
    waiting: Waiting, state: Callable[[Waiting], None], error: type[StoreError]
) -> None:
    waiting.trouble()
    webhooks = [waiting.webhook() for _ in range(10)]
    for webhook in webhooks:
        waiting.fail(webhook, StreamMissing())
    state(waiting)
    waiting.state.last_answer = None
    await waiting.passes()
    assert [[type(each) for each in webhook.results] for webhook in webhooks] == [[error]] * 10
    assert await waiting.counted() == {"unavailable": 10}


def ack(*, duplicate: bool) -> PubAck:
    return PubAck("FOREBAY_RAW_0", 7, duplicate=duplicate)


async def test_what_was_stored_at_the_first_publish_is_this_webhooks_own_store(
    waiting: Waiting,
) -> None:
    webhook = waiting.webhook()
    waiting.fail(webhook, StoreUnavailable("the connection to NATS was lost"))
    # Nobody there meanwhile: that says nothing of the first publish.
    waiting.fail(webhook, StreamMissing())
    assert waiting.webhooks.settle(webhook, ack(duplicate=True)) == ack(duplicate=False)
    assert await waiting.counted() == {"found": 1}


async def test_a_repeat_of_the_providers_that_had_to_wait_is_a_repeat(waiting: Waiting) -> None:
    webhook = waiting.webhook()
    waiting.fail(webhook, StreamMissing())
    assert waiting.webhooks.settle(webhook, ack(duplicate=True)) == ack(duplicate=True)
    assert await waiting.counted() == {"stored": 1}


async def test_who_did_not_wait_is_not_counted(waiting: Waiting) -> None:
    webhook = waiting.webhook()
    assert waiting.webhooks.settle(webhook, ack(duplicate=False)) == ack(duplicate=False)
    waiting.fail(webhook, StoreFull())
    assert await waiting.counted() == {}


async def test_a_fault_with_one_does_not_keep_the_others_waiting(waiting: Waiting) -> None:
    webhooks = [waiting.webhook() for _ in range(3)]
    for webhook in webhooks:
        waiting.fail(webhook, StreamMissing())
    faults: list[object] = []
    waiting.loop.set_exception_handler(lambda _, context: faults.append(context))
    del waiting.webhooks.known[webhooks[0]]  # as no webhook ever is
    await waiting.passes()
    await waiting.passes()
    assert len(faults) == 1
    assert waiting.published == webhooks[1:]
