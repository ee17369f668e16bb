"""What a receiver makes of JetStream's answers: when storing is worth a try, and when not."""

import itertools

import pytest

from forebay.runtime.jetstream.errors import (
    MessageTooLarge,
    StillStoring,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.adapters.shard_state import (
    ALMOST_FULL,
    IN_A_ROW,
    ROOM_AGAIN,
    TRIAL_SECONDS,
    ShardState,
)
from forebay_receiver.outcomes import Reason


@pytest.fixture
def state() -> ShardState:
    """Give the state of a shard in peace."""
    return ShardState(is_connected=True)


class Webhook:
    """One that is sent; made later means sent later."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.begun = float(next(self._numbers))


def fail(state: ShardState, error: StoreError, times: int = IN_A_ROW) -> None:
    for _ in range(times):
        state.failed(Webhook(), error, 1.0)


def test_without_a_connection_nothing_is_tried() -> None:
    state = ShardState(is_connected=False)
    assert state.rejection(1.0) is Reason.NATS_AWAY
    state.connected(is_connected=True)
    assert state.rejection(1.0) is None
    state.connected(is_connected=False)
    assert state.rejection(1.0) is Reason.NATS_AWAY


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreUnavailable(), Reason.NATS_SILENT),
        (StreamMissing(), Reason.NO_STREAM),
        (StoreFull(), Reason.STREAM_FULL),
    ],
)
def test_one_failure_less_than_the_limit_changes_nothing(
    state: ShardState, error: StoreError, reason: Reason
) -> None:
    fail(state, error, IN_A_ROW - 1)
    assert state.trouble is None
    state.stored(Webhook(), 1.0)
    fail(state, error, IN_A_ROW - 1)
    assert state.trouble is None
    fail(state, error, 1)
    assert state.trouble is reason


@pytest.mark.parametrize("error", [StillStoring(), StoreRefused(), MessageTooLarge()])
def test_an_answer_about_one_webhook_says_nothing_of_the_others(
    state: ShardState, error: StoreError
) -> None:
    fail(state, error, 10 * IN_A_ROW)
    assert state.rejection(1.0) is None


def test_a_silent_stream_is_tried_by_one_webhook_a_second(state: ShardState) -> None:
    fail(state, StoreUnavailable())
    assert state.rejection(1.0) is Reason.NATS_SILENT
    assert state.rejection(1.0 + TRIAL_SECONDS) is None
    state.sending(Webhook(), 2.0)
    assert state.rejection(2.0) is Reason.NATS_SILENT
    assert state.rejection(2.0 + TRIAL_SECONDS) is None


def test_only_what_is_stored_or_refused_ends_a_silence(state: ShardState) -> None:
    fail(state, StoreUnavailable())
    state.answered(2.0)
    assert state.trouble is Reason.NATS_SILENT
    assert state.last_answer == 2.0
    state.stored(Webhook(), 3.0, is_repeat=True)
    assert state.trouble is Reason.NATS_SILENT
    state.stored(Webhook(), 4.0)
    assert state.trouble is None
    fail(state, StoreUnavailable())
    state.failed(Webhook(), StoreRefused(), 5.0)
    assert state.trouble is None


def test_what_was_lost_before_the_last_store_is_no_new_silence(state: ShardState) -> None:
    lost = [Webhook() for _ in range(2 * IN_A_ROW)]
    state.stored(Webhook(), 1.0)
    for webhook in lost:
        state.failed(webhook, StoreUnavailable(), 2.0)
    assert state.trouble is None


@pytest.mark.parametrize("error", [StreamMissing(), StoreFull()])
def test_a_stream_that_refuses_gets_one_trial_at_a_time(
    state: ShardState, error: StoreError
) -> None:
    fail(state, error)
    assert state.rejection(1.0) is None
    trial, next_trial = Webhook(), Webhook()
    state.sending(trial, 1.0)
    assert state.rejection(1.0) is not None
    state.failed(trial, error, 2.0)
    assert state.rejection(2.0) is None
    state.sending(next_trial, 2.0)
    state.stored(next_trial, 3.0)
    assert state.trouble is None


def test_a_trial_that_gets_no_answer_is_not_the_last_one(state: ShardState) -> None:
    fail(state, StreamMissing())
    trial = Webhook()
    state.sending(trial, 1.0)
    state.failed(trial, StoreUnavailable(), 2.0)
    assert state.rejection(1.0) is None


def test_a_webhook_sent_before_the_trouble_does_not_end_the_trial(state: ShardState) -> None:
    before = Webhook()
    state.sending(before, 1.0)
    fail(state, StreamMissing())
    state.sending(Webhook(), 1.0)
    state.failed(before, StreamMissing(), 2.0)
    assert state.rejection(1.0) is Reason.NO_STREAM


def test_a_probe_that_is_answered_ends_the_search_for_a_leader_but_makes_no_room(
    state: ShardState,
) -> None:
    fail(state, StreamMissing())
    state.answered(2.0)
    assert state.trouble is None
    fail(state, StoreFull())
    state.answered(3.0)
    assert state.trouble is Reason.STREAM_FULL


def test_an_almost_full_stream_gets_nothing_more_until_there_is_room(state: ShardState) -> None:
    state.filled(ALMOST_FULL - 0.001)
    assert state.rejection(1.0) is None
    state.filled(ALMOST_FULL)
    assert state.rejection(1.0) is Reason.STREAM_FULL
    state.filled(ROOM_AGAIN)
    assert state.rejection(1.0) is Reason.STREAM_FULL
    state.filled(ROOM_AGAIN - 0.001)
    assert state.rejection(1.0) is None


def test_a_new_connection_starts_anew_but_the_stream_is_as_full_as_before(
    state: ShardState,
) -> None:
    fail(state, StoreUnavailable())
    state.filled(1.0)
    state.connected(is_connected=False)
    state.connected(is_connected=True)
    assert state.trouble is Reason.STREAM_FULL
    state.filled(0.5)
    assert state.trouble is None
