"""Every payload and case through a destination `python`, as a handler gets it.

`make unit ARGS="-k python_payloads --update-test-data"` writes tests/data/output/python anew: the
typed data of each event, as its handler reads it. The event itself is that of
tests/data/output/events.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from forebay.core.item_kinds import KINDS
from forebay.core.python_target import PythonTarget
from forebay.handler import Event
from forebay_processor.destinations.port import Attempt, Delivered
from forebay_processor.destinations.python.destination import PythonDestination
from forebay_processor.destinations.python.modules import PythonModules
from support.inputs.events import attempt_of, corpus_events
from support.inputs.splitting import split
from support.processor.processor_harness import webhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

TESTS: Final = Path(__file__).parents[1]
FOLDER: Final = TESTS / "data" / "input" / "handlers"
OUTPUT: Final = TESTS / "data" / "output"
NAME: Final = "keeping_handlers"


@pytest.fixture(scope="module")
def handlers() -> ModuleType:
    """Give the module whose handlers keep what they get."""
    sys.path.append(str(FOLDER))
    try:
        return importlib.import_module(NAME)
    finally:
        sys.path.remove(str(FOLDER))


async def handled(
    handlers: ModuleType, attempts: Sequence[Attempt], function: str = "keep"
) -> list[Event]:
    """Return what a handler got of some items, in the order of its calls."""
    handlers.kept.clear()
    target = PythonTarget(handler=f"{NAME}:{function}", timeout_seconds=5.0)
    async with PythonModules((NAME,)) as modules:
        destination = PythonDestination(target, modules)
        for attempt in attempts:
            assert await destination.deliver(attempt) == Delivered()
        destination.close()
    assert len(handlers.kept) == len(attempts)
    return list(handlers.kept)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def events(handlers: ModuleType) -> dict[str, list[tuple[str, Event]]]:
    """Give what a handler got of the corpus and the cases: by kind, each with its file."""
    entries = corpus_events()
    got = await handled(handlers, [attempt_of(each.item) for each in entries])
    found: dict[str, list[tuple[str, Event]]] = {kind: [] for kind in KINDS}
    for entry, event in zip(entries, got, strict=True):
        found[event.kind].append((entry.file, event))
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_a_handler_gets_the_whole_event(
    events: dict[str, list[tuple[str, Event]]], kind: str
) -> None:
    assert events[kind]
    got = [
        {"from": file, "event": json.loads(msgspec.json.encode(event))}
        for file, event in events[kind]
    ]
    assert got == json.loads((OUTPUT / "events" / f"{kind}.json").read_bytes())
    assert [event.value() for _, event in events[kind]] == [each["event"]["data"] for each in got]


@pytest.mark.parametrize("kind", KINDS)
async def test_typed_data_of_a_kind_is_that_of_its_file(
    events: dict[str, list[tuple[str, Event]]], kind: str, request: pytest.FixtureRequest
) -> None:
    file = OUTPUT / "python" / f"{kind}.json"
    found = [
        {"from": name, "itemtype": event.itemtype, "subject": event.subject, "typed": typed(event)}
        for name, event in events[kind]
    ]
    made = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-test-data"):
        file.write_text(made)
    assert made == file.read_text()


def typed(event: Event) -> dict[str, Any] | None:
    """Return an event's typed data with the name of its model; None where it has none."""
    data = event.typed()
    return None if data is None else {type(data).__name__: msgspec.to_builtins(data)}


@pytest.mark.parametrize("function", ["keep", "keep_plain"])
async def test_what_nobody_has_heard_of_arrives_whole(handlers: ModuleType, function: str) -> None:
    odd = b'"hello", "mood": [{"beams": 2, "no.te": null}]'
    body = webhook(("wamid.odd", "15550001234")).replace(b'"Hello"', odd)
    body = body.replace(b'"type": "text"', b'"type": "hologram"')
    (item,) = split("meta", body, 0.0)
    stored = attempt_of(item)
    later = msgspec.structs.replace(
        stored, item=msgspec.structs.replace(stored.item, kind="telepathy")
    )
    event, of_later_kind = await handled(handlers, [stored, later], function)
    (part,) = event.value()["value"]["messages"]
    assert part["text"] == {"body": "hello", "mood": [{"beams": 2, "no.te": None}]}
    assert part["type"] == event.itemtype == "hologram"
    assert of_later_kind.kind == "telepathy"
    assert of_later_kind.typed() is None
    assert of_later_kind.value() == event.value()


async def test_events_of_one_kind_and_of_many_come_to_one_handler_at_once(
    handlers: ModuleType,
) -> None:
    attempts = [attempt_of(each.item) for each in corpus_events()]
    handlers.kept.clear()
    async with PythonModules((NAME,)) as modules:
        destination = PythonDestination(PythonTarget(handler=f"{NAME}:keep"), modules)
        results = await asyncio.gather(*map(destination.deliver, attempts))
        destination.close()
    assert results == [Delivered()] * len(attempts)
    assert sorted(each.id for each in handlers.kept) == sorted(each.token for each in attempts)
