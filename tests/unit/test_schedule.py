"""What a channel's throughput is at a moment, by its windows and their lead times."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.compile import max_in_flight
from forebay.core.resource import Throughput
from forebay.core.schedule import load_at, webhooks_per_second
from forebay.core.throughput_spec import ScheduleWindow

NINE = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
"""Monday, 9 o'clock in Vienna."""


def window(name: str = "campaign", **given: object) -> dict[str, object]:
    return {
        "name": name,
        "cron": "0 9 * * MON",
        "timeZone": "Europe/Vienna",
        "duration": "2h",
        "leadTime": "10m",
        "messagesPerSecond": 400,
    } | given


def throughput(*windows: dict[str, object], **given: object) -> Throughput:
    return Throughput.model_validate_json(
        json.dumps({"schedule": windows} | given), by_alias=True, by_name=False
    )


@pytest.mark.parametrize(
    ("minutes", "messages"),
    [(-11, 80), (-10, 400), (0, 400), (119, 400), (120, 80), (7 * 24 * 60 - 10, 400)],
)
def test_a_window_counts_from_its_lead_time_until_its_end(minutes: int, messages: int) -> None:
    load = load_at(throughput(window()), NINE + timedelta(minutes=minutes))
    assert load.throughput.messages_per_second == messages
    assert (load.window is not None) == (messages == 400)


def test_it_says_when_the_window_began_when_it_ends_and_which_is_next() -> None:
    lunch = window("lunch", cron="0 12 * * *", duration="1h", messagesPerSecond=200)
    load = load_at(throughput(window(), lunch), NINE)
    assert load.window is not None
    assert (load.window.name, load.window.begins) == ("campaign", NINE)
    assert load.window.ends == NINE + timedelta(hours=2)
    assert load.upcoming is not None
    assert (load.upcoming.name, load.upcoming.begins) == ("lunch", NINE + timedelta(hours=3))
    assert load.changes_at == NINE + timedelta(hours=2)


def test_what_is_asked_again_for_is_the_next_lead_time() -> None:
    load = load_at(throughput(window()), NINE + timedelta(hours=3))
    assert load.window is None
    assert load.changes_at == NINE + timedelta(days=7, minutes=-10)


def test_of_several_the_greatest_counts_by_its_webhooks() -> None:
    # 200 messages/s with ten replies each bring more than 400 with 0.3.
    chatty = window("chatty", messagesPerSecond=200, replyRatio=10)
    load = load_at(throughput(window(), chatty, window("small", messagesPerSecond=20)), NINE)
    assert load.window is not None
    assert load.window.name == "chatty"
    assert webhooks_per_second(load.throughput) == 2600


def test_a_window_below_what_is_declared_changes_nothing() -> None:
    load = load_at(throughput(window(messagesPerSecond=20)), NINE)
    assert load.throughput.messages_per_second == 80
    assert load.window is None


def test_replies_are_as_many_as_ever_where_a_window_does_not_say() -> None:
    load = load_at(throughput(window(), replyRatio=2), NINE)
    assert load.throughput == Throughput(messages_per_second=400, reply_ratio=2)


def test_a_window_lasts_as_long_whatever_the_clocks_do() -> None:
    # From 1 o'clock for four hours, in the night in which 2 o'clock is 3 o'clock.
    night = window(cron="0 1 * * *", duration="4h", leadTime="0s")
    begin = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    assert load_at(throughput(night), begin - timedelta(seconds=1)).window is None
    load = load_at(throughput(night), begin)
    assert load.window is not None
    assert load.window.ends == begin + timedelta(hours=4)


def test_without_a_schedule_nothing_ever_changes() -> None:
    load = load_at(Throughput(messages_per_second=7), NINE)
    assert (load.throughput.messages_per_second, load.window, load.upcoming) == (7, None, None)
    assert load.changes_at is None


def test_who_has_no_clock_holds_what_the_greatest_window_needs() -> None:
    assert max_in_flight(throughput(window(messagesPerSecond=1000))) == 9900
    assert (
        max_in_flight(load_at(throughput(window(messagesPerSecond=1000)), NINE).throughput) == 9900
    )
    assert max_in_flight(throughput()) == 792


WINDOWS = st.fixed_dictionaries(
    {
        "name": st.just("one"),
        "cron": st.sampled_from(
            ["0 9 * * *", "*/30 * * * *", "0 0 * * SUN", "30 2 * * *", "* * * * *"]
        ),
        "timeZone": st.sampled_from(["UTC", "Europe/Vienna", "America/New_York"]),
        "duration": st.sampled_from(["1m", "45m", "3h", "168h"]),
        "leadTime": st.sampled_from(["0s", "5m", "24h"]),
        "messagesPerSecond": st.integers(1, 1000),
    }
).map(ScheduleWindow.model_validate)


@given(
    windows=st.lists(WINDOWS, max_size=4),
    at=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    part=st.floats(0, 0.999),
)
def test_nothing_changes_before_it_says_so(
    windows: list[ScheduleWindow], at: datetime, part: float
) -> None:
    asked = Throughput(
        schedule=tuple(
            each.model_copy(update={"name": f"w{place}"}) for place, each in enumerate(windows)
        )
    )
    load = load_at(asked, at)
    assert webhooks_per_second(load.throughput) >= webhooks_per_second(Throughput())
    assert load.throughput.schedule == ()
    if load.changes_at is None:
        assert not windows
        return
    assert load.changes_at > at
    between = load_at(asked, at + (load.changes_at - at) * part)
    assert between.throughput == load.throughput
    assert between.upcoming == load.upcoming
