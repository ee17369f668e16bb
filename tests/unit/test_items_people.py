"""Whose conversation an item belongs to, and what has an order among itself."""

import pytest

from forebay.core.item import Item
from forebay.core.json_values import Json
from forebay.core.subjects import conversation_token
from support.inputs.bodies import of_json
from support.inputs.corpus import payload
from support.inputs.splitting import split

ANNA = {"from": "1555", "from_user_id": "US.1"}
TO_ANNA = {"to": "1555", "to_user_id": "US.1"}
FOR_ANNA = {"recipient_id": "1555", "recipient_user_id": "US.1"}
GROUP = {"group_id": "G1"}
TO_GROUP = {
    "recipient_type": "group",
    "recipient_id": "G1",
    "recipient_participant_id": "1555",
    "recipient_participant_user_id": "US.1",
}
CONTACT = {"contact": {"phone_number": "1555", "user_id": "US.1"}}

PERSONS = [
    ("messages", "messages", ANNA, "US.1"),
    ("messages", "messages", {"from": "1555"}, "1555"),
    ("messages", "messages", {"from_user_id": "US.1"}, "US.1"),
    ("messages", "messages", {**ANNA, **GROUP}, "G1"),
    ("messages", "messages", {}, "x.1"),
    ("messages", "statuses", FOR_ANNA, "US.1"),
    ("messages", "statuses", {"recipient_id": "1555"}, "1555"),
    ("messages", "statuses", {"recipient_user_id": "US.1"}, "US.1"),
    ("messages", "statuses", TO_GROUP, "G1"),
    ("messages", "statuses", {**FOR_ANNA, "type": "payment"}, "US.1"),
    ("messages", "statuses", {}, "x.1"),
    ("calls", "calls", {**ANNA, **TO_ANNA, "to_user_id": "US.biz"}, "US.1"),
    ("calls", "calls", {**TO_ANNA, "from": "9", "direction": "BUSINESS_INITIATED"}, "US.1"),
    ("calls", "calls", {"to": "1555", "direction": "BUSINESS_INITIATED"}, "1555"),
    ("calls", "calls", {}, "x.1"),
    ("calls", "statuses", FOR_ANNA, "US.1"),
    ("smb_message_echoes", "message_echoes", {**TO_ANNA, "from": "9"}, "US.1"),
    ("message_echoes", "message_echoes", {"to": "1555", "from": "9"}, "1555"),
    ("smb_message_echoes", "message_echoes", {**TO_ANNA, **GROUP}, "G1"),
    ("smb_app_state_sync", "state_sync", CONTACT, "US.1"),
    ("smb_app_state_sync", "state_sync", {"contact": {"phone_number": "1555"}}, "1555"),
    ("user_preferences", "user_preferences", {"wa_id": "1555", "user_id": "US.1"}, "US.1"),
    ("user_preferences", "user_preferences", {"wa_id": "1555"}, "1555"),
    ("history", "messages", ANNA, "US.1"),
]


def items_of(field: str, value: Json, **entry: Json) -> list[Item]:
    whole = {"metadata": {"phone_number_id": "1082"}, **value}
    around = {"id": "1022", **entry, "changes": [{"field": field, "value": whole}]}
    return split("meta", of_json({"entry": [around]}), 0.0)


@pytest.mark.parametrize(("field", "name", "part", "person"), PERSONS)
def test_an_item_is_in_the_conversation_of_its_person(
    field: str, name: str, part: Json, person: str
) -> None:
    (item,) = items_of(field, {name: [{"id": "x.1", "status": "sent", **part}]})
    assert item.conversation == conversation_token("1082", person)


def test_a_history_s_messages_are_in_the_conversation_of_their_thread() -> None:
    threads = [
        {"id": person, "messages": [{"id": f"{person}.{number}"} for number in range(2)]}
        for person in ("1555", "1666")
    ]
    items = items_of("history", {"history": [{"threads": threads}]})
    assert [item.conversation for item in items] == [
        conversation_token("1082", person) for person in ("1555", "1555", "1666", "1666")
    ]


def test_what_has_no_person_and_no_order_has_a_conversation_of_its_own() -> None:
    items = [
        *items_of("messages", {"errors": [{"code": 1}]}),
        *items_of("messages", {"errors": [{"code": 2}]}),
        *items_of("messages", {"user_actions": [{"timestamp": "1"}, {"timestamp": "2"}]}),
        *items_of("future", {"things": [{"id": "1"}, {"id": "2"}]}),
        *items_of("future", {"thing": 1}),
        *items_of("future", {"thing": 2}),
        *items_of("messages", {"messages": ["odd", "odder"]}),
        *items_of("history", {"history": [{"metadata": {"progress": 10}}]}),
        *items_of("history", {"history": [{"metadata": {"progress": 20}}]}),
    ]
    assert len({item.conversation for item in items}) == len(items) == 12


def test_an_account_s_events_are_in_order_by_field_and_by_template() -> None:
    def event(field: str, moment: int, **value: Json) -> str:
        entry = {"id": "1022", "time": moment, "changes": [{"field": field, "value": value}]}
        (item,) = split("meta", of_json({"entry": [entry]}), 0.0)
        assert item.kind == "account"
        return item.conversation

    update = "message_template_status_update"
    first = event(update, 1, event="APPROVED", message_template_id=7)
    assert first == event(update, 2, event="PAUSED", message_template_id=7)
    assert first != event(update, 2, event="PAUSED", message_template_id=8)
    assert event("account_update", 1, event="A") == event("account_update", 2, event="B")
    assert event("account_update", 1, event="A") != event("account_alerts", 1, event="A")


def test_events_of_two_accounts_hold_each_other_back_nowhere() -> None:
    def event(account: str) -> str:
        change = {"field": "account_alerts", "value": {"event": "A"}}
        body = of_json({"entry": [{"id": account, "time": 1, "changes": [change]}]})
        (item,) = split("meta", body, 0.0)
        return item.conversation

    assert event("1022") == event("1022") != event("1023")


def test_partner_events_of_one_channel_are_in_order() -> None:
    (one,) = split("360dialog", payload("d360-partner-channel-running").body, 0.0)
    other = payload("d360-partner-channel-running").body.replace(b"channel_running", b"x")
    elsewhere = payload("d360-partner-channel-running").body.replace(b"EXMPLCH", b"OTHER")
    assert one.conversation == split("360dialog", other, 0.0)[0].conversation
    assert one.conversation != split("360dialog", elsewhere, 0.0)[0].conversation


def test_the_events_of_a_generic_endpoint_are_in_order() -> None:
    one, other = (split("generic", body, 0.0, body.decode())[0] for body in (b"1", b"2"))
    assert one.conversation == other.conversation
