"""Where higher statuses of the same message are claimed."""

import json
import time

import msgspec
import pytest

from forebay.core.envelope import StoredItem, decode_item, encode_item
from forebay.core.items import Item, split
from forebay.core.naming import EndpointName
from forebay.core.statuses import higher_claims
from forebay.core.subjects import EventSubject, Lane, key_token
from support.corpus import payload

ASCENDING = ("sent", "failed", "delivered", "read", "played")
SHOP = EndpointName("demo", "shop")


def status(**fields: str) -> Item:
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
    around = {"id": message, "recipient_participant_id": person}
    higher = ASCENDING[ASCENDING.index(own) + 1 :]
    assert higher_of(status(**around, status=own)) == [
        str(subject_of(status(**around, status=each))) for each in higher
    ]


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
