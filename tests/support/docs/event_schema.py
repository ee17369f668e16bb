"""docs/schemas: the event as JSON Schema and as AsyncAPI, made of the model; `make generate`."""

import ast
import inspect
import json
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from forebay.core.event_data import DATA_MODELS
from forebay.core.events import EVENT_VERSION, TYPE_PREFIX, Event
from forebay.core.subjects import Lane

__all__ = ["ASYNCAPI", "SCHEMA", "asyncapi_text", "field_notes", "schema_text"]

_FOLDER: Final = Path(__file__).parents[3] / "docs" / "schemas"
SCHEMA: Final = _FOLDER / "events.json"
ASYNCAPI: Final = _FOLDER / "asyncapi.json"

_JSON: Final = "application/json"

_LIMITS: Final[Mapping[str, Mapping[str, Any]]] = {
    "specversion": {"const": "1.0"},
    "id": {"pattern": "^[0-9a-f]{32}$"},
    "source": {"pattern": "^/forebay/[^/]+/[^/]+$"},
    "type": {"pattern": r"^dev\.forebay\.whatsapp\.[a-z-]+(\.v[0-9]+)?$"},
    "subject": {"minLength": 1, "maxLength": 3 * 1024},
    "time": {"format": "date-time"},
    "datacontenttype": {"const": _JSON},
    "lane": {"enum": [lane.value for lane in Lane if lane is not Lane.INVALID]},
}
"""What holds for attributes beside their types."""


@cache
def field_notes(model: type) -> Mapping[str, str]:
    """Return what the docstrings below the fields of a model say, by the names in JSON."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    notes: dict[str, str] = {}
    for base in model.__mro__[1:-1]:
        if base.__module__.startswith("forebay.core.event"):
            notes |= field_notes(base)
    for field, note in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(note, ast.Expr)
            and isinstance(note.value, ast.Constant)
        ):
            notes[field.target.id.removesuffix("_")] = " ".join(str(note.value.value).split())
    return notes


def schema_text() -> str:
    """Return the JSON Schema of an event of any kind."""
    return _text(_schema())


def asyncapi_text() -> str:
    """Return the AsyncAPI document of what destinations of the kind `http` get."""
    schema = _schema()
    defs = {name: _renamed(definition) for name, definition in schema.pop("$defs").items()}
    event = _renamed({name: part for name, part in schema.items() if name not in _OF_FILE})
    messages = {
        kind: {
            "name": TYPE_PREFIX + kind,
            "title": kind,
            "contentType": "application/cloudevents+json",
            "headers": {"$ref": "#/components/schemas/Headers"},
            "payload": {
                "allOf": [
                    {"$ref": "#/components/schemas/Event"},
                    {"properties": {"type": {"const": TYPE_PREFIX + kind}}},
                ]
            },
        }
        for kind in DATA_MODELS
    }
    return _text(
        {
            "asyncapi": "3.0.0",
            "info": {
                "title": "Forebay: events",
                "version": EVENT_VERSION,
                "description": "What a destination of the kind `http` gets. See docs/events.md.",
                "license": {"name": "Apache-2.0"},
            },
            "defaultContentType": "application/cloudevents+json",
            "channels": {
                "destination": {
                    "address": "{path}",
                    "description": "The path of the destination's `url`; requests are POSTs.",
                    "parameters": {"path": {"description": "As the manifest has it."}},
                    "messages": {
                        kind: {"$ref": f"#/components/messages/{kind}"} for kind in messages
                    },
                }
            },
            "operations": {
                "deliver": {
                    "action": "send",
                    "channel": {"$ref": "#/channels/destination"},
                    "summary": "An event, at least once; after a 2xx no more.",
                    "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
                }
            },
            "components": {
                "messages": messages,
                "schemas": {"Headers": _HEADERS, "Event": event, **defs},
            },
        }
    )


_OF_FILE: Final = ("$schema", "$id", "title")

_HEADERS: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp"],
    "properties": {
        "webhook-id": {"type": "string", "description": "The event's `id`."},
        "webhook-timestamp": {
            "type": "string",
            "description": "When this attempt was sent, Unix seconds.",
        },
        "webhook-signature": {
            "type": "string",
            "description": "Standard Webhooks, one `v1,…` for each live secret.",
        },
        "Forebay-Attempt": {"type": "string", "description": "1 for the first."},
        "Forebay-Endpoint": {"type": "string", "description": "`namespace/name`."},
        "traceparent": {"type": "string", "description": "W3C Trace Context."},
    },
}


def _schema() -> dict[str, Any]:
    models = [model for model in DATA_MODELS.values() if model is not None]
    (event, *_), defs = msgspec.json.schema_components(
        [Event, *models], ref_template="#/$defs/{name}"
    )
    envelope = defs.pop(event["$ref"].rpartition("/")[2])
    by_name = {each.__name__: each for each in _all_models(*models)}
    for name, definition in defs.items():
        _note(definition, field_notes(by_name[name]))
    _note(envelope, field_notes(Event))
    for name, limits in _LIMITS.items():
        envelope["properties"][name] |= limits
        envelope["properties"][name].pop("default", None)
    envelope["properties"]["data"] = {"description": field_notes(Event)["data"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:forebay:events:{EVENT_VERSION}",
        "title": f"An event of Forebay's, version {EVENT_VERSION}",
        "description": "Attributes and properties that are not named here are allowed everywhere.",
        "type": "object",
        "required": envelope["required"],
        "properties": envelope["properties"],
        "allOf": [
            {
                "if": {
                    "properties": {"type": {"const": TYPE_PREFIX + kind}},
                    "not": {"required": ["transformed"]},
                },
                "then": {"properties": {"data": {"$ref": f"#/$defs/{model.__name__}"}}},
            }
            for kind, model in DATA_MODELS.items()
            if model is not None
        ],
        "$defs": defs,
    }


def _all_models(*models: type) -> set[type]:
    found: set[type] = set()
    waiting = list(models)
    while waiting:
        model = waiting.pop()
        if model in found:
            continue
        found.add(model)
        waiting += [
            each
            for info in msgspec.inspect.type_info(model).fields  # type: ignore[attr-defined]
            for each in _structs(info.type)
        ]
    return found


def _structs(info: Any) -> list[type]:  # noqa: ANN401  # a node of msgspec's own tree
    if isinstance(info, msgspec.inspect.StructType):
        return [info.cls]
    if isinstance(info, msgspec.inspect.ListType):
        return _structs(info.item_type)
    if isinstance(info, msgspec.inspect.UnionType):
        return [each for part in info.types for each in _structs(part)]
    return []


def _note(definition: dict[str, Any], notes: Mapping[str, str]) -> None:
    definition.pop("title", None)
    for name, note in notes.items():
        definition["properties"][name]["description"] = note


def _renamed(part: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return a schema whose references lead to where AsyncAPI has schemas."""
    text = json.dumps(part)
    return json.loads(text.replace("#/$defs/", "#/components/schemas/"))


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
