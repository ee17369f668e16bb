"""Cutting takes work in proportion to the body, and no memory for items that nobody holds.

Work is counted, never timed: by the calls that Python makes.
"""

import sys
import tracemalloc
from collections import deque
from collections.abc import Callable
from types import FrameType

import pytest

from forebay.core.json_values import Json
from forebay.core.providers.registry import provider_of
from support.timing.further import one_in

cut = provider_of("meta").body_format.cut

AROUND = {"metadata": {"phone_number_id": "1082"}, "future": "x" * 1900}


def message(number: int) -> Json:
    return {"id": f"wamid.{number}", "from": str(number), "timestamp": "17", "type": "text"}


def change(value: Json, field: str = "messages") -> Json:
    return {"field": field, "value": {**AROUND, **value}}


def entries(*changes: Json) -> Json:
    return {"entry": [{"id": "1022", "changes": list(changes)}]}


def many_messages(count: int) -> Json:
    return entries(change({"messages": [message(number) for number in range(count)]}))


def empty_messages(count: int) -> Json:
    return entries(change({"messages": [{} for _ in range(count)]}))


def many_contacts(count: int) -> Json:
    contacts = [{"wa_id": str(number)} for number in range(count)]
    messages = [message(number) for number in range(count)]
    return entries(change({"contacts": contacts, "messages": messages}))


def contacts_of_nobody(count: int) -> Json:
    contacts = [{"wa_id": f"x{number}"} for number in range(count)]
    return entries(change({"contacts": contacts, "messages": [message(1)]}))


def many_changes(count: int) -> Json:
    return entries(*(change({"messages": [message(number)]}) for number in range(count)))


def many_large_rests(count: int) -> Json:
    rest = {"future": "x" * 3000}
    return entries(*(change({**rest, "messages": [message(number)]}) for number in range(count)))


def many_entries(count: int) -> Json:
    return {"entry": [*many_messages(1)["entry"]] * count, "future": "x" * 1900}


def one_thread(count: int) -> Json:
    thread = {"id": "1555", "messages": [message(number) for number in range(count)]}
    return entries(
        change({"history": [{"metadata": {"phase": 1}, "threads": [thread]}]}, "history")
    )


def many_threads(count: int) -> Json:
    rest = "x" * 3000
    threads = [
        {"id": str(number), "future": rest, "messages": [message(number)]}
        for number in range(count)
    ]
    return entries(change({"history": [{"threads": threads}]}, "history"))


def many_chunks(count: int) -> Json:
    full = {"threads": [{"id": "1", "future": "x" * 3000, "messages": [message(1)]}]}
    chunks = [{"metadata": {"progress": number}} for number in range(count)]
    return entries(change({"history": [*chunks, *[full] * count]}, "history"))


def unknown_lists(count: int) -> Json:
    return entries(change({f"list_{number}": [{"id": "x"}] for number in range(count)}))


def many_errors(count: int) -> Json:
    return entries(change({"errors": [{"code": number} for number in range(count)]}))


SHAPES: list[Callable[[int], Json]] = [
    many_messages,
    empty_messages,
    many_contacts,
    contacts_of_nobody,
    many_changes,
    many_large_rests,
    many_entries,
    one_thread,
    many_threads,
    many_chunks,
    unknown_lists,
    many_errors,
]


def calls_of(document: Json) -> int:
    """Count the calls that cutting a document takes, in Python and in C."""
    calls = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        deque(cut(document, body_sha256="", received_at=0.0), maxlen=0)
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("shape", one_in(4, SHAPES))
def test_twice_the_items_are_twice_the_work(shape: Callable[[int], Json]) -> None:
    once, twice = calls_of(shape(400)), calls_of(shape(800))
    assert twice < 2.1 * once + 200


@pytest.mark.parametrize(
    "shape", one_in(4, [one_thread, empty_messages, many_changes, many_entries])
)
def test_items_that_nobody_holds_take_no_memory(shape: Callable[[int], Json]) -> None:
    document = shape(3000)
    tracemalloc.start()
    try:
        deque(cut(document, body_sha256="", received_at=0.0), maxlen=0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A list of 3,000 is 24 KB; one item with all that is around it takes some 4 KB.
    assert most < 100_000


def test_what_is_around_is_shared_by_all_items() -> None:
    document = empty_messages(2000)
    items = cut(document, body_sha256="", received_at=0.0)
    rests = {id(item.data["value"]["future"]) for item in items}
    assert rests == {id(document["entry"][0]["changes"][0]["value"]["future"])}
