"""The judge of the fault tests: it has to see every broken promise."""

import asyncio
from collections.abc import Sequence

import pytest

from forebay_simulator import AckLatency, Result, WebhookRecord
from forebay_simulator.sender import Answer
from support.processor.processor_harness import webhook
from support.receiver.recording_sender import RecordingSender, Sending
from support.receiver.store_outage import Load, judge_answers, judge_silence, judge_stored

BODY = webhook(("wamid.1", "15550001234"))
KEY = "msg:108200000000301:wamid.1"


def sending(
    at: float, answer: Answer, *, took: float = 0.01, retry_after: str | None = None
) -> Sending:
    """Return a request that was sent some seconds after the test's beginning."""
    again = "3" if answer == 503 and retry_after is None else retry_after
    return Sending(
        body="one", port=1, sent_at=at, answered_at=at + took, answer=answer, retry_after=again
    )


def load(*sendings: Sending, accepted: bool = True) -> Load:
    """Return a load of one webhook that has ended."""
    running = asyncio.get_running_loop().create_future()
    running.set_result(
        Result(
            sent=1,
            accepted=int(accepted),
            refused={},
            repeats=0,
            retries=0,
            items=1,
            ack_ms=AckLatency.of([]),
            seconds=1.0,
            behind_ms=0.0,
            planned=1,
            started=1,
            seed=1,
            ledger=(WebhookRecord(index=0, keys=(KEY,), accepted=accepted),),
        )
    )
    sender = RecordingSender("/", lambda: [1])
    sender.sendings.extend(sendings)
    return Load(sender=sender, running=running)


FINE = (sending(0, 200), sending(1, 503), sending(4, 503), sending(6, 200))
"""NATS can store again at 3: at 5 all is to be well."""


async def test_what_is_promised_is_fine() -> None:
    judge_answers(load(*FINE), back=3)
    judge_stored(load(*FINE), {"one": BODY})


@pytest.mark.parametrize(
    "broken",
    [
        sending(1, 200, took=2.61),
        sending(1, 503, took=2.61),
        sending(1, 503, retry_after=""),
        sending(1, 503, retry_after="600"),
        sending(1, 500),
        sending(1, "connection"),
        sending(1, "timeout"),
        sending(5.5, 503),
    ],
    ids=str,
)
async def test_a_broken_promise_is_seen(broken: Sending) -> None:
    with pytest.raises(AssertionError):
        judge_answers(load(*FINE, broken), back=3)


async def test_an_answer_is_late_only_by_what_the_machine_did_not_hold_up() -> None:
    late = load(*FINE, sending(1, 503, took=2.7))
    late.starved = lambda _: 0.05
    with pytest.raises(AssertionError):
        judge_answers(late, back=3)
    late.starved = lambda _: 0.15
    judge_answers(late, back=3)


async def test_no_traffic_after_the_fault_proves_nothing() -> None:
    with pytest.raises(AssertionError):
        judge_answers(load(*FINE[:3]), back=3)


@pytest.mark.parametrize(
    ("accepted", "stored"),
    [
        (True, {}),
        (True, {"one": BODY, "other": BODY}),
        (False, {"one": BODY}),
        (True, {"one": b""}),
    ],
    ids=["a 200 without a store", "stored, never sent", "never accepted", "another body"],
)
async def test_a_ledger_that_does_not_match_is_seen(
    stored: dict[str, bytes], *, accepted: bool
) -> None:
    with pytest.raises(AssertionError):
        judge_stored(load(*FINE, accepted=accepted), stored)


def silence(trials: Sequence[float]) -> Load:
    """Return a store that fell silent at 0, was noticed at 2.5, and spoke again at 8."""
    waited = [sending(at, 503, took=2.5) for at in (0, 0.1, *trials)]
    return load(*waited, *(sending(at / 10, 503) for at in range(27, 80)))


async def test_one_webhook_a_second_may_wait_for_a_silent_store() -> None:
    judge_silence(silence([3, 4, 5, 6, 7]))


async def test_all_that_wait_for_a_silent_store_are_seen() -> None:
    with pytest.raises(AssertionError):
        judge_silence(silence([each / 10 for each in range(30, 50)]))
