"""Where higher statuses of the same message are claimed."""

import json
import time

import msgspec
import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem, decode_item, encode_item
from forebay.core.item import Item, variant_of
from forebay.core.json_values import Json
from forebay.core.status_ranks import MOST_CLAIMS, higher_claims
from forebay.core.subjects import (
    EventSubject,
    Lane,
    conversation_partition,
    in_any_partition,
    key_token,
)
from support.inputs.corpus import payload
from support.inputs.splitting import split

ASCENDING = ("sent", "failed", "delivered", "read", "played")
SHOP = EndpointName("demo", "shop")


def status(**fields: Json) -> Item:
    value = {
        "metadata": {"phone_number_id": "1082"},
        "statuses": [{"id": "wamid.1", "recipient_id": "15550001", **fields}],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    (item,) = split("meta", json.dumps({"entry": [entry]}).encode(), time.time())
    return item


def subject_of(item: Item) -> EventSubject:
    return EventSubject("0", 7, Lane.STATUS, SHOP, item.kind, item.token)


def higher_of(item: Item) -> list[str]:
    return higher_claims(subject_of(item), decode_item(encode_item(item)))


@pytest.mark.parametrize("own", ASCENDING)
@pytest.mark.parametrize("person", ["", "US.13491208655302741918"])
@pytest.mark.parametrize("message", ["wamid.HBgL/+==", "wamid:sent:1"])
def test_the_subjects_are_those_under_which_higher_statuses_are_stored(
    own: str, person: str, message: str
) -> None:
    group = {"recipient_type": "group", "recipient_participant_id": person} if person else {}
    around = {"id": message, **group}
    higher = ASCENDING[ASCENDING.index(own) + 1 :]
    subjects = [str(subject_of(status(**around, status=each))) for each in higher]
    found = higher_of(status(**around, status=own))
    assert found == (subjects if person else [in_any_partition(each) for each in subjects])


def test_a_person_with_two_names_is_searched_under_both() -> None:
    both = status(status="delivered", recipient_user_id="US.1")
    one, other = status(status="read"), status(status="read", recipient_user_id="US.1")
    own = subject_of(both)._replace(partition=conversation_partition(SHOP, both.conversation, "0"))
    found = higher_claims(own, decode_item(encode_item(both)))
    for item in (one, other):
        partition = conversation_partition(SHOP, item.conversation, "0")
        assert str(own._replace(partition=partition, key=item.token)) in found
    assert len(found) <= MOST_CLAIMS


@pytest.mark.parametrize("name", ["recipient_id", "recipient_user_id"])
def test_a_person_with_one_name_may_have_had_another_and_is_searched_everywhere(
    name: str,
) -> None:
    found = higher_of(status(status="read", **{"recipient_id": "", name: "x"}))
    played = status(status="played")
    assert found == [in_any_partition(str(subject_of(played)))]


def test_a_variant_has_the_rank_of_its_status() -> None:
    item = status(status="read", recipient_user_id="US.1")
    assert higher_of(variant_of(item)) == higher_of(item)


def test_a_payment_has_no_rank() -> None:
    payment = {"transaction": {"id": "t", "status": "failed"}}
    item = status(status="failed", type="payment", payment=payment)
    assert item.key == "pay:1082:wamid.1:failed:t:failed:"
    assert higher_of(item) == []


def test_a_status_that_does_not_exist_yet_has_no_rank() -> None:
    assert higher_of(status(status="pinned")) == []


def test_a_status_without_an_id_has_no_rank() -> None:
    assert higher_of(status(id="", status="sent")) == []


def test_states_of_calls_have_no_rank() -> None:
    body = payload("calls-status").body
    (item,) = split("meta", body, time.time())
    renamed = msgspec.structs.replace(item, type="sent")
    assert higher_of(renamed) == []


def test_a_key_of_another_kind_under_a_status_subject_has_no_rank() -> None:
    item = StoredItem(
        key="msg:1:sent", kind="messages", type="sent", channel="1", time="", data=msgspec.Raw()
    )
    subject = EventSubject("0", 7, Lane.STATUS, SHOP, "statuses", key_token(item.key))
    assert higher_claims(subject, item) == []
