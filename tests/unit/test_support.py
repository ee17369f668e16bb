"""The helpers that judge: one that always says yes would make every test over it worthless."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.destinations.sink import Arrival, Sink
from support.inputs.corpus import payload
from support.inputs.private import found
from support.programs.processes import Part
from support.timing.wait import eventually

INFO = json.dumps({"level": "info", "event": "started"})
ERROR = json.dumps({"level": "error", "event": "store_failed"})


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return Part("receiver", folder=tmp_path, nats_url="nats://127.0.0.1:1", table_dir=tmp_path)


@pytest.fixture
def values() -> Iterator[int]:
    return iter(range(3))


def arrival(key: str, status: int | None) -> Arrival:
    return Arrival(key=key, attempt=1, path="/", headers={}, body=b"{}", at=0.0, status=status)


async def test_waiting_ends_as_soon_as_the_condition_is_true(values: Iterator[int]) -> None:
    assert await eventually(lambda: next(values)) == 1


async def test_waiting_in_vain_fails_and_says_what_was_seen_last() -> None:
    with pytest.raises(AssertionError, match=r"in vain for the moon; last seen: \[\]"):
        await eventually(list[int], within=0.0, saying="the moon")


def test_an_error_in_the_log_is_found(part: Part) -> None:
    part.log.write_text(f"{INFO}\n{ERROR}\n")
    assert part.unexpected_errors() == [ERROR]


def test_an_expected_error_is_none(part: Part) -> None:
    part.log.write_text(f"{INFO}\n{ERROR}\n")
    part.expect_errors("store_failed")
    assert part.unexpected_errors() == []


def test_expecting_one_error_does_not_excuse_another(part: Part) -> None:
    part.log.write_text(f"{ERROR}\n")
    part.expect_errors("other_failed")
    assert part.unexpected_errors() == [ERROR]


def test_a_traceback_around_the_log_is_an_error(part: Part) -> None:
    part.log.write_text(f"Traceback (most recent call last):\n{INFO}\n")
    assert part.unexpected_errors() == ["Traceback (most recent call last):"]


async def test_the_ledger_distinguishes_repeats_from_refusals() -> None:
    sink = Sink()
    sink.arrivals += [arrival("a", 503), arrival("a", 200), arrival("b", 200), arrival("b", 200)]
    sink.arrivals.append(arrival("c", None))
    assert sink.keys == {"a", "b"}
    assert sink.repeats == {"b": 1}


def test_timed_keys_follow_the_time_of_arrival() -> None:
    each = payload("messages-errors")
    assert each.keys(600.0)[0].endswith(":2")
    assert each.webhook_ids(599.0) != each.webhook_ids(600.0)


@pytest.mark.parametrize(
    ("needle", "text"),
    [
        ("52.5001", '{"latitude": 52.5001, "longitude": 13.4002}'),
        ("52.5001", "at=52.5001"),
        ("-0.1278", "[-0.1278]"),
        ("15550001234", "a155500012349"),
        ("Cancel", "button: Cancel."),
        ("Café at 10?", r"text=Caf\u00e9 at 10?"),
        ("Café at 10?", "/?q=Caf%C3%A9+at+10%3F"),
        ("Thanks!", "VGhhbmtzIQ=="),
    ],
)
def test_what_is_private_is_found_however_it_is_written(needle: str, text: str) -> None:
    (hit,) = found({needle}, {"log": text})
    assert hit.startswith(f"log: {needle!r}")


@pytest.mark.parametrize(
    ("needle", "text"),
    [
        ("52.5001", "2026-11-23T21:22:52.500122Z"),  # a time in microseconds
        ("52.5001", "seconds_sum 152.5001"),
        ("52.5001", "version 1.52.5001"),
        ("Cancel", "CancelledError"),
    ],
)
def test_what_is_part_of_something_else_is_not_private(needle: str, text: str) -> None:
    assert found({needle}, {"log": text}) == []
