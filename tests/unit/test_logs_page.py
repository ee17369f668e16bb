"""docs/logs.md has every event that any part logs, and no other; `make generate`."""

import ast
import tomllib
from pathlib import Path
from typing import Final

import pytest

from support.docs.logs_page import (
    LOGGER,
    MEANINGS,
    PAGE,
    PARTS,
    UnreadableLogCallError,
    events_of,
    logged_events,
    page,
)

ROOT: Final = Path(__file__).parents[2]


def test_the_page_is_what_the_parts_log(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-test-data"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run `make generate`"


def test_every_event_has_a_meaning_and_every_meaning_an_event() -> None:
    meanings = tomllib.loads(MEANINGS.read_text())["events"]
    assert sorted(meanings) == sorted(logged_events())
    assert not [name for name, (says, _) in meanings.items() if not says]


def test_every_field_has_a_meaning_and_every_meaning_a_field() -> None:
    fields = {each for event in logged_events().values() for each in event.fields}
    assert sorted(tomllib.loads(MEANINGS.read_text())["fields"]) == sorted(fields)


def test_an_error_or_a_warning_says_what_to_do_or_is_over_by_itself() -> None:
    meanings = tomllib.loads(MEANINGS.read_text())["events"]
    errors = [name for name, event in logged_events().items() if "error" in event.levels]
    assert not [name for name in errors if not meanings[name][1]]


def test_an_event_has_one_level() -> None:
    assert not {name for name, event in logged_events().items() if len(event.levels) > 1}


def test_there_is_no_other_logger_than_the_one_that_is_looked_for() -> None:
    for folder in PARTS:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Assign) and "get_logger" in ast.dump(node.value):
                    assert [ast.unparse(each) for each in node.targets] == [LOGGER], file


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("_log.info(event)", "constant"),
        ("_log.info(f'{event}_over')", "constant"),
        ("_log.info('a', 'b')", "constant"),
        ("_log.info('a', **about)", "without"),
        ("_log.critical('a')", "no level"),
    ],
)
def test_a_call_that_cannot_be_read_is_an_error(call: str, problem: str) -> None:
    with pytest.raises(UnreadableLogCallError, match=problem):
        list(events_of(call, "x.py"))


def test_an_exception_is_a_field_however_it_is_given() -> None:
    assert list(events_of("_log.exception('a', b=1)", "x.py")) == [
        ("a", "error", {"b", "exception"})
    ]
    assert list(events_of("_log.warning('a', exc_info=e)", "x.py")) == [
        ("a", "warning", {"exception"})
    ]


def test_docs_name_no_event_that_there_is_not() -> None:
    """What looks like one in a runbook's command that searches a log."""
    events = logged_events()
    for file in sorted((ROOT / "docs").rglob("*.md")):
        for line in file.read_text().splitlines():
            if "logs " in line and "| grep " in line:
                searched = line.split("| grep ")[1].split()[0].strip("'\"`")
                assert searched in events, (file, searched)
