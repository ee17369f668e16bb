"""One row for each item, of the records of the index: what became of it in a time."""

import pytest

from forebay.core import index_listing
from forebay.core.index_listing import IndexFilter, ItemRow, ItemRows, MessageItems
from forebay.core.index_records import IndexOutcome, IndexRecord, ItemHandled, ItemStored

EVERY = IndexFilter()


def stored(
    token: str,
    at: int = 0,
    outcome: IndexOutcome = IndexOutcome.NEW,
    *,
    endpoint: str = "acme/shop",
    channel: str = "1065",
    message: str = "m",
) -> ItemStored:
    return ItemStored(
        at=at,
        token=token,
        message=message,
        endpoint=endpoint,
        kind="messages",
        conversation="c0ffee",
        channel=channel,
        outcome=outcome,
        received=at,
        raw=7,
    )


def handled(
    token: str, at: int, outcome: IndexOutcome, destination: str = "crm", attempt: int = 1
) -> ItemHandled:
    return ItemHandled(
        at=at,
        token=token,
        endpoint="acme/shop",
        kind="messages",
        conversation="c0ffee",
        channel="1065",
        destination=destination,
        outcome=outcome,
        attempt=attempt,
        millis=3,
        why="",
    )


def rows_of(
    records: list[IndexRecord], wanted: IndexFilter = EVERY, most: int | None = None
) -> list[ItemRow]:
    rows = ItemRows("0", wanted, most)
    for record in records:
        rows.add(record)
    return rows.take_all()


def tokens(rows: list[ItemRow]) -> list[str]:
    return [row.any.token for row in rows]


def test_an_item_is_one_row_with_what_happened_last_at_each_destination() -> None:
    (row,) = rows_of(
        [
            stored("a", 1),
            handled("a", 2, IndexOutcome.FAILED),
            handled("a", 9, IndexOutcome.DELIVERED, attempt=2),
            handled("a", 5, IndexOutcome.FAILED, "bi"),
        ]
    )
    assert {name: each.outcome for name, each in row.last.items()} == {
        "crm": IndexOutcome.DELIVERED,
        "bi": IndexOutcome.FAILED,
    }
    assert row.stored is not None
    assert row.outcomes == {IndexOutcome.DELIVERED, IndexOutcome.FAILED}


def test_rows_come_by_the_time_of_their_first_happening_however_records_lie() -> None:
    records: list[IndexRecord] = [
        handled("b", 4, IndexOutcome.DELIVERED),
        stored("a", 2),
        stored("b", 3),
        stored("c", 1),
    ]
    assert tokens(rows_of(records)) == ["c", "a", "b"]


def test_an_item_of_which_only_attempts_are_in_the_time_is_listed_too() -> None:
    wanted = IndexFilter(since=5, until=10)
    records: list[IndexRecord] = [
        stored("a", 4),
        handled("a", 5, IndexOutcome.FAILED),
        handled("a", 10, IndexOutcome.DELIVERED, attempt=2),
    ]
    (row,) = rows_of(records, wanted)
    assert row.stored is None
    assert row.outcomes == {IndexOutcome.FAILED}


def test_an_outcome_is_what_an_item_came_to_and_not_what_was_on_the_way() -> None:
    records: list[IndexRecord] = [
        stored("a", 1),
        handled("a", 2, IndexOutcome.FAILED),
        handled("a", 3, IndexOutcome.DELIVERED, attempt=2),
        stored("b", 1),
        handled("b", 2, IndexOutcome.FAILED),
        stored("c", 1),
    ]
    assert tokens(rows_of(records, IndexFilter(outcome=IndexOutcome.FAILED))) == ["b"]
    assert tokens(rows_of(records, IndexFilter(outcome=IndexOutcome.DELIVERED))) == ["a"]
    assert tokens(rows_of(records, IndexFilter(outcome=IndexOutcome.NEW))) == ["c"]


def test_a_repeat_and_a_variant_are_found_whatever_else_became_of_them() -> None:
    records: list[IndexRecord] = [
        stored("a", 1),
        handled("a", 2, IndexOutcome.DELIVERED),
        stored("a", 3, IndexOutcome.REPEAT),
        stored("b", 1, IndexOutcome.VARIANT),
        handled("b", 2, IndexOutcome.DELIVERED),
    ]
    assert tokens(rows_of(records, IndexFilter(outcome=IndexOutcome.REPEAT))) == ["a"]
    assert tokens(rows_of(records, IndexFilter(outcome=IndexOutcome.VARIANT))) == ["b"]


def test_a_destination_is_judged_by_itself() -> None:
    records: list[IndexRecord] = [
        stored("a", 1),
        handled("a", 2, IndexOutcome.DELIVERED, "crm"),
        handled("a", 2, IndexOutcome.FAILED, "bi"),
        stored("b", 1),
        handled("b", 2, IndexOutcome.DELIVERED, "crm"),
    ]
    assert tokens(rows_of(records, IndexFilter(destination="bi"))) == ["a"]
    failed = IndexFilter(destination="crm", outcome=IndexOutcome.FAILED)
    assert tokens(rows_of(records, failed)) == []


@pytest.mark.parametrize(
    "wanted",
    [
        IndexFilter(endpoint="acme/other"),
        IndexFilter(channel="1066"),
        IndexFilter(kind="statuses"),
        IndexFilter(conversation="c0"),
        IndexFilter(token="b"),
        IndexFilter(since=2),
        IndexFilter(until=1),
    ],
)
def test_each_filter_leaves_an_item_out(wanted: IndexFilter) -> None:
    assert rows_of([stored("a", 1)], wanted) == []


def test_two_endpoints_with_one_message_are_two_rows() -> None:
    assert len(rows_of([stored("a"), stored("a", endpoint="acme/other")])) == 2


def test_no_more_rows_are_held_than_are_shown_and_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_listing, "HELD_ROWS", 10)
    rows = ItemRows("0", EVERY, 3)
    for number in range(50):
        rows.add(stored(f"{number:02}", number))
        assert not rows.is_full
    assert tokens(rows.take_all()) == ["00", "01", "02", "03"]


def test_what_is_beyond_the_memory_is_given_out_oldest_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_listing, "HELD_ROWS", 10)
    rows, found, times = ItemRows("0", EVERY), [], 0
    for number in range(95):
        rows.add(stored(f"{number:02}", number))
        if rows.is_full:
            given = rows.take_oldest()
            assert len(given) == 5
            found += given
            times += 1
    last = rows.take_all()
    assert len(last) < 10
    assert times == 18
    found += last
    assert tokens(found) == [f"{number:02}" for number in range(95)]


def test_one_record_is_shown_by_its_own_outcome_and_destination() -> None:
    failed = handled("a", 1, IndexOutcome.FAILED)
    assert IndexFilter(outcome=IndexOutcome.FAILED).shows(failed)
    assert not IndexFilter(outcome=IndexOutcome.DEAD).shows(failed)
    assert IndexFilter(destination="crm").shows(failed)
    assert not IndexFilter(destination="bi").shows(failed)
    assert not IndexFilter(destination="crm").shows(stored("a"))


def test_a_message_s_items_are_known_from_their_store_on() -> None:
    items = MessageItems("digest")
    other, own = stored("b", message="x"), stored("a", message="digest")
    attempt = handled("a", 1, IndexOutcome.FAILED)
    assert items.about_it([attempt, other, own]) == [attempt, own]
    assert items.about_it([handled("b", 1, IndexOutcome.FAILED), attempt]) == [attempt]
