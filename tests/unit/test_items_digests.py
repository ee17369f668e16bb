"""Two items with one key are repeats only where they say the same."""

import copy
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.envelope import decode_item, encode_item
from forebay.core.item import Item, variant_of
from forebay.core.json_values import Json, canonical_json
from support.inputs.bodies import json_values, of_json
from support.inputs.corpus import payload
from support.inputs.splitting import split

IMAGE = {
    "id": "wamid.1",
    "type": "image",
    "timestamp": "17",
    "from": "1555",
    "image": {
        "id": "9",
        "sha256": "abc",
        "mime_type": "image/jpeg",
        "url": "https://cdn/1?token=a",
    },
    "context": {"from": "1999", "id": "wamid.0"},
    "referral": {"source_id": "ad", "image_url": "https://cdn/2?token=a", "ctwa_clid": "c"},
}
LOCATION = {"id": "wamid.1", "type": "location", "location": {"url": "https://cafe.example.com"}}


def cut(part: Json, beside: Json = None, **entry: Json) -> Item:
    value = {"metadata": {"phone_number_id": "1082"}, **(beside or {}), "messages": [part]}
    around = {"id": "1022", **entry, "changes": [{"field": "messages", "value": value}]}
    (item,) = split("meta", of_json({"entry": [around]}), 0.0)
    return item


def changed(part: Json, name: str, value: Json) -> Json:
    whole = copy.deepcopy(part)
    inner = whole
    *names, last = name.split(".")
    for each in names:
        inner = inner[each]
    inner[last] = value
    return whole


def history(message: Json, chunk: Json, thread: Json) -> Item:
    value = {
        "metadata": {"phone_number_id": "1082"},
        "history": [{**chunk, "threads": [{**thread, "messages": [message]}]}],
    }
    around = {"id": "1022", "changes": [{"field": "history", "value": value}]}
    (item,) = split("meta", of_json({"entry": [around]}), 0.0)
    return item


@pytest.mark.parametrize(
    "name",
    [
        *("from", "from_user_id", "from_parent_user_id", "to", "recipient_id", "wa_id", "user_id"),
        *("context.from", "context.from_user_id", "image.url"),
        *("referral.image_url", "referral.video_url", "referral.thumbnail_url"),
    ],
)
def test_what_changes_by_itself_makes_no_difference(name: str) -> None:
    assert cut(changed(IMAGE, name, "other")).digest == cut(IMAGE).digest


@pytest.mark.parametrize(
    "name",
    [
        *("timestamp", "type", "future", "image.id", "image.sha256", "image.caption"),
        *("context.id", "referral.source_id", "referral.ctwa_clid", "text"),
    ],
)
def test_what_it_says_makes_a_difference(name: str) -> None:
    assert cut(changed(IMAGE, name, "other")).digest != cut(IMAGE).digest


def test_a_url_that_somebody_sent_makes_a_difference() -> None:
    other = changed(LOCATION, "location.url", "https://other.example.com")
    assert cut(other).digest != cut(LOCATION).digest


@pytest.mark.parametrize("kind", ["image", "audio", "voice", "video", "document", "sticker"])
def test_the_link_to_a_file_at_the_provider_makes_no_difference(kind: str) -> None:
    file = {"id": "wamid.1", "type": kind, kind: {"id": "9", "url": "https://cdn/1?token=a"}}
    again = changed(file, f"{kind}.url", "https://cdn/1?token=b")
    assert cut(again).digest == cut(file).digest


def test_contacts_beside_make_no_difference_and_all_else_beside_does() -> None:
    alone = cut(IMAGE).digest
    assert cut(IMAGE, {"contacts": [{"wa_id": "1555", "profile": {"name": "A"}}]}).digest == alone
    assert cut(IMAGE, {"future": 1}).digest != alone


def test_when_a_webhook_was_sent_makes_no_difference() -> None:
    assert cut(IMAGE, time=17).digest == cut(IMAGE, time=18).digest == cut(IMAGE).digest
    assert cut(IMAGE, future=1).digest != cut(IMAGE).digest


def test_where_in_a_history_a_message_came_makes_no_difference() -> None:
    text = {"id": "wamid.1", "type": "text", "text": {"body": "x"}}
    first = history(text, {"metadata": {"progress": 10}}, {"id": "1555"})
    again = history(text, {"metadata": {"progress": 90}}, {"id": "US.1", "context": {"x": 1}})
    other = history({**text, "text": {"body": "y"}}, {}, {"id": "1555"})
    assert first.key == again.key == other.key
    assert first.digest == again.digest != other.digest


@pytest.mark.parametrize(("chunk", "thread"), [({"future": 1}, {}), ({}, {"future": 1})])
def test_what_stands_around_a_history_s_message_makes_a_difference(
    chunk: Json, thread: Json
) -> None:
    text = {"id": "wamid.1", "type": "text", "text": {"body": "x"}}
    alone = history(text, {}, {"id": "1555"})
    beside = history(text, chunk, {"id": "1555", **thread})
    assert beside.key == alone.key
    assert beside.digest != alone.digest


def test_a_variant_has_a_key_of_its_own_and_says_so() -> None:
    item = cut(IMAGE)
    variant = variant_of(item)
    assert variant.key == f"{item.key}~{item.digest}"
    stored = decode_item(encode_item(variant))
    assert (stored.variant, stored.key) == (True, variant.key)
    assert b"variant" not in encode_item(item)
    assert b"repaired" not in encode_item(item)


def test_the_order_of_properties_and_white_space_make_no_difference() -> None:
    document = json.loads(payload("messages-image").body)
    backwards = json.dumps(_backwards(document), indent=3).encode()
    (one,), (other,) = (split("meta", body, 0.0) for body in (of_json(document), backwards))
    assert (one.key, one.digest) == (other.key, other.digest)
    assert len(one.digest) == 16


def _backwards(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _backwards(value[name]) for name in reversed(value)}
    return [_backwards(each) for each in value] if isinstance(value, list) else value


@given(json_values(), json_values())
def test_whatever_differs_makes_a_difference(one: Json, other: Json) -> None:
    same = canonical_json(one) == canonical_json(other)
    digests = {cut({"id": "wamid.1", "future": value}).digest for value in (one, other)}
    assert len(digests) == (1 if same else 2)


@given(st.sampled_from([b"1e400", b"-1e400", b"1" * 5000]))
def test_numbers_that_nobody_can_hold_are_hashed_and_stored_as_they_stand(number: bytes) -> None:
    body = (
        b'{"entry":[{"id":"1022","changes":[{"field":"messages","value":{"metadata":'
        b'{"phone_number_id":"1082"},"messages":[{"id":%s,"future":%s}]}}]}]}' % (number, number)
    )
    (item,) = split("meta", body, 0.0)
    assert not item.is_complete
    assert number in encode_item(item)
    assert number in canonical_json(item.data)
    assert canonical_json({"b": msgspec.Raw(number), "a": 1}) == b'{"a":1,"b":%s}' % number
