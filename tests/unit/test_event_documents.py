"""JSON Schema, AsyncAPI and the page are what the model makes; `make generate`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import jsonschema_rs
import pytest

from forebay.core.event_data import DATA_MODELS
from forebay.core.events import TYPE_PREFIX
from forebay.core.item_kinds import KINDS
from support.docs.event_schema import ASYNCAPI, SCHEMA, asyncapi_text, schema_text
from support.docs.events_page import EVENTS_PAGE, events_page, examples

DATA: Final = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize(
    ("file", "made"),
    [(SCHEMA, schema_text), (ASYNCAPI, asyncapi_text), (EVENTS_PAGE, events_page)],
    ids=["schema", "asyncapi", "page"],
)
def test_the_file_is_what_the_model_makes(
    file: Path, made: Callable[[], str], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--update-test-data"):
        file.write_text(made())
    assert file.read_text() == made(), "run `make generate`"


def test_the_schema_is_one_of_its_own_draft() -> None:
    jsonschema_rs.meta.validate(json.loads(SCHEMA.read_text()))


def asyncapi_judge() -> jsonschema_rs.Validator:
    """Return AsyncAPI's own schema of its documents (asyncapi/spec-json-schemas, Apache-2.0)."""
    return jsonschema_rs.validator_for(json.loads((DATA / "asyncapi-3.0.0.json").read_text()))


def test_asyncapi_s_own_schema_takes_the_document() -> None:
    judge = asyncapi_judge()
    document = json.loads(ASYNCAPI.read_text())
    judge.validate(document)
    document["operations"]["deliver"]["action"] = "publish"
    assert not judge.is_valid(document)


def references(part: object) -> set[str]:
    """Return what a document refers to in itself."""
    if isinstance(part, list):
        return {each for inner in part for each in references(inner)}
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
    return own | references(list(part.values()))


@pytest.mark.parametrize("file", [SCHEMA, ASYNCAPI], ids=["schema", "asyncapi"])
def test_every_reference_leads_somewhere(file: Path) -> None:
    document = json.loads(file.read_text())
    found = references(document)
    assert found
    for reference in found:
        part = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_every_kind_has_a_model_a_message_and_examples_on_the_page() -> None:
    assert set(DATA_MODELS) == set(KINDS)
    assert set(json.loads(ASYNCAPI.read_text())["components"]["messages"]) == set(KINDS)
    text = EVENTS_PAGE.read_text()
    for kind, by_type in examples().items():
        assert by_type, f"the corpus has nothing of kind {kind}"
        assert f'"type": "{TYPE_PREFIX}{kind}"' in text
        for item_type in list(by_type)[1:]:
            assert f"`data` of `itemtype: {item_type}`:" in text
