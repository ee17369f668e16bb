"""Lists that no reference knows are cut like those that one does."""

import pytest

from forebay.core.item import Item
from forebay.core.json_values import Json
from support.inputs.bodies import of_json
from support.inputs.splitting import split

CHANNEL = {"metadata": {"phone_number_id": "1082"}}
CLICK = {"action_type": "marketing_messages_link_click", "timestamp": "17"}
READ = {"id": "wamid.1", "status": "read", "recipient_id": "1555"}


def cut(field: str, value: Json, at: float = 0.0) -> list[Item]:
    entry = {"id": "1022", "changes": [{"field": field, "value": value}]}
    return split("meta", of_json({"entry": [entry]}), at)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("messages", "user_actions"),
        ("group_participants_update", "groups"),
        ("group_lifecycle_update", "groups"),
        ("standby", "messages"),
        ("automatic_events", "automatic_events"),
        ("user_id_update", "user_id_update"),
        ("calls", "future"),
    ],
)
def test_each_element_is_an_item_with_all_that_stands_around_it(field: str, name: str) -> None:
    parts = [{**CLICK, "number": number} for number in range(3)]
    items = cut(field, {**CHANNEL, "beside": 1, name: parts})
    assert [item.kind for item in items] == ["unknown"] * 3
    assert {item.type for item in items} == {name if field in ("messages", "calls") else field}
    for item, part in zip(items, parts, strict=True):
        assert item.data["value"] == {**CHANNEL, "beside": 1, name: [part]}
    assert len({item.key for item in items}) == 3
    assert [item.key for item in cut(field, {**CHANNEL, "beside": 1, name: parts}, 301.0)] == [
        item.key for item in items
    ]


def test_they_do_not_vanish_beside_an_item_that_is_a_repeat() -> None:
    (alone,) = cut("messages", {**CHANNEL, "statuses": [READ]})
    again, click = cut("messages", {**CHANNEL, "statuses": [READ], "user_actions": [CLICK]})
    assert (again.key, again.digest) == (alone.key, alone.digest)
    assert click.kind == "unknown"


def test_an_element_without_an_id_or_a_time_comes_again_in_the_next_window() -> None:
    (soon,), (later,) = (cut("future", {**CHANNEL, "x": [{"a": 1}]}, at) for at in (0.0, 300.0))
    assert soon.key != later.key


def test_an_account_s_event_stays_whole_whatever_lists_it_holds() -> None:
    value = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"type": "A"}, {"type": "B"}]}
    for field in ("account_update", "future_account_field"):
        (item,) = cut(field, value)
        assert item.data["value"] == value


def test_a_list_of_texts_is_no_list_of_items() -> None:
    (item,) = cut("messages", {**CHANNEL, "statuses": [READ], "labels": ["a", "b"]})
    assert item.data["value"]["labels"] == ["a", "b"]


def test_echoes_of_another_application_are_echoes() -> None:
    (item,) = cut("message_echoes", {**CHANNEL, "message_echoes": [{"id": "wamid.1", "to": "1"}]})
    assert (item.kind, item.key) == ("echoes", "echo:1082:wamid.1")


def test_what_stands_beside_items_and_belongs_to_none_comes_once() -> None:
    value = {
        **CHANNEL,
        "contacts": [{"wa_id": "1"}, {"wa_id": "2"}],
        "future": "x" * 3000,
        "statuses": [READ],
    }
    (rest, status, contacts), (again, _, once_more) = (
        cut("messages", value, at) for at in (0, 301)
    )
    assert (status.kind, rest.kind, contacts.kind) == ("statuses", "unknown", "unknown")
    assert (rest.key, contacts.key) == (again.key, once_more.key)
    other = cut("messages", {**value, "statuses": [{**READ, "id": "wamid.2"}]})
    assert {rest.key, contacts.key}.isdisjoint(item.key for item in other)
