"""Who owns which partition: even, with few moves, and never two at a time."""

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core.consumer_ack_floors import AckFloor
from forebay.core.subjects import PARTITIONS
from forebay_processor.ownership.assignment import (
    KINDS,
    FailureDetector,
    next_table,
    owned,
    partition_ids,
    surplus,
)
from forebay_processor.shared.lease_table import Assignment, LeaseTable, Member


def step(table: LeaseTable, me: str, **what: object) -> LeaseTable:
    """Take a step as a processor that gives back at once what it has too much."""
    after = next_table(table, me, listener_id=f"listener of {me}", **what)  # type: ignore[arg-type]
    if me in after.members and (given := surplus(after, me)):
        return next_table(after, me, listener_id=f"listener of {me}", released=given)
    return after


def settled(table: LeaseTable, *members: str) -> LeaseTable:
    """Let members take steps until nothing changes."""
    for _ in range(3):
        for member in members:
            table = step(table, member)
    return table


def counts(table: LeaseTable, kind: str) -> Counter[str]:
    return Counter(table.assignment(partition_id).owner for partition_id in partition_ids(kind))


def test_the_first_one_takes_everything_in_one_step() -> None:
    table = step(LeaseTable(), "a")
    assert len(owned(table, "a")) == PARTITIONS * len(KINDS)


@settings(deadline=None)  # another process may have the core
@given(st.integers(1, 20))
def test_ownership_is_even(count: int) -> None:
    names = [f"member-{number:02d}" for number in range(count)]
    table = settled(LeaseTable(), *names)
    for kind in KINDS:
        owners = counts(table, kind)
        assert owners.total() == PARTITIONS
        assert set(owners) <= set(names)
        sizes = [owners[name] for name in names]
        assert max(sizes) - min(sizes) <= 1


def test_who_joins_moves_no_more_than_its_share() -> None:
    before = settled(LeaseTable(), "a", "b")
    after = settled(before, "a", "b", "c")
    for kind in KINDS:
        moved = [
            partition_id
            for partition_id in partition_ids(kind)
            if before.assignment(partition_id).owner != after.assignment(partition_id).owner
        ]
        assert len(moved) == PARTITIONS // 3
        assert {after.assignment(partition_id).owner for partition_id in moved} == {"c"}


def test_what_is_owned_is_not_taken_before_it_is_given_back() -> None:
    table = step(LeaseTable(), "a")
    joined = next_table(table, "b", listener_id="other")
    assert owned(joined, "b") == {}
    assert len(surplus(joined, "a")) == PARTITIONS
    assert owned(joined, "a") == owned(table, "a")


def test_what_is_somebody_elses_meanwhile_is_not_written_about() -> None:
    table = settled(LeaseTable(), "a", "b")
    partitions_of_b = owned(table, "b")
    floor = AckFloor(9, 9)
    after = next_table(
        table,
        "a",
        listener_id="listener of a",
        floors=dict.fromkeys(partitions_of_b, 9),
        acked={partition_id: {"live": floor} for partition_id in partitions_of_b},
    )
    assert partitions_of_b
    for partition_id in partitions_of_b:
        assert after.assignment(partition_id) == table.assignment(partition_id)


def test_the_dead_ones_partitions_are_taken_in_the_step_that_declares_it_dead() -> None:
    table = settled(LeaseTable(), "a", "b")
    after = next_table(table, "b", listener_id="listener of b", dead={"a"})
    assert "a" not in after.members
    assert len(owned(after, "b")) == PARTITIONS * len(KINDS)
    for partition_id, epoch in owned(table, "a").items():
        assert after.assignment(partition_id).epoch == epoch + 1


def test_who_comes_with_the_same_listener_replaces_the_one_before() -> None:
    table = step(LeaseTable(), "a")
    after = next_table(table, "b", listener_id="listener of a")
    assert set(after.members) == {"b"}
    assert len(owned(after, "b")) == PARTITIONS * len(KINDS)
    assert all(epoch == 2 for epoch in owned(after, "b").values())


def test_who_was_declared_dead_comes_back_with_nothing() -> None:
    table = settled(LeaseTable(), "a", "b")
    table = next_table(table, "b", listener_id="listener of b", dead={"a"})
    back = next_table(table, "a", listener_id="listener of a")
    assert owned(back, "a") == {}
    assert "a" in back.members


def test_a_table_of_before_gives_nobody_what_it_does_not_know_of() -> None:
    # NATS lost the last minutes in a power cut: the table names an owner that is no member.
    table = step(LeaseTable(), "a")
    without = LeaseTable(partitions=table.partitions)
    after = next_table(without, "a", listener_id="listener of a")
    assert all(epoch == 2 for epoch in owned(after, "a").values())


def test_who_leaves_takes_nothing_and_is_gone_with_its_last_partition() -> None:
    table = settled(LeaseTable(), "a", "b")
    leaving = next_table(table, "a", listener_id="listener of a", leaving=True)
    mine = surplus(leaving, "a")
    assert set(mine) == set(owned(table, "a"))
    half = next_table(leaving, "a", listener_id="listener of a", leaving=True, released=mine[:5])
    assert set(owned(half, "a")) == set(mine[5:])
    # The other one takes them as they become free, without waiting for the rest.
    half = next_table(half, "b", listener_id="listener of b")
    assert len(owned(half, "b")) == 2 * PARTITIONS - len(mine) + 5
    gone = next_table(half, "a", listener_id="listener of a", leaving=True, released=mine)
    assert set(gone.members) == {"b"}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from(["beat", "kill", "leave"]))))
def test_an_epoch_never_has_two_owners(events: list[tuple[str, str]]) -> None:
    table = LeaseTable()
    owners: dict[tuple[str, int], str] = {}
    for name, event in events:
        match event:
            case "kill":
                table = step(table, "watcher", dead={name})
            case "leave":
                table = next_table(
                    table, name, listener_id=name, leaving=True, released=list(owned(table, name))
                )
            case _:
                table = step(table, name)
        for partition_id, assignment in table.partitions.items():
            if assignment.owner:
                assert assignment.owner in table.members
                owner = owners.setdefault((partition_id, assignment.epoch), assignment.owner)
                assert owner == assignment.owner


def test_a_member_is_dead_when_its_beat_stood_still_while_the_table_was_read() -> None:
    detector = FailureDetector(6.0, 1.5)
    table = settled(LeaseTable(), "a", "b")
    assert [bool(detector.observe(table, float(now))) for now in range(8)] == [False] * 6 + [
        True
    ] * 2


def test_time_in_which_the_table_could_not_be_read_does_not_count() -> None:
    detector = FailureDetector(6.0, 1.5)
    table = settled(LeaseTable(), "a")
    detector.observe(table, 0.0)
    assert detector.observe(table, 100.0) == set()


def test_a_beat_begins_the_wait_anew() -> None:
    detector = FailureDetector(6.0, 1.5)
    table = settled(LeaseTable(), "a")
    for now in range(6):
        detector.observe(table, float(now))
    table = step(table, "a")
    assert detector.observe(table, 6.0) == set()
    assert detector.observe(table, 7.0) == set()


def test_the_stored_table_keeps_its_words() -> None:
    table = LeaseTable(
        members={"a": Member(listener_id="here", heartbeat=3)},
        partitions={"raw.00": Assignment(owner="a", epoch=2)},
    )
    assert msgspec.to_builtins(table) == {
        "members": {"a": {"place": "here", "beat": 3}},
        "partitions": {"raw.00": {"owner": "a", "epoch": 2}},
    }
