"""A key holds every field that distinguishes two things of a kind, or says that it does not."""

import copy
from typing import NamedTuple

import pytest

from forebay.core.item import Item
from forebay.core.json_values import Json
from support.inputs.bodies import of_json
from support.inputs.splitting import split
from support.timing.further import one_in

RECEIVED = 1_795_930_000.0
REACTION = {
    "id": "wamid.1",
    "type": "reaction",
    "timestamp": "17",
    "from": "1555",
    "reaction": {"message_id": "wamid.0", "emoji": "x"},
}
PAYMENT = {
    "id": "wamid.1",
    "type": "payment",
    "status": "captured",
    "timestamp": "17",
    "recipient_id": "1555",
    "payment": {
        "reference_id": "r",
        "transaction": {"id": "t", "status": "success"},
        "refunds": [{"id": "f"}],
    },
}
MEMBER = {
    "id": "wamid.1",
    "status": "read",
    "timestamp": "17",
    "recipient_type": "group",
    "recipient_id": "G1",
    "recipient_participant_user_id": "US.1",
}
SYNC = {
    "type": "contact",
    "action": "add",
    "contact": {"full_name": "Cleo", "phone_number": "1555"},
    "metadata": {"timestamp": "17"},
}
STOP = {
    "wa_id": "1555",
    "user_id": "US.1",
    "category": "marketing_messages",
    "value": "stop",
    "timestamp": 17,
}
CALL = {"id": "wacid.1", "event": "connect", "timestamp": "17", "from": "1555"}


class Kind(NamedTuple):
    """A kind of items: where it stands, what one looks like, and what belongs to its key."""

    kind: str
    field: str
    name: str
    part: Json
    key: str
    belongs: tuple[str, ...]


KINDS = [
    Kind(
        "messages",
        "messages",
        "messages",
        {"id": "wamid.1", "type": "text", "timestamp": "17", "from": "1555"},
        "msg:1082:wamid.1",
        ("id",),
    ),
    Kind(
        "messages",
        "messages",
        "messages",
        REACTION,
        "msg:1082:wamid.1:x:17",
        ("id", "timestamp"),
    ),
    Kind(
        "statuses",
        "messages",
        "statuses",
        {"id": "wamid.1", "status": "read", "timestamp": "17", "recipient_id": "1555"},
        "st:1082:wamid.1:read",
        ("id", "status"),
    ),
    Kind(
        "statuses",
        "messages",
        "statuses",
        MEMBER,
        "st:1082:wamid.1:read:US.1",
        ("id", "status", "recipient_participant_user_id"),
    ),
    Kind(
        "statuses",
        "messages",
        "statuses",
        PAYMENT,
        "pay:1082:wamid.1:captured:t:success:f",
        (
            "id",
            "status",
            "payment.transaction.id",
            "payment.transaction.status",
            "payment.refunds.0.id",
        ),
    ),
    Kind("calls", "calls", "calls", CALL, "call:1082:wacid.1:connect", ("id", "event")),
    Kind(
        "call-statuses",
        "calls",
        "statuses",
        {"id": "wacid.1", "status": "RINGING", "timestamp": "17", "recipient_id": "1555"},
        "callst:1082:wacid.1:RINGING",
        ("id", "status"),
    ),
    Kind(
        "echoes",
        "smb_message_echoes",
        "message_echoes",
        {"id": "wamid.1", "type": "text", "timestamp": "17", "to": "1555"},
        "echo:1082:wamid.1",
        ("id",),
    ),
    Kind(
        "contacts",
        "smb_app_state_sync",
        "state_sync",
        SYNC,
        "sync:1082:add:1555:17:",
        ("action", "contact.phone_number", "metadata.timestamp"),
    ),
    Kind(
        "preferences",
        "user_preferences",
        "user_preferences",
        STOP,
        "pref:1082:US.1:marketing_messages:stop:17",
        ("category", "value", "timestamp"),
    ),
    Kind(
        "history-media",
        "history",
        "messages",
        {"id": "wamid.1", "type": "image", "timestamp": "17", "from": "1555"},
        "histmedia:1082:wamid.1",
        ("id",),
    ),
]
NO_IDS: list[Json] = ["absent", None, "", {}, [], ["x"], {"id": "x"}, True, 1.5]


def cut(kind: Kind, part: Json, *, channel: str = "1082", at: float = RECEIVED) -> Item:
    value = {"metadata": {"phone_number_id": channel}, kind.name: [part]}
    document = {"entry": [{"id": "1022", "changes": [{"field": kind.field, "value": value}]}]}
    (item,) = split("meta", of_json(document), at)
    assert (item.kind, item.channel) == (kind.kind, channel)
    return item


def with_value(part: Json, path: str, value: Json) -> Json:
    """Return a part with another value at a place, or with none."""
    changed = copy.deepcopy(part)
    whole = changed
    *names, last = path.split(".")
    for name in names:
        whole = whole[int(name)] if isinstance(whole, list) else whole[name]
    if value == "absent":
        del whole[last]
    else:
        whole[last] = value
    return changed


PLACES = [(kind, place) for kind in KINDS for place in kind.belongs]


def name_of(value: object) -> str:
    return value.key if isinstance(value, Kind) else str(value)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_a_whole_key_is_that_of_the_table(kind: Kind) -> None:
    item = cut(kind, kind.part)
    assert item.key.startswith(kind.key)
    assert (item.key == kind.key) == (kind.kind != "contacts")
    assert item.is_complete
    assert not item.is_dateless


@pytest.mark.parametrize(("kind", "place"), PLACES, ids=name_of)
def test_what_differs_in_a_field_of_the_key_has_another_key(kind: Kind, place: str) -> None:
    other = cut(kind, with_value(kind.part, place, "other"))
    assert other.is_complete
    assert other.key != cut(kind, kind.part).key


@pytest.mark.parametrize(("kind", "place"), PLACES, ids=name_of)
def test_a_number_is_an_id_like_its_text(kind: Kind, place: str) -> None:
    number, text = (cut(kind, with_value(kind.part, place, value)) for value in (170, "170"))
    assert number.is_complete
    # A contact's content is in its key, and there they differ.
    assert (number.key == text.key) == (kind.kind != "contacts" or place[:7] != "contact")


@pytest.mark.parametrize("value", one_in(len(NO_IDS), NO_IDS), ids=repr)
@pytest.mark.parametrize(("kind", "place"), PLACES, ids=name_of)
def test_without_a_field_of_the_key_it_goes_by_its_content_and_its_time(
    kind: Kind, place: str, value: Json
) -> None:
    part = with_value(kind.part, place, value)
    item = cut(kind, part)
    assert item.key.startswith("hash:1082:")
    assert not item.is_complete
    # What has a time or an id of its own is the same whenever it comes.
    has_neither = "id" not in kind.part and place.endswith("timestamp") and value != 1.5
    assert item.is_dateless == has_neither
    assert (cut(kind, part, at=RECEIVED + 300).key == item.key) != has_neither
    other = with_value(part, "future", "other")
    assert cut(kind, other).key != item.key


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_without_a_channel_it_goes_by_its_content(kind: Kind) -> None:
    item = cut(kind, kind.part, channel="")
    assert item.key.startswith("hash:1022:")
    assert not item.is_complete


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_only_what_has_neither_an_id_nor_a_time_goes_by_its_receipt(kind: Kind) -> None:
    part = {"type": "text"}
    soon, later = cut(kind, part), cut(kind, part, at=RECEIVED + 300)
    assert soon.is_dateless
    assert soon.key != later.key


@pytest.mark.parametrize("time", [0, "0", "", None, {}], ids=repr)
def test_a_time_that_is_none_is_none(time: Json) -> None:
    part = {"type": "text", "timestamp": time}
    assert cut(KINDS[0], part).is_dateless


@pytest.mark.parametrize(
    "name",
    ["recipient_participant_user_id", "recipient_participant_id", "participant_recipient_id"],
)
def test_a_group_s_member_is_found_in_every_spelling(name: str) -> None:
    part = {**with_value(MEMBER, "recipient_participant_user_id", "absent"), name: "M7"}
    assert cut(KINDS[3], part).key == "st:1082:wamid.1:read:M7"


def test_a_user_id_goes_before_a_number() -> None:
    part = {**MEMBER, "recipient_participant_id": "1555"}
    assert cut(KINDS[3], part).key == "st:1082:wamid.1:read:US.1"


def test_what_is_sent_to_a_group_is_of_no_member() -> None:
    part = with_value(
        with_value(MEMBER, "recipient_participant_user_id", "absent"), "status", "sent"
    )
    assert cut(KINDS[3], part).key == "st:1082:wamid.1:sent"


@pytest.mark.parametrize("emoji", [None, "", "absent"], ids=repr)
def test_a_reaction_without_an_emoji_was_removed(emoji: Json) -> None:
    assert cut(KINDS[1], with_value(REACTION, "reaction.emoji", emoji)).key == (
        "msg:1082:wamid.1:-:17"
    )


@pytest.mark.parametrize("place", ["reaction", "reaction.emoji"])
def test_a_reaction_of_a_shape_that_nobody_knows_has_no_whole_key(place: str) -> None:
    assert not cut(
        KINDS[1], with_value(REACTION, place, {"odd": 1} if "." in place else 7)
    ).is_complete


def test_a_reaction_is_one_whatever_its_type_says() -> None:
    item = cut(KINDS[1], with_value(REACTION, "type", "absent"))
    assert (item.key, item.type) == ("msg:1082:wamid.1:x:17", "reaction")


def test_a_payment_without_refunds_has_none_in_its_key() -> None:
    item = cut(KINDS[4], with_value(PAYMENT, "payment.refunds", "absent"))
    assert (item.key, item.type) == ("pay:1082:wamid.1:captured:t:success:", "payment")


def test_a_status_of_a_course_that_nobody_knows_is_none_of_the_message() -> None:
    part = {**with_value(PAYMENT, "payment", "absent"), "type": "delivery_order"}
    item = cut(KINDS[2], part)
    assert not item.is_complete
    assert item.type == "delivery_order"


def test_preferences_of_who_has_no_user_id_go_by_the_number() -> None:
    part = with_value(STOP, "user_id", "absent")
    assert cut(KINDS[9], part).key == "pref:1082:1555:marketing_messages:stop:17"


@pytest.mark.parametrize("event", ["history", "channel_running"])
@pytest.mark.parametrize("identity", ["evt-1", ""])
def test_a_partner_s_event_goes_by_its_name_and_its_id(event: str, identity: str) -> None:
    document = {"event": event, "id": identity, "data": {"id": "C1"}, "timestamp": 17}
    (item,) = split("360dialog", of_json(document), RECEIVED)
    assert (item.key == f"d360:{event}:evt-1") == bool(identity)
    (again,) = split("360dialog", of_json(document), RECEIVED + 300)
    assert again.key == item.key


@pytest.mark.parametrize("missing", ["id", "time"])
def test_an_account_s_event_without_its_account_or_time_goes_by_its_content(missing: str) -> None:
    entry: Json = {"id": "1022", "time": 17}
    entry["changes"] = [{"field": "account_update", "value": {"event": "DISABLED"}}]
    (whole,) = split("meta", of_json({"entry": [entry]}), RECEIVED)
    del entry[missing]
    (item,) = split("meta", of_json({"entry": [entry]}), RECEIVED)
    (later,) = split("meta", of_json({"entry": [entry]}), RECEIVED + 300)
    assert whole.key.startswith("acct:1022:account_update:17:")
    assert item.key.startswith("hash:")
    assert (item.key == later.key) == (missing == "id")


def test_an_event_of_a_generic_endpoint_goes_by_the_event_s_id() -> None:
    body = b'{"source": "door-7"}'
    one, other = (split("generic", body, RECEIVED, event)[0] for event in ("a", "b"))
    assert (one.key, other.key) == ("event::a", "event::b")
    assert one.digest == other.digest
    assert split("generic", body, RECEIVED)[0].is_dateless
