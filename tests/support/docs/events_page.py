"""docs/events.md: made of the model and of the corpus; `make generate`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from forebay.core.event_data import DATA_MODELS
from forebay.core.events import EVENT_VERSION, SUBJECT_PATHS, TYPE_PREFIX, Event
from forebay.core.item_kinds import KIND_LANES
from support.docs.event_schema import field_notes
from support.inputs.events import CorpusEvent, corpus_events

__all__ = ["EVENTS_PAGE", "events_page", "examples"]

EVENTS_PAGE: Final = Path(__file__).parents[3] / "docs" / "events.md"

_SUBJECTS: Final[Mapping[str, str]] = {
    "messages": "the message's id",
    "statuses": "the id of the message that it is a status of",
    "calls": "the call's id",
    "call-statuses": "the call's id",
    "echoes": "the message's id",
    "history": "the message's id; none for `declined` and `progress`",
    "history-media": "the message's id, as in `history`",
    "account": "the template's id, where it is about one",
    "partner": "the id of what the event is about: `data.id`",
}
"""In words what `SUBJECT_PATHS` says."""

_HEAD: Final = f"""\
# Events

Version {EVENT_VERSION} of the format. `make generate` writes this page from the model
(`libs/forebay/core/events.py`) and the corpus in `tests/data`.

An event is a [CloudEvent 1.0](https://cloudevents.io/) in JSON around the provider's own change,
cut down to one item. What holds for how it comes (headers, signature, answers, batches, order) is
in [destinations.md](destinations.md#http). Programs read it by

- [schemas/events.json](schemas/events.json), JSON Schema 2020-12 of events of all kinds;
- [schemas/asyncapi.json](schemas/asyncapi.json), AsyncAPI 3.0, a message for each kind;
- `forebay.core.events` in Python: `read_event(body)` gives the attributes, `.value()` the data as
  it came, `.typed()` the data as a typed model of its kind, or None where it has another shape
  than the provider's reference.

Handlers in Python, Node, Go and PHP that verify, deduplicate and answer are in
[examples/handlers](../examples/handlers/README.md).

## What may change

- `data` is the provider's: it has what came, whatever the provider adds or changes, and no
  version of ours speaks of that. The schema names what the providers' references have, requires
  none of it, and allows more everywhere. **It describes, and refuses nothing**: what the provider
  sends in another shape is delivered all the same, and fails validation.
- Within version 1 attributes, kinds and item types are added, and nothing else: none goes away,
  is renamed or gets another meaning or type, an optional one does not become required or the
  other way round. Pass over attributes, kinds and types that you do not know; answer 2xx to them.
  The second number of the version counts such additions.
- Anything else is version 2: a `type` that ends in `.v2`, beside the old one, which a destination
  gets until its manifest asks for the other, for a year at least. So no handler gets a form that
  it did not ask for.
- Events that wait or are replayed come in the form of the version that delivers them.

`tests/data/events-1.0.jsonl` holds the events of the corpus as version 1.0 delivered them. It is
never written again, and each has to fit every later schema of version 1. `tests/data/schemas` holds
what each version's schema promised, and a test that no later one takes any of it back.

| version | what was added |
| --- | --- |
| 1.0 | the form as it was first documented |
| 1.1 | `subject` |
| 1.2 | `transformed` |

## Attributes

| attribute | always | what |
| --- | --- | --- |
"""

_OPTIONAL: Final = "Those that are not always there are left out where they are empty or false."


_OF_SUBJECTS: Final = """\
`subject` is the same in all events of one message: its statuses, its file in a history. It is no
idempotency key, `id` is. No phone number or user id stands there by itself, but the provider's
message ids are made of such, so it is as private as they are. In it, too, control characters are
percent-encoded, and it ends after 1,024 characters."""


def examples() -> Mapping[str, Mapping[str, CorpusEvent]]:
    """Return the first event of each type of each kind, the kinds in the model's order."""
    found: dict[str, dict[str, CorpusEvent]] = {kind: {} for kind in DATA_MODELS}
    for entry in corpus_events():
        found[entry.item.kind].setdefault(entry.item.type, entry)
    return found


def events_page() -> str:
    """Return the page."""
    return _HEAD + "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    notes = field_notes(Event)
    for field in msgspec.structs.fields(Event):
        always = "yes" if field.required else ""
        yield f"| `{field.encode_name}` | {always} | {notes[field.name]} |"
    yield ""
    yield _OPTIONAL
    yield ""
    yield "## Types"
    yield ""
    yield "| `type` | what | `subject` | `lane` |"
    yield "| --- | --- | --- | --- |"
    for kind in DATA_MODELS:
        link = f"[`{TYPE_PREFIX}{kind}`](#{kind})"
        subject = _SUBJECTS[kind] if kind in SUBJECT_PATHS else ""
        yield f"| {link} | {_what(kind)} | {subject} | {KIND_LANES[kind].value} |"
    yield ""
    yield _OF_SUBJECTS
    for kind, by_type in examples().items():
        yield from _kind(kind, by_type)


def _what(kind: str) -> str:
    model = DATA_MODELS[kind]
    if model is None:
        return {
            "generic": "the body of a `generic` endpoint: any JSON",
            "unknown": "what no reference names; its `data` can be any JSON",
        }[kind]
    return " ".join(str(model.__doc__).split()).partition(": ")[2].rstrip(".")


def _kind(kind: str, by_type: Mapping[str, CorpusEvent]) -> Iterator[str]:
    yield ""
    yield f"## {kind}"
    yield ""
    what = _what(kind)
    types = ", ".join(f"`{each}`" for each in by_type)
    yield f"{what[0].upper()}{what[1:]}. Item types here: {types}."
    (_, first), *others = by_type.items()
    yield ""
    yield from _json(json.loads(first.body))
    for item_type, entry in others:
        event = json.loads(entry.body)
        yield ""
        yield f"`data` of `itemtype: {item_type}`:"
        yield ""
        yield from _json(event["data"])


def _json(document: Any) -> Iterator[str]:  # noqa: ANN401  # any JSON
    yield "```json"
    yield json.dumps(document, indent=2, ensure_ascii=False)
    yield "```"
