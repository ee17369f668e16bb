"""Claims are looked up at any replica: one that is behind is asked again; NATS is waited for."""

from collections.abc import Sequence

from typing_extensions import override

from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay_processor.delivery.status_order import (
    AT_ONCE,
    REPLICA_TRIES,
    Claims,
    StatusQuery,
    superseded,
)

EVENTS = "forebay.event.0.07.status.demo.shop.statuses."


def status(sequence: int, *, is_ordered: bool = True) -> StatusQuery:
    higher = [f"{EVENTS}higher{sequence}"]
    return StatusQuery(sequence, f"{EVENTS}own{sequence}", higher, is_ordered)


class Replicas(Claims):
    """Answers with one state of EVENTS after the other; the last one stays. None: no answer."""

    def __init__(self, *states: dict[str, int] | None) -> None:
        self._states = list(states)
        self.asked: list[int] = []

    @override
    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Answer as the state of now says."""
        assert stream == "FOREBAY_EVENTS_0"
        self.asked.append(len(subjects))
        state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if state is None:
            message = "NATS did not answer"
            raise StoreUnavailable(message)
        return {name: state[name] for name in subjects if name in state}


OWN = {f"{EVENTS}own7": 7}
BEFORE = {f"{EVENTS}higher7": 5}
AFTER = {f"{EVENTS}higher7": 9}


async def test_a_status_is_late_where_a_higher_one_was_claimed_before_it() -> None:
    assert await superseded(Replicas(OWN | BEFORE), [status(7)], 0) == {7}
    assert await superseded(Replicas(OWN | AFTER), [status(7)], 0) == set()


async def test_it_is_late_where_any_partition_has_a_higher_one_before_it() -> None:
    here, there = (f"forebay.event.0.{p}.status.demo.shop.statuses.higher7" for p in ("07", "03"))
    asked = StatusQuery(7, f"{EVENTS}own7", [here, there], is_ordered=True)
    for first, second in ((5, 9), (9, 5)):
        assert await superseded(Replicas(OWN | {here: first, there: second}), [asked], 0) == {7}
    assert await superseded(Replicas(OWN | {here: 9, there: 8}), [asked], 0) == set()


async def test_outside_the_order_it_is_late_where_a_higher_one_is_claimed_at_all() -> None:
    assert await superseded(Replicas(OWN | AFTER), [status(7, is_ordered=False)], 0) == {7}
    assert await superseded(Replicas(OWN), [status(7, is_ordered=False)], 0) == set()


async def test_a_replica_that_is_behind_is_asked_again() -> None:
    replicas = Replicas({}, {}, OWN | BEFORE)
    assert await superseded(replicas, [status(7)], 0) == {7}
    assert len(replicas.asked) == 3


async def test_no_answer_is_waited_for() -> None:
    replicas = Replicas(*[None] * (REPLICA_TRIES + 5), OWN | BEFORE)
    assert await superseded(replicas, [status(7)], 0) == {7}


async def test_what_somebody_removed_from_events_is_not_waited_for() -> None:
    replicas = Replicas({})
    assert await superseded(replicas, [status(7)], 0) == set()
    assert len(replicas.asked) == REPLICA_TRIES


async def test_a_large_batch_is_asked_in_parts() -> None:
    queries = [status(number) for number in range(1, 2 * AT_ONCE + 2)]
    state = {one.own: one.sequence for one in queries} | {queries[-1].higher[0]: 1}
    replicas = Replicas(state)
    assert await superseded(replicas, queries, 0) == {2 * AT_ONCE + 1}
    assert replicas.asked == [AT_ONCE + 1, AT_ONCE + 1, 2]
