"""What an item is called within its kind: destinations choose what to do by it."""

import pytest

from forebay.core.item import Item
from forebay.core.json_values import Json
from support.inputs.bodies import of_json
from support.inputs.splitting import split

ACCOUNT = [
    *("account_alerts", "account_review_update", "account_update", "business_capability_update"),
    *("flows", "message_template_components_update", "message_template_quality_update"),
    *("message_template_status_update", "partner_solutions", "payment_configuration_update"),
    *("phone_number_name_update", "phone_number_quality_update", "security"),
    "template_category_update",
]
"""The fields of the Cloud API's reference that are an account's."""


def cut(field: str, value: Json) -> Item:
    change = {"field": field, "value": {"metadata": {"phone_number_id": "1082"}, **value}}
    entry = {"id": "1022", "time": 17, "changes": [change]}
    (item,) = split("meta", of_json({"entry": [entry]}), 0.0)
    return item


@pytest.mark.parametrize("field", ACCOUNT)
def test_an_account_s_event_is_called_by_its_field(field: str) -> None:
    item = cut(field, {"event": "x"})
    assert (item.kind, item.type) == ("account", field)


@pytest.mark.parametrize(
    ("field", "name", "part", "kind", "kind_type"),
    [
        ("messages", "messages", {"type": "text"}, "messages", "text"),
        ("messages", "messages", {"reaction": {"emoji": "x"}}, "messages", "reaction"),
        ("messages", "messages", {}, "messages", "unknown"),
        ("messages", "statuses", {"status": "read"}, "statuses", "read"),
        ("messages", "statuses", {"type": "message", "status": "read"}, "statuses", "read"),
        ("messages", "statuses", {"type": "payment", "status": "captured"}, "statuses", "payment"),
        ("calls", "calls", {"event": "connect"}, "calls", "connect"),
        ("calls", "statuses", {"status": "RINGING"}, "call-statuses", "ringing"),
        (
            "smb_app_state_sync",
            "state_sync",
            {"type": "contact", "action": "add"},
            "contacts",
            "add",
        ),
        ("user_preferences", "user_preferences", {"value": "stop"}, "preferences", "stop"),
        ("smb_message_echoes", "message_echoes", {"type": "image"}, "echoes", "image"),
    ],
)
def test_an_item_is_called_as_the_provider_calls_it(
    field: str, name: str, part: Json, kind: str, kind_type: str
) -> None:
    item = cut(field, {name: [{"id": "1", **part}]})
    assert (item.kind, item.type) == (kind, kind_type)


@pytest.mark.parametrize(
    ("chunk", "kind_type"),
    [({"metadata": {"progress": 55}}, "progress"), ({"errors": [{"code": 2593109}]}, "declined")],
)
def test_a_history_without_messages_says_whether_it_was_declined(
    chunk: Json, kind_type: str
) -> None:
    item = cut("history", {"history": [chunk]})
    assert (item.kind, item.type) == ("history", kind_type)


def test_what_stands_beside_a_history_has_the_time_of_its_first_message() -> None:
    def error_beside(time: int) -> Item:
        message = {"id": "wamid.1", "from": "1555", "timestamp": str(time)}
        value = {
            "metadata": {"phone_number_id": "1082"},
            "history": [{"threads": [{"id": "1555", "messages": [message]}]}],
            "errors": [{"code": 1}],
        }
        entry = {"id": "1022", "changes": [{"field": "history", "value": value}]}
        items = split("meta", of_json({"entry": [entry]}), 0.0)
        (error,) = [item for item in items if item.kind == "errors"]
        return error

    assert error_beside(17).key == error_beside(17).key != error_beside(18).key
