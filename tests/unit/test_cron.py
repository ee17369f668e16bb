"""When a cron expression comes due, in any zone, also where clocks are put forward or back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.cron import check_cron, last_due, next_due, zone_named

VIENNA = "Europe/Vienna"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "zone", "at", "last", "following"),
    [
        # Monday 7 December 2026, 9 o'clock in Vienna.
        ("0 9 * * MON", VIENNA, "2026-12-07T07:59:59", "2026-11-30T08:00", "2026-12-07T08:00"),
        ("0 9 * * MON", VIENNA, "2026-12-07T08:00:00", "2026-12-07T08:00", "2026-12-14T08:00"),
        ("*/15 * * * *", "UTC", "2026-12-07T08:14:59", "2026-12-07T08:00", "2026-12-07T08:15"),
        ("0 0 1 1 *", "UTC", "2026-12-07T08:00:00", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("0 12 L * *", "Asia/Tokyo", "2026-02-28T03:00:00", "2026-02-28T03:00", "2026-03-31T03:00"),
        # 25 October 2026, ten past two for the second time: half past two was, and is tomorrow.
        ("30 2 * * *", VIENNA, "2026-10-25T01:10:00", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("0 0 29 2 *", "UTC", "2026-12-07T08:00:00", "2024-02-29T00:00", "2028-02-29T00:00"),
    ],
)
def test_it_is_due_by_the_wall_clock_of_its_zone(
    cron: str, zone: str, at: str, last: str, following: str
) -> None:
    assert last_due(cron, zone_named(zone), utc(at)) == utc(last)
    assert next_due(cron, zone_named(zone), utc(at)) == utc(following)


def due_between(cron: str, zone: str, begin: str, end: str) -> list[str]:
    """Return when it is due, later than `begin` until `end`: asked forwards and backwards."""
    forwards: list[datetime] = []
    at = utc(begin)
    while (found := next_due(cron, zone_named(zone), at)) is not None and found <= utc(end):
        forwards.append(found)
        at = found
    backwards: list[datetime] = []
    at = utc(end)
    while (found := last_due(cron, zone_named(zone), at)) is not None and found > utc(begin):
        backwards.append(found)
        at = found - timedelta(seconds=1)
    assert forwards == backwards[::-1]
    return [each.strftime("%H:%M") for each in forwards]


def test_in_the_hour_that_is_left_out_it_is_due_right_behind_it() -> None:
    # 29 March 2026: 2 o'clock is 3 o'clock, at 01:00 UTC.
    night = (VIENNA, "2026-03-28T22:00", "2026-03-29T10:00")
    assert due_between("30 2 * * *", *night) == ["01:00"]
    assert due_between("30 3 * * *", *night) == ["01:30"]
    # By the time that passes: once an hour.
    assert due_between("30 * * * *", VIENNA, "2026-03-28T23:59", "2026-03-29T03:00") == [
        "00:30",
        "01:30",
        "02:30",
    ]


def test_in_the_hour_that_comes_twice_it_is_due_once_the_first_time() -> None:
    # 25 October 2026: 3 o'clock is 2 o'clock, at 01:00 UTC.
    night = (VIENNA, "2026-10-24T22:00", "2026-10-25T10:00")
    assert due_between("30 2 * * *", *night) == ["00:30"]
    assert due_between("0 3 * * *", *night) == ["02:00"]
    assert due_between("30 * * * *", VIENNA, "2026-10-24T23:59", "2026-10-25T02:00") == [
        "00:30",
        "01:30",
    ]


@given(
    cron=st.sampled_from(
        [
            "30 2 * * *",
            "0 */6 * * *",
            "59 23 L * *",
            "*/7 1-3 * * SUN",
            "0 9 1,15 * *",
            "5 4 * * MON#2",
        ]
    ),
    zone=st.sampled_from(
        [
            VIENNA,
            "UTC",
            "America/New_York",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
            "Africa/Casablanca",
        ]
    ),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_nothing_is_due_between_the_last_time_and_the_next(
    cron: str, zone: str, at: datetime
) -> None:
    where = zone_named(zone)
    last, following = last_due(cron, where, at), next_due(cron, where, at)
    assert last is not None
    assert following is not None
    assert last <= at < following
    assert next_due(cron, where, last) == following
    assert last_due(cron, where, following - timedelta(seconds=1)) == last


@pytest.mark.parametrize(
    "cron",
    [
        "0 9 * *",
        "0 9 * * MON *",
        "@daily",
        "61 * * * *",
        "* 24 * * *",
        "0 0 31 4 *",
        "0 0 30 2 *",
        "*/0 * * * *",
        "5-1 * * * *",
        "x * * * *",
        "",
        "0 9 * * MON#6",
        f"{'9' * 5000} * * * *",
    ],
)
def test_what_is_none_is_refused_in_words(cron: str) -> None:
    with pytest.raises(ValueError, match="write minute, hour"):
        check_cron(cron)


@given(st.from_regex(r"[0-9A-Za-z*,/#-]{1,12}( [0-9A-Za-z*,/#-]{1,12}){4}\Z"))
def test_anything_is_read_or_refused(cron: str) -> None:
    try:
        check_cron(cron)
    except ValueError:
        return
    assert next_due(cron, zone_named(VIENNA), utc("2026-01-01T00:00")) is not None


@pytest.mark.parametrize("name", ["Europe/Nowhere", "Europe", "../etc/passwd", "", "a" * 300])
def test_a_zone_that_is_none_is_refused_in_words(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        zone_named(name)
