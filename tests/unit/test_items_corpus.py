"""Every file of the corpus is cut into the items that its table lists."""

import json

import pytest

from forebay.core.item_kinds import KIND_LANES
from support.inputs.corpus import Payload, payload
from support.inputs.splitting import split

RECEIVED_AT = 1_767_225_600.0


def test_the_keys_are_those_of_the_corpus(payload: Payload) -> None:
    items = split("meta", payload.body, RECEIVED_AT)
    assert tuple(item.key for item in items) == payload.keys(RECEIVED_AT)


def test_the_tokens_are_what_anyone_can_compute_from_the_keys(payload: Payload) -> None:
    items = split("360dialog", payload.body, RECEIVED_AT)
    assert tuple(item.token for item in items) == payload.webhook_ids(RECEIVED_AT)


def test_every_item_has_a_lane_and_a_time(payload: Payload) -> None:
    for item in split("meta", payload.body, RECEIVED_AT):
        assert item.lane is KIND_LANES[item.kind]
        assert item.time.endswith("Z")


def test_the_time_is_the_provider_s() -> None:
    (item,) = split("meta", payload("messages-text").body, RECEIVED_AT)
    body = json.loads(payload("messages-text").body)
    seconds = int(body["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"])
    (again,) = split("meta", payload("messages-text").body, float(seconds))
    assert item.time == again.time
    assert item.time != split("meta", payload("messages-errors").body, RECEIVED_AT)[0].time


def test_the_time_is_the_receipt_s_where_the_provider_says_none() -> None:
    (item,) = split("meta", payload("messages-errors").body, RECEIVED_AT)
    assert item.time == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize("sent_at", ["soon", "1e400", "9" * 30, "9" * 100_000])
def test_a_time_that_is_none_is_the_receipt_s(sent_at: str) -> None:
    document = json.loads(payload("messages-text").body)
    document["entry"][0]["changes"][0]["value"]["messages"][0]["timestamp"] = sent_at
    (item,) = split("meta", json.dumps(document).encode(), RECEIVED_AT)
    assert item.time == "2026-01-01T00:00:00.000Z"


def test_a_later_receipt_changes_no_key_that_has_an_id(payload: Payload) -> None:
    now = split("meta", payload.body, RECEIVED_AT)
    later = split("meta", payload.body, RECEIVED_AT + 86_400)
    if not payload.has_timed_keys:
        assert [item.key for item in now] == [item.key for item in later]


def test_equal_errors_count_as_one_within_five_minutes_and_as_two_beyond() -> None:
    body = payload("messages-errors").body
    first, soon, later = (
        split("meta", body, RECEIVED_AT + seconds)[0].key for seconds in (0, 299, 300)
    )
    assert first == soon
    assert first != later


def test_media_of_a_history_message_is_no_repeat_of_its_placeholder() -> None:
    placeholders = {item.key for item in split("meta", payload("history").body, RECEIVED_AT)}
    (media,) = split("meta", payload("history-media").body, RECEIVED_AT)
    assert media.kind == "history-media"
    assert media.key not in placeholders
    assert media.key.removeprefix("histmedia") in {key.removeprefix("hist") for key in placeholders}


def test_a_removed_reaction_is_another_item_than_the_reaction() -> None:
    (added,) = split("meta", payload("messages-reaction").body, RECEIVED_AT)
    (removed,) = split("meta", payload("messages-reaction-removed").body, RECEIVED_AT)
    assert added.key != removed.key
    assert added.conversation == removed.conversation


def test_one_person_s_messages_share_a_conversation_and_another_channel_s_do_not() -> None:
    (text,) = split("meta", payload("messages-text").body, RECEIVED_AT)
    (image,) = split("meta", payload("messages-image").body, RECEIVED_AT)
    elsewhere = payload("messages-text").body.replace(text.channel.encode(), b"109")
    (other,) = split("meta", elsewhere, RECEIVED_AT)
    assert text.conversation == image.conversation
    assert text.conversation != other.conversation


def test_a_body_of_a_generic_provider_is_one_item_whatever_it_holds() -> None:
    for body in (b"[]", b'"text"', b"12", b'{"entry": []}', payload("batch-mixed").body):
        (item,) = split("generic", body, RECEIVED_AT)
        assert (item.kind, item.data) == ("generic", json.loads(body))


@pytest.mark.parametrize("name", ["messages-text", "status-sent", "calls-connect", "history-media"])
def test_a_body_with_one_item_keeps_all_that_stood_around_it(name: str) -> None:
    body = payload(name).body
    (item,) = split("meta", body, RECEIVED_AT)
    (entry,) = json.loads(body)["entry"]
    (change,) = entry.pop("changes")
    assert item.data == {**entry, **change}
