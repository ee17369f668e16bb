"""docs/logs.md: made of every call that logs, and of what `data/log_events.toml` says of each."""

import ast
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = [
    "MEANINGS",
    "PAGE",
    "Event",
    "UnreadableLogCallError",
    "events_of",
    "logged_events",
    "page",
]

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs" / "logs.md"
MEANINGS: Final = ROOT / "tests" / "data" / "log_events.toml"

PARTS: Final = {
    "libs/forebay": "any",
    "services/receiver": "receiver",
    "services/api": "api",
    "services/processor": "processor",
    "operator": "operator",
}
"""Whose log lines of a folder's modules are in."""

LEVELS: Final = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
}
"""The level of each of a logger's methods."""

ORDER: Final = ("error", "warning", "info", "debug")

LOGGER: Final = "_log"

_HEAD: Final = """\
# Logs

Each part writes its log to stderr, one line an event. `make generate` writes this page from the
calls that log, and from what `tests/data/log_events.toml` says of them.

- `FOREBAY_LOG_FORMAT`: `json` (default), one object a line, for collectors; `console`, for eyes.
- `FOREBAY_LOG_LEVEL`: `info` (default), `warning`, `error`, or `debug`, which tells of every probe
  that fails as well.

Every line has `timestamp` (UTC), `level`, `part` (`receiver`, `processor`, `operator`, `api`) and
`event`, which is one of those below and does not change lightly: search by it. All else are fields.

- **What goes well is not logged**: no line for a webhook or an item, whatever their number. Metrics
  count them ([metrics.md](metrics.md)). Only the API has a line for each answer, and a destination
  of kind `log` one for each item: that is its delivery.
- **What goes wrong is logged when it begins, then once a minute at most**, for each destination,
  endpoint and reason by itself. `count` is how many there were since the line before, this one
  included. What comes after the last line is in one that follows within 65 s, though nothing else
  happens, or at the end of the process; of one kind 100 such lines a second at most, so where
  thousands are due they follow later. When a destination or a breaker is well again, one line says
  so. 10,000 of each are remembered; where more fail within a minute, those beyond have no line.
- **Nothing private**: no body, URL, header, secret or phone number, and of a destination's answer
  nothing but its status. Exceptions are named by kind and place, without their texts.
"""


class UnreadableLogCallError(Exception):
    """A call of which the event or a field has no constant name."""


@dataclass(slots=True)
class Event:
    """One event, over all places that log it."""

    name: str
    levels: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def logged_events() -> dict[str, Event]:
    """Return all events of all parts, by name."""
    events: dict[str, Event] = {}
    for folder, part in PARTS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            for name, level, fields in events_of(file.read_text(), str(file.relative_to(ROOT))):
                event = events.setdefault(name, Event(name))
                event.levels.add(level)
                event.parts.add(part)
                event.fields |= fields
    return events


def events_of(source: str, where: str) -> Iterator[tuple[str, str, set[str]]]:
    """Return each event that a module logs, with its level and its fields.

    Raises:
        UnreadableLogCallError: where the event or a field is no constant.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        logger = node.func.value
        if not (isinstance(logger, ast.Name) and logger.id == LOGGER):
            continue
        place = f"{where}:{node.lineno}"
        if node.func.attr not in LEVELS:
            message = f"{place}: {LOGGER}.{node.func.attr} is no level"
            raise UnreadableLogCallError(message)
        match node.args:
            case [ast.Constant(value=str() as name)]:
                pass
            case _:
                message = f"{place}: the event has to be a constant, and nothing beside it"
                raise UnreadableLogCallError(message)
        fields = {keyword.arg for keyword in node.keywords}
        if None in fields:
            message = f"{place}: fields have to be named, without **"
            raise UnreadableLogCallError(message)
        named = {each for each in fields if each is not None}
        if node.func.attr == "exception" or "exc_info" in named:
            named = (named - {"exc_info"}) | {"exception"}
        yield name, LEVELS[node.func.attr], named


def page() -> str:
    """Return the whole file."""
    meanings = tomllib.loads(MEANINGS.read_text())
    events = logged_events()
    used: dict[str, int] = defaultdict(int)
    for event in events.values():
        for each in event.fields:
            used[each] += 1
    lines = [_HEAD]
    for level in ORDER:
        lines += [
            f"## Level {level}",
            "",
            "| event | part | fields | what happened | what to do |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name in sorted(events):
            event = events[name]
            if min(event.levels, key=ORDER.index) != level:
                continue
            says, use = meanings["events"][name]
            fields = ", ".join(f"`{each}`" for each in sorted(event.fields))
            parts = ", ".join(sorted(event.parts))
            lines.append(f"| `{name}` | {parts} | {fields} | {says} | {use} |")
        lines.append("")
    lines += ["## Fields", "", "| field | what it is |", "| --- | --- |"]
    lines += [f"| `{name}` | {meanings['fields'][name]} |" for name in sorted(used)]
    return "\n".join(lines) + "\n"
