"""The event's model and its JSON Schema hold for everything that is delivered.

`make unit ARGS="-k test_events --update-test-data"` writes the files of expected output anew.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import msgspec
import pytest

from forebay.core.errors import ForebayError
from forebay.core.event_data import DATA_MODELS, MessageData
from forebay.core.events import TYPE_PREFIX, read_event
from forebay.core.item_kinds import KINDS
from forebay_processor.destinations.cloudevents import encode_event
from support.docs.event_schema import schema_text
from support.inputs.corpus import payload
from support.inputs.events import attempt_of, corpus_events
from support.inputs.splitting import split

DATA: Final = Path(__file__).parents[1] / "data"
EXPECTED: Final = DATA / "output" / "events"

VALIDATOR: Final = jsonschema_rs.validator_for(json.loads(schema_text()), validate_formats=True)
EARLIER: Final = (DATA / "events-1.0.jsonl").read_bytes().splitlines()
"""The corpus as version 1.0 delivered it. Never written again: it is what consumers have."""

ADDED: Final = ("subject",)
"""Attributes that version 1.0 did not have."""


def by_kind() -> dict[str, list[dict[str, Any]]]:
    """Return the events of the corpus and the cases, by their kinds."""
    found = defaultdict[str, list[dict[str, Any]]](list)
    for entry in corpus_events():
        found[entry.item.kind].append({"from": entry.file, "event": json.loads(entry.body)})
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_events_of_a_kind_are_those_of_its_file(
    kind: str, request: pytest.FixtureRequest
) -> None:
    file = EXPECTED / f"{kind}.json"
    made = json.dumps(by_kind()[kind], indent=1, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-test-data"):
        file.write_text(made)
    assert made == file.read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_is_valid_by_the_schema(kind: str) -> None:
    events = by_kind()[kind]
    assert events
    for each in events:
        VALIDATOR.validate(each["event"])


@pytest.mark.parametrize("kind", [kind for kind, model in DATA_MODELS.items() if model])
def test_every_event_has_typed_data_of_its_kind_and_the_whole_beside_it(kind: str) -> None:
    for entry in corpus_events():
        if entry.item.kind == kind:
            assert type(entry.event.typed()) is DATA_MODELS[kind], entry.file
            assert entry.event.value() == json.loads(entry.body)["data"]


def test_what_an_earlier_version_delivered_is_read_and_valid() -> None:
    assert len(EARLIER) > 100
    for line in EARLIER:
        VALIDATOR.validate(json.loads(line))
        assert read_event(line).id == json.loads(line)["id"]


def test_no_attribute_of_an_earlier_version_is_gone_or_says_something_else() -> None:
    now = [json.loads(entry.body) for entry in corpus_events()]
    kept = [{name: each[name] for name in each if name not in ADDED} for each in now]
    for line in EARLIER:
        assert json.loads(line) in kept


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ({"specversion": "0.3"}, "another version of CloudEvents"),
        ({"id": "wamid.1"}, "no hash"),
        ({"type": "messages"}, "no type of ours"),
        ({"time": "yesterday"}, "no time"),
        ({"lane": "invalid"}, "no lane of items"),
        ({"subject": ""}, "an empty subject"),
        ({"superseded": "yes"}, "no boolean"),
        ({"data": {"value": {"messages": [{"text": "hello"}]}}}, "a text that is no object"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_the_schema_refuses_what_is_no_event(damage: dict[str, Any], why: str) -> None:
    (item,) = split("meta", payload("messages-text").body, 0.0)
    event = json.loads(encode_event(attempt_of(item)))
    VALIDATOR.validate(event)
    assert not VALIDATOR.is_valid(event | damage), why


def message(**properties: object) -> bytes:
    """Return a webhook with one message that has further properties."""
    value = {
        "metadata": {"phone_number_id": "108200000000301"},
        "messages": [{"id": "wamid.1", "timestamp": "1795165200", "type": "text", **properties}],
    }
    entry = {"id": "104700000000701", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"entry": [entry]}).encode()


def event_of(body: bytes) -> bytes:
    (item,) = split("meta", body, 0.0)
    return encode_event(attempt_of(item))


def test_an_unknown_property_arrives_whole_and_beside_the_typed_ones() -> None:
    body = event_of(message(text={"body": "hi", "mood": "good"}, hologram={"beams": [1, 2]}))
    VALIDATOR.validate(json.loads(body))
    event = read_event(body)
    (part,) = event.value()["value"]["messages"]
    assert part["hologram"] == {"beams": [1, 2]}
    assert part["text"] == {"body": "hi", "mood": "good"}
    typed = event.typed()
    assert isinstance(typed, MessageData)
    assert typed.value is not None
    assert typed.value.messages is not None
    assert typed.value.messages[0].text is not None
    assert typed.value.messages[0].text.body == "hi"


def test_an_unknown_item_type_and_an_unknown_field_arrive_whole() -> None:
    body = event_of(message(type="hologram", hologram={"beams": 2}))
    VALIDATOR.validate(json.loads(body))
    assert read_event(body).itemtype == "hologram"
    assert read_event(body).value()["value"]["messages"][0]["hologram"] == {"beams": 2}
    unknown = event_of(payload("unknown-field").body)
    VALIDATOR.validate(json.loads(unknown))
    assert read_event(unknown).kind == "unknown"
    assert read_event(unknown).value()["value"]["something_new"] == [{"id": "x-1"}]


def test_data_of_another_shape_is_delivered_whole_and_has_no_model() -> None:
    event = read_event(event_of(message(text="hi")))
    assert event.typed() is None
    assert event.subject == "wamid.1"
    assert event.value()["value"]["messages"][0]["text"] == "hi"


def test_a_kind_and_an_attribute_of_a_later_version_are_taken() -> None:
    event = json.loads(event_of(message()))
    event |= {"type": f"{TYPE_PREFIX}polls", "mood": "good"}
    VALIDATOR.validate(event)
    read = read_event(json.dumps(event))
    assert (read.kind, read.typed()) == ("polls", None)
    assert read.value() == event["data"]


def test_what_is_no_event_is_an_error() -> None:
    for body in (b"", b"[]", b'{"specversion": "1.0"}', b"[" * 100_000):
        with pytest.raises(ForebayError):
            read_event(body)


def test_a_message_and_its_status_have_one_subject() -> None:
    subjects = {
        name: {entry.event.subject for entry in corpus_events() if entry.file == name}
        for name in ("messages-text", "status-sent", "history-declined", "account-alerts")
    }
    assert subjects["messages-text"] == {
        "wamid.HBgLMTU1NTAwMDEyMzQVAgASGBQ5ODJEOUUzRUI5OTZGNTU5RTYzMwA="
    }
    (status,) = (each for each in corpus_events() if each.file == "status-sent")
    assert subjects["status-sent"] == {status.event.value()["value"]["statuses"][0]["id"]}
    assert subjects["history-declined"] == subjects["account-alerts"] == {""}
    assert all(
        "subject" not in json.loads(each.body)
        for each in corpus_events()
        if each.file in {"history-declined", "account-alerts"}
    )


@pytest.mark.parametrize(
    ("own", "subject"),
    [
        ("a:b/c+d=", "a:b/c+d="),
        (17, "17"),
        ("a\nb", "a%0Ab"),
        ("x" * 5000, "x" * 1024),
        (None, None),
        ("", None),
        (["wamid.1"], None),
    ],
)
def test_a_subject_is_any_id_and_nothing_else(own: object, subject: str | None) -> None:
    event = json.loads(event_of(message(id=own)))
    assert event.get("subject") == subject


def test_the_models_and_the_events_of_the_corpus_name_no_person_as_subject() -> None:
    for entry in corpus_events():
        event = entry.event
        if event.kind in {"preferences", "contacts", "errors", "generic", "unknown"}:
            assert event.subject == ""
        assert msgspec.json.encode(event) == entry.body
