"""A whole webhook as an item: its bytes, its key, its place, and who wants it."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.body_item import BODY_KIND, body_item, decode_body, lane_of_items
from forebay.core.envelope import EVENT_ID, StoredItem, decode_item, encode_item
from forebay.core.errors import ForebayError
from forebay.core.item_kinds import KINDS
from forebay.core.providers.names import ProviderName
from forebay.core.providers.registry import provider_of
from forebay.core.subjects import Lane, key_token
from forebay.core.tables import (
    Destination,
    HttpTarget,
    LogTarget,
    ProcessorEndpoint,
)
from forebay_processor.shared.routing import destinations_wanting, is_body_wanted
from support.inputs.corpus import Payload, payload
from support.inputs.splitting import split
from support.processor.processor_harness import CHANNEL, webhook

RECEIVED = 1_767_225_600.0
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "x-hub-signature-256": "sha256=00",
    "Forebay-Received-At": "1767225600000",
    "Authorization": "never stored, and never handed on",
}


def stored(body: bytes, headers: dict[str, str] | None = None) -> StoredItem:
    items = split("meta", body, RECEIVED)
    return decode_item(encode_item(body_item(body, headers or HEADERS, items, RECEIVED)))


def endpoint(*destinations: Destination) -> ProcessorEndpoint:
    return ProcessorEndpoint(
        namespace="demo", name="meta", provider="meta", destinations=destinations
    )


def raw(name: str = "raw", **filters: Any) -> Destination:  # noqa: ANN401  # fields of a destination
    target = HttpTarget(url="http://old.example.com/", format="Raw")
    return Destination(name=name, http=target, **filters)


def names(*destinations: Destination, kind: str, data: bytes, has_body: bool = False) -> list[str]:
    found = destinations_wanting(endpoint(*destinations), kind, data, has_body=has_body)
    return [destination.name for destination in found]


def test_the_bytes_of_every_payload_come_out_as_they_came(payload: Payload) -> None:
    item = stored(payload.body)
    assert decode_body(item).content == payload.body
    assert item.key.split(":")[0] == hashlib.sha256(payload.body).hexdigest()
    assert item.kind == BODY_KIND


def test_equal_bytes_are_one_event_but_where_nothing_in_them_has_an_id_or_a_time() -> None:
    def key(body: bytes, later: float, event: str | None = None) -> str:
        at = RECEIVED + later
        provider: ProviderName = "generic" if event else "meta"
        headers = {EVENT_ID: event} if event else {}
        return body_item(body, headers, split(provider, body, at, event), at).key

    text, errors = webhook(("wamid.1", "1")), payload("messages-errors").body
    assert key(text, 0) == key(text, 300) == hashlib.sha256(text).hexdigest()
    assert key(errors, 0) == key(errors, 299) != key(errors, 300)
    ring = b'{"source": "door-7"}'
    assert key(ring, 0, "a") == key(ring, 300, "a") == "event::a"
    assert key(ring, 0, "b") != key(ring, 0, "a")


@given(st.text(max_size=200), st.sampled_from(["", " ", "\n\t", "\r\n"]), st.booleans())
def test_no_way_of_writing_json_is_lost(text: str, space: str, is_ascii: bool) -> None:  # noqa: FBT001  # hypothesis
    value = {"metadata": {}, "messages": [{"id": text, "a/b": "\\/ \u2028 \\ud83d"}]}
    document = {"entry": [{"changes": [{"field": "messages", "value": value}]}]}
    written = json.dumps(document, ensure_ascii=is_ascii).encode(errors="replace")
    body = space.encode() + written + space.encode()
    assert decode_body(stored(body)).content == body


@pytest.mark.parametrize(
    "text", [b"\\ud83d", b"\xff", b"\xed\xa0\xbd", b"a\xc3", "\U0001f600".encode()[:3]]
)
def test_bytes_that_are_no_text_come_out_as_they_came(text: bytes) -> None:
    body = webhook(("wamid.1", "15550001")).replace(b"wamid.1", b"wamid." + text)
    assert text in body
    assert decode_body(stored(body)).content == body


def test_the_providers_signatures_go_along_and_nothing_else_of_the_request() -> None:
    assert decode_body(stored(webhook(("wamid.1", "1")))).headers == {
        "content-type": "application/json; charset=utf-8",
        "x-hub-signature-256": "sha256=00",
    }


def test_its_lane_is_that_of_raw_and_its_conversation_that_of_its_most_urgent_item() -> None:
    body = payload("batch-mixed").body
    items = split("meta", body, RECEIVED)
    first_message = next(item for item in items if item.kind == "messages")
    lane = provider_of("meta").body_format.lane_of(body)
    assert lane_of_items(items) == lane == Lane.LIVE
    made = body_item(body, HEADERS, items, RECEIVED)
    assert made.conversation == first_message.conversation
    assert made.channel == ""
    assert made.token == key_token(hashlib.sha256(body).hexdigest())


def test_its_conversation_is_that_of_its_only_item() -> None:
    body = webhook(("wamid.1", "15550001"))
    (item,) = split("meta", body, RECEIVED)
    made = body_item(body, HEADERS, [item], RECEIVED)
    assert (made.conversation, made.channel) == (item.conversation, CHANNEL)


def test_no_filter_can_name_it() -> None:
    assert BODY_KIND not in KINDS


HOLDS = (("messages", "1"), ("statuses", "2"))


@pytest.mark.parametrize(
    ("destination", "is_wanted"),
    [
        (raw(), True),
        (raw(events=("statuses",)), True),
        (raw(events=("messages",), channels=("1",)), True),
        # One item has to pass both.
        (raw(events=("messages",), channels=("2",)), False),
        (raw(events=("calls",)), False),
        (raw(channels=("3",)), False),
        (Destination(name="events", http=HttpTarget(url="http://new.example.com/")), False),
        (Destination(name="log", log=LogTarget()), False),
    ],
)
def test_a_body_is_kept_where_some_destination_wants_one_of_its_items(
    destination: Destination, *, is_wanted: bool
) -> None:
    assert is_body_wanted(endpoint(destination), HOLDS) is is_wanted


def test_bodies_go_to_raw_and_items_to_the_others() -> None:
    body = webhook(("wamid.1", "15550001"))
    (item,) = split("meta", body, RECEIVED)
    whole = encode_item(body_item(body, HEADERS, [item], RECEIVED))
    log = Destination(name="log", log=LogTarget())
    wants = (raw(), raw("statuses", events=("statuses",)), raw("own", channels=(CHANNEL,)), log)
    assert names(*wants, kind=BODY_KIND, data=whole) == ["raw", "own"]
    assert names(*wants, kind="messages", data=encode_item(item), has_body=True) == ["log"]


def test_an_item_without_a_body_goes_to_raw_as_well_for_it_was_cut_before() -> None:
    (item,) = split("meta", webhook(("wamid.1", "15550001")), RECEIVED)
    assert names(raw(), kind="messages", data=encode_item(item)) == ["raw"]


def test_a_body_that_cannot_be_read_goes_where_it_becomes_a_dead_letter() -> None:
    assert names(raw(channels=("1",)), kind=BODY_KIND, data=b"{}") == ["raw"]
    broken = StoredItem(
        key="k", kind=BODY_KIND, type="", channel="", time="", data=stored(b'{"entry":[[]]}').data
    )
    assert decode_body(broken).holds == (("unknown", ""),)
    with pytest.raises(ForebayError, match="cannot be read"):
        decode_body(decode_item(b'{"key":"","kind":"","type":"","channel":"","time":"","data":1}'))
