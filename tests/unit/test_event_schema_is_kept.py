"""A later schema of events adds to an earlier one, and takes nothing from who reads them.

`tests/data/schemas` has a file for each version of the format. Where one is missing,
`make unit ARGS="-k schema_is_kept --update-test-data"` writes that of the current version; no
file that is there is ever written again.
"""

import copy
import json
from typing import Any, Final

import pytest

from forebay.core.events import EVENT_VERSION
from support.docs.event_schema import ASYNCAPI, SCHEMA
from support.docs.schema_promises import (
    FROZEN,
    broken_promises,
    promises,
    read_promises,
    written_promises,
)

NOW: Final[dict[str, Any]] = json.loads(SCHEMA.read_text())
VERSIONS: Final = sorted(
    (path.stem for path in FROZEN.glob("*.txt")),
    key=lambda version: [int(part) for part in version.split(".")],
)
RUN_IT: Final = (
    "docs/schemas/events.json is not what its version was frozen as: raise EVENT_VERSION "
    "(docs/events.md has the rule), then run `make unit ARGS='-k schema_is_kept "
    "--update-test-data'`"
)


def frozen(versions: list[str]) -> dict[str, str]:
    """Return what several versions promised, one after the other."""
    found: dict[str, str] = {}
    for version in versions:
        found |= read_promises((FROZEN / f"{version}.txt").read_text())
    return found


def test_the_schema_of_a_version_is_what_was_frozen(request: pytest.FixtureRequest) -> None:
    now, versions = promises(NOW, NOW), list(VERSIONS)
    if request.config.getoption("--update-test-data") and EVENT_VERSION not in versions:
        before = frozen(versions)
        added = {path: text for path, text in now.items() if before.get(path) != text}
        (FROZEN / f"{EVENT_VERSION}.txt").write_text(written_promises(added))
        versions.append(EVENT_VERSION)
    assert versions[-1] == EVENT_VERSION, RUN_IT
    assert frozen(versions) == now, RUN_IT


@pytest.mark.parametrize("count", range(1, len(VERSIONS) + 1), ids=VERSIONS)
def test_nothing_that_an_earlier_version_promised_is_gone(count: int) -> None:
    before = frozen(VERSIONS[:count])
    assert len(before) > 200
    assert broken_promises(before, promises(NOW, NOW)) == []


def test_version_1_1_added_the_subject() -> None:
    assert VERSIONS[:2] == ["1.0", "1.1"]
    assert frozen(["1.1"]).keys() == {"subject"}


def test_version_1_2_added_that_data_was_transformed() -> None:
    assert VERSIONS[2] == "1.2"
    assert frozen(["1.2"]).keys() == {"transformed"}


def test_asyncapi_promises_the_same_for_each_kind() -> None:
    document = json.loads(ASYNCAPI.read_text())
    event = document["components"]["schemas"]["Event"]
    assert promises(document, event) == promises(NOW, NOW)
    headers = promises(document, document["components"]["schemas"]["Headers"])
    frozen = read_promises((FROZEN / "headers-1.1.lines").read_text())
    assert broken_promises(frozen, headers) == []


def changed(path: list[str], value: object) -> dict[str, Any]:
    """Return the schema with one part of it replaced, or removed where the value is None."""
    schema: Any = copy.deepcopy(NOW)
    part = schema
    for name in path[:-1]:
        part = part[name]
    if value is None:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    found: dict[str, Any] = schema
    return found


REQUIRED: Final[list[str]] = NOW["required"]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["properties", "subject"], None, "subject is gone"),
        (["$defs", "TextContent", "properties", "body"], None, ".text.body is gone"),
        (["properties", "itemtype", "type"], "integer", "itemtype was"),
        (["$defs", "MessageContent", "properties", "id"], {"type": "integer"}, "[].id was"),
        (["required"], [*REQUIRED, "subject"], "subject was 'optional"),
        (["required"], [each for each in REQUIRED if each != "time"], "time was "),
        (["properties", "lane", "enum"], ["live", "status"], "lane was"),
        (["properties", "id", "pattern"], "^[0-9a-f]{64}$", "id was"),
        (["properties", "datacontenttype", "const"], "text/json", "datacontenttype was"),
        (["allOf"], NOW["allOf"][1:], "data[messages] is gone"),
    ],
)
def test_a_change_that_breaks_a_reader_is_found(path: list[str], value: object, said: str) -> None:
    before, now = promises(NOW, NOW), changed(path, value)
    broken = broken_promises(before, promises(now, now))
    assert any(said in each for each in broken), broken


def test_a_new_attribute_may_not_be_one_that_is_always_there() -> None:
    before = promises(NOW, NOW)
    now = changed(["properties", "priority"], {"type": "string"})
    assert broken_promises(before, promises(now, now)) == []
    now["required"] = [*REQUIRED, "priority"]
    assert "is new and always there" in broken_promises(before, promises(now, now))[0]


def test_more_kinds_lanes_and_other_words_in_a_description_are_no_break() -> None:
    before = promises(NOW, NOW)
    for path, value in (
        (["properties", "lane", "enum"], ["live", "status", "bulk", "slow"]),
        (["properties", "lane", "description"], "How urgent."),
    ):
        now = changed(path, value)
        assert broken_promises(before, promises(now, now)) == []
