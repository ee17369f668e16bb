"""The CRD and the model are one resource: same fields, defaults, enums and bounds."""

import copy
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import annotated_types
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from forebay.core.destination_spec import RetrySpec
from forebay.core.field_types import parse_duration
from forebay.core.item_kinds import KINDS
from forebay.core.resource import KIND, WebhookEndpointSpec

Json = Any

CRD = Path(__file__).parents[2] / "charts/forebay/files/crds/webhookendpoints.yaml"
(VERSION,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]["properties"]["spec"]

LEFT_TO_THE_OPERATOR = {"spec.destinations[].http.url"}
"""Fields that the model needs and the schema does not: reported in a condition, see the CRD."""


DURATIONS = {
    *(f"spec.destinations[].retry.{name}" for name in ("initialDelay", "maxDelay", "maxAge")),
    "spec.destinations[].http.batch.maxWait",
    "spec.destinations[].postgres.batch.maxWait",
    "spec.throughput.schedule[].duration",
    "spec.throughput.schedule[].leadTime",
}
"""Text in the schema, seconds in the model."""


def walk(record: type[BaseModel], schema: Json, path: str) -> list[tuple[str, FieldInfo, Json]]:
    """Return every field of the model beside its schema; fails where one has no other."""
    fields = {field.alias or name: field for name, field in record.model_fields.items()}
    assert sorted(fields) == sorted(schema["properties"]), path
    found: list[tuple[str, FieldInfo, Json]] = []
    for name, field in fields.items():
        inner, here = schema["properties"][name], f"{path}.{name}"
        found.append((here, field, inner))
        nested = record_in(field.annotation)
        if nested is not None:
            if inner["type"] == "array":
                found += walk(nested, inner["items"], f"{here}[]")
            elif "properties" in inner:
                found += walk(nested, inner, here)
    return found


def record_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (record_in(each) for each in typing.get_args(annotation))
    return next((each for each in found if each is not None), None)


FIELDS = walk(WebhookEndpointSpec, SCHEMA, "spec")
BY_PATH = {path: (field, schema) for path, field, schema in FIELDS}


def plain(annotation: object) -> object:
    """Return a field's type without `None` and notes."""
    if typing.get_origin(annotation) is typing.Annotated:
        return plain(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        (one,) = (each for each in typing.get_args(annotation) if each is not type(None))
        return plain(one)
    return annotation


def notes(field: FieldInfo) -> list[object]:
    found = list(field.metadata)
    for each in typing.get_args(field.annotation) or ():
        if typing.get_origin(each) is typing.Annotated:
            found += list(typing.get_args(each)[1:])
    flat: list[object] = []
    for note in found:
        flat += note.metadata if isinstance(note, FieldInfo) else [note]
    return flat


@pytest.mark.parametrize("path", BY_PATH)
def test_a_field_is_the_same(path: str) -> None:
    check_that_it_is_required_in_both(path)
    check_default(path)
    check_type_and_enum(path)
    check_bounds(path)


def check_that_it_is_required_in_both(path: str) -> None:
    field, _ = BY_PATH[path]
    parent, _, name = path.rpartition(".")
    above = SCHEMA if parent == "spec" else BY_PATH[parent.removesuffix("[]")][1]
    above = above["items"] if parent.endswith("[]") else above
    is_required = name in above.get("required", [])
    if path in LEFT_TO_THE_OPERATOR:
        assert field.is_required()
        assert not is_required
    else:
        assert is_required == field.is_required()


def check_default(path: str) -> None:
    field, schema = BY_PATH[path]
    default = field.default
    if default is PydanticUndefined or default is None:
        assert "default" not in schema
        return
    written = schema["default"]
    if path in DURATIONS:
        assert parse_duration(written) == default
    elif isinstance(default, RetrySpec):
        assert RetrySpec.model_validate(written, by_alias=True, by_name=False) == default
    elif isinstance(default, BaseModel):
        assert type(default).model_validate(written, by_alias=True, by_name=False) == default
    else:
        assert written == (list(default) if isinstance(default, tuple) else default)


def check_type_and_enum(path: str) -> None:
    field, schema = BY_PATH[path]
    kind = plain(field.annotation)
    if typing.get_origin(kind) is typing.Literal:
        assert schema["enum"] == list(typing.get_args(kind))
    elif typing.get_origin(kind) is tuple:
        assert schema["type"] == "array"
    elif path in DURATIONS:
        assert schema["type"] == "string"
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        assert schema["type"] == "object"
        assert schema["x-kubernetes-preserve-unknown-fields"] is True
    elif typing.get_origin(kind) is dict:
        assert list(typing.get_args(typing.get_args(kind)[0])) == list(schema["properties"])
    else:
        names = {str: "string", bool: "boolean", int: "integer", float: "number"}
        assert isinstance(kind, type)
        assert schema["type"] == names[kind]


def check_bounds(path: str) -> None:
    field, schema = BY_PATH[path]
    bounds: dict[str, object] = {}
    names = ("minItems", "maxItems") if schema.get("type") == "array" else ("minimum", "maximum")
    for note in notes(field):
        match note:
            case annotated_types.Ge(ge=bound):
                bounds["minimum"] = bound
            case annotated_types.Le(le=bound):
                bounds["maximum"] = bound
            case annotated_types.MinLen(min_length=bound):
                bounds["minItems"] = bound
            case annotated_types.MaxLen(max_length=bound):
                bounds["maxItems"] = bound
            case _:
                pass
    assert {name: schema[name] for name in names if name in schema} == bounds


def texts() -> dict[str, tuple[object, Json]]:
    """Return every text with a bound, by its path: what the model makes of it, and its schema."""
    found: dict[str, tuple[object, Json]] = {}
    for path, (field, schema) in BY_PATH.items():
        kind = plain(field.annotation)
        if schema.get("type") == "array" and schema["items"].get("type") == "string":
            (item, *_) = typing.get_args(kind)
            found[f"{path}[]"] = (item, schema["items"])
        elif typing.get_origin(kind) is dict:
            for name, inner in schema["properties"].items():
                found[f"{path}.{name}"] = (typing.get_args(kind)[1], inner)
        elif kind is str and "enum" not in schema:
            whole: Any = field.annotation
            for note in field.metadata:
                whole = typing.Annotated[whole, note]
            found[path] = (whole, schema)
    return {path: each for path, each in found.items() if "enum" not in each[1]}


TEXTS = texts()


def is_taken_by_model(kind: Any, text: str) -> bool:  # noqa: ANN401  # any type of a field
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return False
    return True


def is_taken_by_schema(schema: Json, text: str) -> bool:
    fits = len(text) <= schema.get("maxLength", len(text))
    return fits and bool(re.search(schema.get("pattern", ""), text.removesuffix("\n") or text))


def test_every_text_has_a_bound() -> None:
    assert len(TEXTS) > 12
    assert [path for path, (_, schema) in TEXTS.items() if "maxLength" not in schema] == []


LONG = {
    "spec.host": "a" * 60 + ".",
    "spec.throughput.schedule[].cron": "1 1 1 1 ",
    "spec.destinations[].http.tls.serverName": "a" * 60 + ".",
    "spec.destinations[].postgres.schemaName": "a",
    "spec.destinations[].postgres.tls.serverName": "a" * 60 + ".",
    "spec.destinations[].nats.tls.serverName": "a" * 60 + ".",
    "spec.destinations[].nats.url": "nats://",
    "spec.destinations[].python.handler": "a:b",
    "spec.destinations[].python.start": "a",
    "spec.destinations[].python.stop": "a",
    "spec.destinations[].http.url": "https://a.example/",
    "spec.destinations[].filter.expression": "true//",
    "spec.destinations[].transform.expression": "a",
}
"""What the longest text of a field begins with, where it is not `1` as often as there is room."""


@pytest.mark.parametrize("path", TEXTS)
def test_a_text_has_the_same_length(path: str) -> None:
    kind, schema = TEXTS[path]
    most = schema["maxLength"]
    for length, is_taken in ((most, True), (most + 1, False)):
        begin = LONG.get(path, "")
        begin *= 4 if begin.endswith(".") and "/" not in begin else 1
        text = (begin + "1" * length)[:length]
        assert is_taken_by_model(kind, text) is is_taken, length


@pytest.mark.parametrize("path", [path for path in TEXTS if "pattern" in TEXTS[path][1]])
@given(data=st.data())
@settings(max_examples=12)
def test_a_text_has_the_same_pattern(path: str, data: st.DataObject) -> None:
    kind, schema = TEXTS[path]
    fitting = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z")
    odd = st.text(st.characters(codec="ascii"), max_size=8)
    text = data.draw(fitting | odd)
    taken = is_taken_by_schema(schema, text) and "\n" not in text
    assert is_taken_by_model(kind, text) is taken, text


def test_kinds_of_items_are_the_same() -> None:
    _, schema = BY_PATH["spec.destinations[].events"]
    assert schema["items"]["enum"] == list(KINDS)


@pytest.mark.parametrize("name", ["initialDelay", "maxDelay", "maxAge"])
def test_durations_have_the_same_bounds(name: str) -> None:
    field, schema = BY_PATH[f"spec.destinations[].retry.{name}"]
    (rule,) = schema["x-kubernetes-validations"]
    low, high = rule["message"].removeprefix("use ").split(" to ")
    assert f"duration('{low}')" in rule["rule"]
    assert f"duration('{high}')" in rule["rule"]
    for edge in (low, high):
        RetrySpec.model_validate(
            {"maxDelay": "24h", "initialDelay": "100ms"} | {name: edge}, by_alias=True
        )
    assert field.default is not None


def test_every_rule_has_a_message() -> None:
    def rules(node: object) -> list[Json]:
        if isinstance(node, dict):
            own = node.get("x-kubernetes-validations", [])
            return [*own, *(rule for value in node.values() for rule in rules(value))]
        if isinstance(node, list):
            return [rule for value in node for rule in rules(value)]
        return []

    found = rules(copy.deepcopy(VERSION["schema"]))
    assert len(found) > 20
    assert all(rule.get("message") for rule in found), json.dumps(found)


def test_names_of_the_kind() -> None:
    names = yaml.safe_load(CRD.read_text())["spec"]["names"]
    assert names["kind"] == KIND
    assert names["shortNames"] == ["whe"]
    columns = [
        each["name"] for each in VERSION["additionalPrinterColumns"] if "priority" not in each
    ]
    assert columns == ["URL", "Ready", "Receivers", "Backlog", "Age"]
