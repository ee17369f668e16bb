"""A body of 1,000 items grows with its items, never with their square."""

import pytest

from forebay.core.envelope import encode_item
from forebay.core.item import Item
from forebay.core.item_context import SMALL_REST_BYTES
from support.inputs.bodies import Json, of_json
from support.inputs.splitting import split
from support.timing.further import one_in

LARGE = {"future": "x" * 500_000}
SMALL = {"future": "x" * 100}
ITEMS = 1_000
PLACES = ["root", "entry", "change", "value", "metadata", "contact", "chunk", "thread"]


def messages(rest: Json, place: str, count: int = ITEMS) -> Json:
    """Return a body of `count` messages with a rest at one of PLACES."""

    def at(name: str) -> Json:
        return rest if name == place else {}

    texts = [
        {"id": f"wamid.{number}", "from": str(number), "text": {"body": "hello"}}
        for number in range(count)
    ]
    value: Json = {"metadata": {"phone_number_id": "1082", **at("metadata")}, **at("value")}
    field = "messages"
    if place in {"chunk", "thread"}:
        field = "history"
        value["history"] = [
            {"threads": [{"id": "1", "messages": texts, **at("thread")}], **at("chunk")}
        ]
    else:
        value["messages"] = texts
        value["contacts"] = [{"wa_id": str(number)} for number in range(count)]
        value["contacts"][0] |= at("contact")
    entry = {"id": "1022", "changes": [{"field": field, "value": value, **at("change")}]}
    return {"entry": [{**entry, **at("entry")}], **at("root")}


def stored_bytes(items: list[Item]) -> int:
    return sum(len(encode_item(item)) for item in items)


@pytest.mark.parametrize("place", one_in(3, PLACES))
def test_a_large_rest_is_stored_once_or_twice_and_not_a_thousand_times(place: str) -> None:
    body = of_json(messages(LARGE, place))
    items = split("meta", body, 0.0)
    kinds = [item.kind for item in items]
    assert kinds.count("messages") + kinds.count("history") == ITEMS
    holding = [item for item in items if LARGE["future"].encode() in encode_item(item)]
    assert [item.kind for item in holding] == ["unknown"]
    assert stored_bytes(items) < len(body) + ITEMS * (SMALL_REST_BYTES + 500)


@pytest.mark.parametrize("place", one_in(3, PLACES))
def test_a_small_rest_goes_with_the_items(place: str) -> None:
    items = split("meta", of_json(messages(SMALL, place)), 0.0)
    assert len(items) == ITEMS
    holding = [item for item in items if SMALL["future"].encode() in encode_item(item)]
    assert len(holding) == (1 if place == "contact" else ITEMS)


def test_an_item_beside_a_large_rest_still_says_what_it_is_of() -> None:
    rest, item = split("meta", of_json(messages(LARGE, "value", count=1)), 0.0)
    assert rest.data["value"]["future"] == LARGE["future"]
    assert item.data == {
        "id": "1022",
        "field": "messages",
        "value": {
            "metadata": {"phone_number_id": "1082"},
            "contacts": [{"wa_id": "0"}],
            "messages": [{"id": "wamid.0", "from": "0", "text": {"body": "hello"}}],
        },
    }


def test_a_text_that_is_too_long_for_an_id_does_not_go_with_each_item() -> None:
    whole = messages(SMALL, "value")
    whole["entry"][0]["id"] = "x" * 100_000
    body = of_json(whole)
    items = split("meta", body, 0.0)
    assert [item.kind for item in items].count("messages") == ITEMS
    assert stored_bytes(items) < len(body) + ITEMS * (SMALL_REST_BYTES + 500)


@pytest.mark.parametrize("place", one_in(3, PLACES))
def test_twice_the_items_are_twice_the_bytes(place: str) -> None:
    once = stored_bytes(split("meta", of_json(messages(LARGE, place, ITEMS)), 0.0))
    twice = stored_bytes(split("meta", of_json(messages(LARGE, place, 2 * ITEMS)), 0.0))
    assert twice < 2.2 * once
