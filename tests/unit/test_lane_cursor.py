"""What is known of a lane's rows: above the cursor they are read, below it somebody noted them."""

from typing import cast

import pytest

from forebay_processor.delivery.lane_cursor import BacklogState, LaneCursor
from forebay_processor.shared.partition_view import Partition

FLOOR = 100


def lane(first: int | None = None) -> LaneCursor:
    """Return a lane whose first row is this one, in a RETRY that ended at 100."""
    backlog = LaneCursor(cast("Partition", None), "forebay.retry.0.00.live.demo.shop.sink.>")
    backlog.begin(first, FLOOR)
    return backlog


@pytest.mark.parametrize(
    ("first", "state", "cursor"),
    [(None, BacklogState.CAUGHT_UP, FLOOR), (7, BacklogState.BEHIND, 6)],
)
def test_it_begins_with_what_retry_says(
    first: int | None, state: BacklogState, cursor: int
) -> None:
    backlog = lane(first)
    assert (backlog.state, backlog.cursor) == (state, cursor)


def test_the_first_answer_counts() -> None:
    backlog = lane(None)
    backlog.begin(3, FLOOR)
    assert backlog.is_caught_up


def test_a_row_that_was_stored_before_the_answer_is_read() -> None:
    backlog = LaneCursor(cast("Partition", None), ">")
    assert not backlog.stored(120, has_room=True)
    backlog.begin(None, FLOOR)
    assert (backlog.state, backlog.cursor) == (BacklogState.BEHIND, FLOOR)


@pytest.mark.parametrize("has_room", [True, False])
def test_a_row_that_is_stored_is_known_where_there_is_room_for_it(has_room: bool) -> None:  # noqa: FBT001  # a parameter of the test
    backlog = lane()
    assert backlog.stored(120, has_room=has_room) is has_room
    assert backlog.is_caught_up is has_room
    assert backlog.cursor == (120 if has_room else FLOOR)


def test_a_row_that_is_confirmed_late_is_noted_by_who_stored_it() -> None:
    backlog = lane()
    assert backlog.stored(130, has_room=True)
    assert not backlog.stored(140, has_room=False)
    # Its store was confirmed when newer ones were: no reader comes to it any more.
    assert backlog.stored(125, has_room=False)
    assert not backlog.is_caught_up


def test_it_is_caught_up_when_the_leader_has_no_more() -> None:
    backlog = lane(7)
    backlog.passes(90)
    assert backlog.ends(90, backlog.last_stored)
    assert backlog.is_caught_up


def test_it_is_not_where_a_row_was_stored_while_the_leader_was_asked() -> None:
    backlog = lane(7)
    backlog.passes(90)
    known = backlog.last_stored
    assert not backlog.stored(120, has_room=True)
    assert not backlog.ends(90, known)


def test_it_is_not_where_the_answer_is_of_another_place() -> None:
    backlog = lane(7)
    backlog.passes(90)
    backlog.step_back(80)
    assert not backlog.ends(90, backlog.last_stored)


def test_a_row_that_was_deleted_by_hand_is_not_waited_for() -> None:
    backlog = lane(7)
    backlog.passes(90)
    backlog.stored(120, has_room=False)
    assert backlog.ends(90, 120)
    assert backlog.cursor == 120


def test_what_somebody_else_wrote_is_read() -> None:
    backlog = lane()
    backlog.shown(FLOOR)
    assert backlog.is_caught_up
    backlog.shown(FLOOR + 1)
    assert not backlog.is_caught_up
    assert backlog.cursor == FLOOR


def test_what_is_forgotten_is_read_again() -> None:
    backlog = lane()
    assert backlog.stored(120, has_room=True)
    backlog.step_back(110)
    assert (backlog.state, backlog.cursor) == (BacklogState.BEHIND, 109)
    backlog.step_back(115)
    assert backlog.cursor == 109
