"""Whatever a body says, what a destination gets is a valid CloudEvent."""

import unicodedata

import msgspec
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from hypothesis import example, given
from hypothesis import strategies as st

from forebay.core.subjects import key_token
from forebay_processor.destinations.cloudevents import (
    ATTRIBUTE_CHARACTERS,
    CLOUDEVENTS_TYPE,
    encode_event,
)
from support.processor.attempts import attempt

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
"""What a JSON string can hold once it is read."""


def is_allowed(character: str) -> bool:
    """Say whether a string of a CloudEvent may hold it, by the words of the specification."""
    is_noncharacter = "\ufdd0" <= character <= "\ufdef" or ord(character) & 0xFFFE == 0xFFFE
    return unicodedata.category(character) not in {"Cc", "Cs"} and not is_noncharacter


def attributes(event: bytes) -> dict[str, object]:
    """Return all but the data, as the specification's own reader has read it."""
    read = from_structured_event(
        HTTPMessage(headers={"content-type": CLOUDEVENTS_TYPE}, body=event)
    )
    return dict(read.get_attributes())


@given(key=ANY_TEXT, kind_type=ANY_TEXT, channel=ANY_TEXT)
@example(key="msg:1:wamid.\x00\n\x7f\x85", kind_type="te\rxt", channel="\ufdd0\ufffe\U0010ffff")
def test_no_attribute_holds_what_a_cloudevent_may_not(
    key: str, kind_type: str, channel: str
) -> None:
    body = encode_event(attempt(key=key, kind_type=kind_type, channel=channel))
    for name, value in attributes(body).items():
        assert all(map(is_allowed, str(value))), name


@given(key=ANY_TEXT)
def test_the_data_has_everything_as_it_came(key: str) -> None:
    event = msgspec.json.decode(encode_event(attempt(key=key)))
    assert event["data"]["id"] == key
    assert event["id"] == key_token(key)


@pytest.mark.parametrize("text", ["msg:1:wamid.HBg/+=", "Grüße", "日本 👍🏽", "50% off"])
def test_what_is_allowed_stands_as_it_is(text: str) -> None:
    assert attributes(encode_event(attempt(key=text)))["itemkey"] == text


def test_what_is_forbidden_is_percent_encoded() -> None:
    event = attributes(encode_event(attempt(key="a\nb\x85c\ufffe", kind_type="\x00")))
    assert event["itemkey"] == "a%0Ab%C2%85c%EF%BF%BE"
    assert event["itemtype"] == "%00"


def test_an_attribute_has_an_end() -> None:
    huge = "x" * 3_000_000
    event = attributes(encode_event(attempt(key=huge, kind_type=huge, channel=huge)))
    lengths = [len(str(event[name])) for name in ("itemkey", "itemtype", "channel")]
    assert lengths == [ATTRIBUTE_CHARACTERS] * 3


def test_an_item_without_a_trace_has_no_empty_attribute() -> None:
    assert "traceparent" not in attributes(encode_event(attempt()))
