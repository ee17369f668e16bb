"""Whatever a webhook holds comes out of it: each item once, and what nobody knows with it."""

import json
from collections import Counter

import pytest
from hypothesis import given

from forebay.core.envelope import encode_item
from forebay.core.item import Item
from support.inputs.bodies import Json, Webhook, of_json, webhooks
from support.inputs.corpus import payload
from support.inputs.splitting import split

"""The machine that runs the tests is shared: a slow example is no failure."""


def cut(document: Json) -> list[Item]:
    return split("meta", of_json(document), 0.0)


def change(value: Json, field: str = "messages", **beside: Json) -> Json:
    return {"entry": [{"id": "1022", "changes": [{"field": field, "value": value, **beside}]}]}


@given(webhooks())
def test_every_id_is_in_exactly_one_item(webhook: Webhook) -> None:
    found: Counter[str] = Counter()
    for item in split("meta", webhook.body, 0.0):
        text = json.dumps(item.data)
        found.update(each for each in webhook.ids if f'"{each}"' in text)
    assert found == Counter(webhook.ids)


@given(webhooks())
def test_every_unknown_property_is_in_some_item(webhook: Webhook) -> None:
    texts = [json.dumps(item.data) for item in split("meta", webhook.body, 0.0)]
    for mark in webhook.marks:
        assert any(json.dumps(mark) in text for text in texts)


@given(webhooks())
def test_every_item_has_a_key_of_its_own(webhook: Webhook) -> None:
    items = split("meta", webhook.body, 0.0)
    # What has no id goes by its content: equal content is one item.
    told_apart = [item for item in items if not item.key.startswith("hash:")]
    assert len({item.key for item in told_apart}) == len(told_apart) == len(webhook.ids)


@given(webhooks())
def test_cutting_again_gives_the_same(webhook: Webhook) -> None:
    assert split("meta", webhook.body, 0.0) == split("meta", webhook.body, 0.0)


@pytest.mark.parametrize(
    "document",
    [
        {"entry": [{"id": "1022", "changes": []}]},
        {"entry": [{"id": "1022"}]},
        {"entry": ["odd"]},
        {"entry": [{"id": "1022", "changes": ["odd"]}]},
        {"entry": [{"id": "1022", "changes": [{"field": "messages", "value": "odd"}]}]},
        change({"messages": "odd"}),
        change({"messages": []}),
        change({"messages": ["odd"]}),
        change({"history": ["odd"]}, field="history"),
        change({"history": [{"threads": ["odd"]}]}, field="history"),
        change({"history": [{"threads": [{"messages": ["odd"]}]}]}, field="history"),
        change({"statuses": "odd"}, field="calls"),
    ],
    ids=of_json,
)
def test_a_part_of_the_wrong_shape_is_an_item_of_its_own(document: Json) -> None:
    (item,) = cut(document)
    assert item.lane == "bulk"
    if "odd" in json.dumps(document):
        assert "odd" in json.dumps(item.data)


def test_history_without_messages_is_kept_beside_history_with_some() -> None:
    full = {"metadata": {"phase": 0}, "threads": [{"id": "1", "messages": [{"id": "wamid.1"}]}]}
    empty = {"metadata": {"phase": 1}, "threads": [{"id": "2", "messages": []}]}
    items = cut(change({"history": [full, empty]}, field="history"))
    assert [item.type for item in items] == ["unknown", "progress"]
    assert items[1].data["value"]["history"] == [empty]


def test_an_empty_thread_is_kept_beside_a_full_one() -> None:
    full, empty = {"id": "1", "messages": [{"id": "wamid.1"}]}, {"id": "2", "messages": []}
    items = cut(change({"history": [{"threads": [full, empty]}]}, field="history"))
    assert items[1].data["value"]["history"] == [{"threads": [empty]}]


def test_a_field_that_does_not_exist_yet_comes_out_whole() -> None:
    (item,) = split("meta", payload("unknown-field").body, 0.0)
    (entry,) = json.loads(payload("unknown-field").body)["entry"]
    (sent,) = entry.pop("changes")
    assert (item.kind, item.type) == ("unknown", "future_example_update")
    assert item.data == {**entry, **sent}


def test_a_property_outside_of_the_envelope_goes_with_the_items() -> None:
    document = json.loads(payload("messages-text").body) | {"delivery": {"attempt": 2}}
    (item,) = cut(document)
    assert item.data["delivery"] == {"attempt": 2}


def test_an_outer_id_is_not_mistaken_for_the_account_s() -> None:
    document = json.loads(payload("messages-text").body) | {"id": "event-1"}
    outside, item = cut(document)
    assert outside.data == {"envelope": {"id": "event-1"}}
    assert item.data["id"] == document["entry"][0]["id"]


def test_what_is_stored_can_be_read_again() -> None:
    for item in split("meta", payload("batch-mixed").body, 0.0):
        assert json.loads(encode_item(item))["data"] == item.data
