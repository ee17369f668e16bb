"""What a destination may have of RETRY and DEAD: one alone nearly all, others always something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.dead_letters import DeadReason
from forebay_processor.delivery.shares import (
    HELD_FROM,
    KEPT,
    LITTLE,
    DestinationShare,
    ShardShares,
    StreamShares,
)

LIMIT = 1_000_000
ROW = 100


class Retry:
    """One RETRY, whose partitions are spread over some processors."""

    def __init__(self, processors: int = 1) -> None:
        self.processors = [StreamShares() for _ in range(processors)]
        self.used = 0
        self._shares: dict[tuple[int, str, str], DestinationShare] = {}
        for each in self.processors:
            each.share(processors)
        self.poll()

    def share(self, namespace: str, name: str, processor: int = 0) -> DestinationShare:
        """Return what a processor knows of a destination."""
        key = processor, namespace, name
        if key not in self._shares:
            self._shares[key] = DestinationShare(self.processors[processor], namespace)
        return self._shares[key]

    def poll(self) -> None:
        """Let all processors ask how full it is."""
        for each in self.processors:
            fill = each.of("0").retry
            fill.end_poll(fill.begin_poll(), self.used, LIMIT)

    def store(self, namespace: str, name: str, processor: int = 0) -> bool:
        """Store one more row, where that may be."""
        share = self.share(namespace, name, processor)
        if not share.admits_row("0", ROW):
            return False
        share.row_begins("0", ROW)
        self.used += ROW
        return True

    def fill(self, namespace: str, name: str) -> int:
        """Store until no processor may store more; returns the bytes."""
        before = self.used
        going_on = True
        while going_on:
            going_on = False
            for number in range(len(self.processors)):
                going_on = self.store(namespace, name, number) or going_on
            self.poll()
        return self.used - before

    def delete(self, namespace: str, name: str, processor: int = 0) -> None:
        """Delete a row."""
        self.share(namespace, name, processor).weigh("0", -ROW)
        self.used -= ROW


def test_one_that_is_down_alone_has_nine_tenths_of_all_but_what_is_kept() -> None:
    assert Retry().fill("acme", "crm") == pytest.approx(0.9 * 0.95 * LIMIT, abs=2 * ROW)


def test_a_second_one_gets_what_the_first_left_and_something_is_left_for_a_third() -> None:
    retry = Retry()
    retry.fill("acme", "crm")
    second = retry.fill("other", "crm")
    assert second == pytest.approx(0.9 * 0.095 * LIMIT, abs=2 * ROW)
    assert retry.fill("third", "crm") > LITTLE * LIMIT - ROW


def test_two_that_fill_it_at_the_same_time_have_the_same() -> None:
    retry = Retry()
    while retry.store("acme", "crm") | retry.store("other", "crm"):
        pass
    (first, second) = (retry.share(each, "crm").rows for each in ("acme", "other"))
    assert first == second == pytest.approx(0.45 * LIMIT, rel=0.01)


def test_all_destinations_of_a_namespace_leave_a_part_to_others() -> None:
    retry = Retry()
    of_namespace = sum(retry.fill("acme", name) for name in ("crm", "second", "third"))
    assert of_namespace <= (0.95 * 0.95 + 3 * LITTLE) * LIMIT


def test_many_destinations_of_one_namespace_leave_room_for_another() -> None:
    retry = Retry()
    for number in range(200):
        retry.fill("acme", f"crm{number}")
    assert retry.used <= LIMIT * (1 - KEPT / 2)
    assert retry.fill("other", "crm") >= LITTLE * LIMIT - ROW


def test_a_neighbour_of_the_same_namespace_has_what_is_kept_for_destinations() -> None:
    retry = Retry()
    retry.fill("acme", "crm")
    retry.fill("acme", "second")
    assert retry.fill("acme", "third") >= LITTLE * LIMIT - ROW


def test_one_that_drains_may_have_more_again() -> None:
    retry = Retry()
    retry.fill("acme", "crm")
    for _ in range(50):
        retry.delete("acme", "crm")
    retry.poll()
    assert retry.store("acme", "crm")


@pytest.mark.parametrize("processors", [1, 2, 5])
def test_it_is_the_same_over_several_processors(processors: int) -> None:
    retry = Retry(processors)
    assert retry.fill("acme", "crm") == pytest.approx(0.9 * 0.95 * LIMIT, rel=0.01)


def test_one_of_a_single_conversation_is_not_taken_for_larger_than_it_is() -> None:
    retry = Retry(processors=4)
    while retry.store("acme", "crm", processor=2):
        retry.poll()
    assert retry.used == pytest.approx(0.9 * 0.95 * LIMIT, abs=2 * ROW)


def test_who_has_little_is_not_taken_for_the_one_that_fills_it_before_all_is_counted() -> None:
    retry = Retry()
    retry.used = int(0.96 * LIMIT)
    retry.poll()
    assert retry.store("acme", "crm")


def test_rows_on_their_way_count() -> None:
    retry = Retry()
    share = retry.share("acme", "crm")
    sizes = []
    while share.admits_row("0", LIMIT // 10):
        share.row_begins("0", LIMIT // 10)
        sizes.append(LIMIT // 10)
    assert sum(sizes) <= 0.9 * 0.95 * LIMIT
    for size in sizes:
        share.weigh("0", -size)
    retry.poll()
    assert share.rows == 0
    assert share.admits_row("0", LIMIT // 10)


def test_a_stream_without_limit_has_room_for_all() -> None:
    share = DestinationShare(StreamShares(), "acme")
    share.weigh("0", 10**15)
    assert share.admits_row("0", ROW)
    assert share.admits_letter("0", DeadReason.NO_ROOM, ROW)
    assert (share.used, share.is_held) == (0.0, False)


def test_what_is_stored_while_it_is_asked_how_full_it_is_counts() -> None:
    fill = ShardShares().retry
    begun = fill.begin_poll()
    fill.stored(70)
    fill.end_poll(begun, 1000, LIMIT)
    assert fill.used == 1070
    fill.end_poll(fill.begin_poll(), 1070, LIMIT)
    assert fill.used == 1070


def test_it_is_shown_how_much_of_its_share_is_used() -> None:
    retry = Retry()
    share = retry.share("acme", "crm")
    assert share.used == 0
    while retry.store("acme", "crm"):
        assert share.used <= 1
    assert share.used == pytest.approx(1, abs=0.01)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"), st.integers(1, 3000)),
        max_size=60,
    )
)
def test_whatever_comes_from_whom_something_is_left_for_who_has_little(
    stores: list[tuple[str, str, int]],
) -> None:
    retry = Retry()
    for namespace, name, count in stores:
        for _ in range(count):
            if not retry.store(namespace, name):
                break
    assert retry.used <= LIMIT
    assert retry.fill("newcomer", "crm") >= LITTLE * LIMIT - ROW


# DEAD


def dead(used: float) -> tuple[Retry, DestinationShare]:
    """Return a DEAD so full, and a destination that is down."""
    retry = Retry()
    retry.fill("acme", "crm")
    fill = retry.processors[0].of("0").dead
    fill.end_poll(fill.begin_poll(), int(used * LIMIT), LIMIT)
    return retry, retry.share("acme", "crm")


def test_what_found_no_room_leaves_a_fifth_of_dead_to_others() -> None:
    retry, share = dead(0.799)
    assert share.admits_letter("0", DeadReason.NO_ROOM, ROW)
    share.letter_begins("0", 2 * ROW * 10)
    assert not share.admits_letter("0", DeadReason.NO_ROOM, ROW)
    assert not share.admits_letter("0", DeadReason.EXPIRED, ROW)
    other = retry.share("other", "crm")
    assert other.admits_letter("0", DeadReason.REJECTED, ROW)
    assert not other.admits_letter("0", DeadReason.NO_ROOM, ROW)


def test_one_that_rejects_all_leaves_something_of_dead_to_others() -> None:
    retry, _ = dead(0.81)
    share, count = retry.share("other", "crm"), 0
    while share.admits_letter("0", DeadReason.REJECTED, ROW):
        share.letter_begins("0", ROW)
        share.letter_stored("0", ROW)
        count += 1
    assert count * ROW == 0.01 * LIMIT


def test_an_endpoint_is_held_when_dead_fills_and_its_destination_has_its_share() -> None:
    assert not dead(HELD_FROM - 0.01)[1].is_held
    retry, share = dead(HELD_FROM + 0.01)
    assert share.is_held
    assert not retry.share("other", "crm").is_held
    other = retry.share("third", "crm")
    assert retry.store("third", "crm")
    assert not other.is_held


def test_what_waits_in_one_shard_takes_nothing_of_another() -> None:
    """An endpoint that moves to streams of its own has rows in both."""
    retry = Retry()
    retry.fill("acme", "crm")
    (shares,) = retry.processors
    own = shares.of("d-1").retry
    own.end_poll(own.begin_poll(), 0, LIMIT)
    share = retry.share("acme", "crm")
    assert not share.admits_row("0", ROW)
    assert share.admits_row("d-1", ROW)
    share.row_begins("d-1", ROW)
    assert share.admits_row("d-1", ROW)
    # It is as full as where it has most.
    assert share.used > 0.9
