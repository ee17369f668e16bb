"""What the index holds: read back as it was written, and found by a message's id."""

import json

import pytest

from forebay.core.errors import ForebayError
from forebay.core.index_records import (
    BUCKETS,
    IndexOutcome,
    ItemHandled,
    ItemStored,
    bucket_of,
    decode_records,
    encode_records,
    message_digest,
    message_id_of,
    readable_records,
    records_without,
)

STORED = ItemStored(
    1795165201000,
    "a" * 32,
    "b" * 16,
    "demo/meta",
    "messages",
    "c" * 16,
    "1065",
    IndexOutcome.NEW,
    7,
    9,
)
HANDLED = ItemHandled(
    1795165202000,
    "a" * 32,
    "demo/meta",
    "messages",
    "c" * 16,
    "1065",
    "crm",
    IndexOutcome.FAILED,
    2,
    31,
    "status 503",
    1795165300000,
    "try later",
)


def test_records_are_read_as_they_were_written() -> None:
    assert decode_records(encode_records([STORED, HANDLED])) == [STORED, HANDLED]


def test_a_record_is_stored_in_the_form_of_version_1() -> None:
    told = json.loads(encode_records([STORED, HANDLED]))
    assert told == [
        ["s", 1795165201000, "a" * 32, "b" * 16, "demo/meta", "messages", "c" * 16, "1065", "new",
         7, 9],
        ["h", 1795165202000, "a" * 32, "demo/meta", "messages", "c" * 16, "1065", "crm", "failed",
         2, 31, "status 503", 1795165300000, "try later"],
    ]  # fmt: skip


@pytest.mark.parametrize("payload", [b"", b"{}", b'[["x"]]', b'[["s",1]]', b"[" * 5000])
def test_what_is_no_record_is_refused_in_words(payload: bytes) -> None:
    with pytest.raises(ForebayError, match="cannot be read"):
        decode_records(payload)


@pytest.mark.parametrize(
    "later",
    [
        b'["z",1,2]',
        b'["h",1,"t","demo/meta","messages","c","1065","crm","a-later-outcome",1,1,""]',
        b"7",
        b'["s",1,"\xff"]',
    ],
)
def test_what_a_later_version_wrote_hides_nothing_that_can_be_read(later: bytes) -> None:
    known = encode_records([STORED, HANDLED])
    payload = known[:-1] + b"," + later + b"]"
    assert readable_records(payload) == ([STORED, HANDLED], 1)


@pytest.mark.parametrize("payload", [b"", b"{}", b"[" * 5000])
def test_a_message_that_holds_no_records_at_all_is_counted_as_one(payload: bytes) -> None:
    assert readable_records(payload) == ([], 1)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("msg:1065:wamid.HBgL==", "wamid.HBgL=="),
        ("msg:1065:wamid.HBgL==:👍:1795165201", "wamid.HBgL=="),
        ("st:1065:wamid.HBgL==:read", "wamid.HBgL=="),
        ("msg:1065:wamid.HBgL==~0123456789abcdef", "wamid.HBgL=="),
        ("st:1065:wamid.HBgL==:read~0123456789abcdef", "wamid.HBgL=="),
        ("hash:0123", "hash:0123"),
        ("", ""),
    ],
)
def test_a_key_tells_the_id_of_its_message(key: str, message: str) -> None:
    assert message_id_of(key) == message


def test_all_of_one_message_is_in_one_bucket_and_messages_are_spread() -> None:
    ids = [f"wamid.{number}" for number in range(1000)]
    assert {bucket_of(each) for each in ids} == set(BUCKETS)
    assert bucket_of("wamid.HBgL==") == "a"  # stored: another rule would not find what is there


def test_the_id_of_a_message_is_not_in_its_records() -> None:
    assert message_digest("wamid.HBgL==") == "e8f0372032642380"


def test_some_records_are_taken_out_and_the_others_stay_as_they_are() -> None:
    later = ["z", 1, "of a later version"]
    payload = json.dumps([json.loads(encode_records([STORED]))[0], later]).encode()
    kept, count = records_without(payload, lambda record: record.token == STORED.token)
    assert kept is not None
    assert (json.loads(kept), count) == ([later], 1)
    assert records_without(encode_records([STORED, HANDLED]), lambda _: True) == (None, 2)
    assert records_without(b"nobody's", lambda _: True) == (b"nobody's", 0)
    whole = encode_records([STORED, HANDLED])
    assert records_without(whole, lambda _: False) == (whole, 0)
