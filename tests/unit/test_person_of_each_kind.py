"""The table from an item's kind to its person, by itself: an item that names everybody."""

import pytest

from forebay.core.item_kinds import KINDS
from forebay.core.json_values import Json
from forebay.core.participants import person_of

EVERYBODY: Json = {
    "group_id": "group",
    "from": "sender's number",
    "from_user_id": "sender",
    "to": "addressee's number",
    "to_user_id": "addressee",
    "recipient_id": "recipient's number",
    "recipient_user_id": "recipient",
    "recipient_participant_id": "participant's number",
    "recipient_participant_user_id": "participant",
    "wa_id": "person's number",
    "user_id": "person",
    "contact": {"phone_number": "contact's number", "user_id": "contact"},
}
"""Who reads the wrong property finds another one's name there."""

PERSONS = {
    "messages": "group",
    "history-media": "group",
    "echoes": "group",
    "statuses": "recipient",
    "call-statuses": "recipient",
    "calls": "sender",
    "contacts": "contact",
    "preferences": "person",
    "generic": "",
    "errors": "",
    "history": "",
    "account": "",
    "partner": "",
    "unknown": "",
}

WITHOUT = [
    ("messages", ("group_id",), "sender"),
    ("messages", ("group_id", "from_user_id"), "sender's number"),
    ("messages", ("group_id", "from_user_id", "from"), ""),
    ("history-media", ("group_id",), "sender"),
    ("echoes", ("group_id",), "addressee"),
    ("echoes", ("group_id", "to_user_id"), "addressee's number"),
    ("echoes", ("group_id", "to_user_id", "to"), ""),
    ("statuses", ("recipient_user_id",), "recipient's number"),
    ("statuses", ("recipient_user_id", "recipient_id"), ""),
    ("call-statuses", ("recipient_user_id",), "recipient's number"),
    ("calls", ("from_user_id",), "sender's number"),
    ("calls", ("from_user_id", "from"), ""),
    ("preferences", ("user_id",), "person's number"),
    ("contacts", ("contact",), ""),
]


def test_every_kind_is_in_this_table() -> None:
    assert set(PERSONS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_person_of_its_own_and_no_other(kind: str) -> None:
    assert person_of(kind, EVERYBODY) == PERSONS[kind]


@pytest.mark.parametrize(("kind", "missing", "person"), WITHOUT)
def test_what_is_not_given_makes_nobody_else_its_person(
    kind: str, missing: tuple[str, ...], person: str
) -> None:
    part = {name: value for name, value in EVERYBODY.items() if name not in missing}
    assert person_of(kind, part) == person


@pytest.mark.parametrize(
    ("given", "person"),
    [
        ({"recipient_type": "group"}, "recipient's number"),
        ({"recipient_type": "group", "recipient_id": ""}, "group"),
        ({"recipient_type": "individual"}, "recipient"),
    ],
)
def test_a_status_of_a_group_is_the_group_s(given: Json, person: str) -> None:
    assert person_of("statuses", {**EVERYBODY, **given}) == person


@pytest.mark.parametrize(
    ("direction", "person"), [("BUSINESS_INITIATED", "addressee"), ("USER_INITIATED", "sender")]
)
def test_a_call_is_of_whoever_is_not_the_business(direction: str, person: str) -> None:
    assert person_of("calls", {**EVERYBODY, "direction": direction}) == person
