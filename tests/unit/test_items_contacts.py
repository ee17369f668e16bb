"""An item comes with the contacts of its own persons, and no contact is lost."""

import pytest

from forebay.core.item import Item
from forebay.core.item_context import SMALL_REST_BYTES
from support.inputs.bodies import Json, of_json
from support.inputs.splitting import split

ANNA = {"wa_id": "15550000001", "profile": {"name": "Anna"}}
BEN = {"wa_id": "15550000002", "user_id": "US.2", "profile": {"name": "Ben"}}


def cut(**value: Json) -> list[Item]:
    whole = {"metadata": {"phone_number_id": "1082"}, **value}
    return split("meta", of_json({"entry": [{"changes": [_change(whole)]}]}), 0.0)


def _change(value: Json) -> Json:
    return {"field": "messages", "value": value}


def text(number: int, **properties: Json) -> Json:
    return {"id": f"wamid.{number}", "type": "text", **properties}


def contacts(item: Item) -> list[Json]:
    found: list[Json] = item.data["value"].get("contacts", [])
    return found


def test_each_message_has_its_sender_s_contact() -> None:
    first, second = cut(
        contacts=[ANNA, BEN], messages=[text(1, **{"from": "15550000002"}), text(2, **FROM_ANNA)]
    )
    assert contacts(first) == [BEN]
    assert contacts(second) == [ANNA]


def test_a_sender_without_a_number_is_found_by_the_user_id() -> None:
    first, left = cut(contacts=[ANNA, BEN], messages=[text(1, from_user_id="US.2")])
    assert contacts(first) == [BEN]
    assert contacts(left) == [ANNA]


def test_a_status_has_its_recipient_s_contact() -> None:
    status = {"id": "wamid.1", "status": "sent", "recipient_id": "15550000001"}
    item, left = cut(contacts=[ANNA, BEN], statuses=[status])
    assert contacts(item) == [ANNA]
    assert contacts(left) == [BEN]


def test_the_only_contact_goes_with_every_item() -> None:
    items = cut(contacts=[ANNA], messages=[text(1, **FROM_ANNA), text(2)], errors=[{"code": 1}])
    assert [contacts(item) for item in items] == [[ANNA]] * 3


def test_a_contact_that_is_repeated_for_each_message_comes_once() -> None:
    items = cut(contacts=[ANNA, BEN, ANNA], messages=[text(1, **FROM_ANNA), text(2, **FROM_BEN)])
    assert [contacts(item) for item in items] == [[ANNA], [BEN]]


def test_contacts_of_nobody_are_an_item_of_their_own() -> None:
    message, left = cut(contacts=[ANNA, BEN], messages=[text(1)])
    assert contacts(message) == []
    assert (left.kind, left.type) == ("unknown", "contacts")
    assert contacts(left) == [ANNA, BEN]


def test_contacts_of_a_shape_that_nobody_knows_are_kept() -> None:
    (item,) = cut(contacts={"odd": 1}, messages=[text(1)])
    assert item.data["value"]["contacts"] == {"odd": 1}
    first, left = cut(contacts=["odd", ANNA], messages=[text(1, **FROM_ANNA)])
    assert contacts(first) == [ANNA]
    assert contacts(left) == ["odd"]


LARGE = {"wa_id": "15550000003", "profile": {"name": "x" * SMALL_REST_BYTES}}


@pytest.mark.parametrize("other", ["odd", LARGE, {"profile": {"name": "Nobody"}}])
def test_a_contact_is_not_a_stranger_s_because_it_is_the_only_one_that_fits(other: Json) -> None:
    """Beside it stands one that has no ids, or is too large to go with an item."""
    by_ben, by_anna, left = cut(
        contacts=[ANNA, other], messages=[text(1, **FROM_BEN), text(2, **FROM_ANNA)]
    )
    assert contacts(by_ben) == []
    assert contacts(by_anna) == [ANNA]
    assert contacts(left) == [other]


FROM_ANNA = {"from": "15550000001"}
FROM_BEN = {"from": "15550000002"}
