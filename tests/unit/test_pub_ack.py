"""Only the subject's own stream is believed, and only with a sequence."""

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    DeadSubject,
    EventSubject,
    Lane,
    RawSubject,
    RetrySubject,
    StreamKind,
    lease_stream,
    lease_subject,
    stream_name,
    stream_of,
)
from forebay.runtime.jetstream.errors import (
    ClaimedBefore,
    ForeignAnswer,
    SequenceMismatch,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay.runtime.jetstream.pending_publish import PubAck, pub_ack

STREAM = "FOREBAY_RAW_0"
NAME = EndpointName("demo", "meta")
KEY = "0123456789abcdef0123456789abcdef"


def test_the_stream_s_own_answer_is_believed() -> None:
    assert pub_ack(b'{"stream":"FOREBAY_RAW_0", "seq":7}', STREAM) == PubAck(STREAM, 7)


def test_a_repeat_is_believed_too() -> None:
    answer = b'{"stream":"FOREBAY_RAW_0", "seq":7,"duplicate": true}'
    assert pub_ack(answer, STREAM) == PubAck(STREAM, 7, duplicate=True)


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"+OK",
        b"null",
        b"[]",
        b"{",
        b'{"seq":7}',
        b'{"stream":"FOREBAY_RAW_0"}',
        b'{"stream":"FOREBAY_RAW_0","seq":0}',
        b'{"stream":"FOREBAY_RAW_0","seq":-1}',
        b'{"stream":"FOREBAY_RAW_0","seq":"7"}',
        b'{"stream":"","seq":7}',
    ],
)
def test_an_answer_without_stream_or_sequence_is_nobody_s(answer: bytes) -> None:
    found = pub_ack(answer, STREAM)
    assert isinstance(found, ForeignAnswer)
    assert "subscriber" in str(found)
    assert STREAM in str(found)


HOSTILE_ANSWERS = {
    "no error at all": b'{"error":[]}',
    "nested": b'{"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
    "a nested error": b'{"error":{"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}}",
    "no UTF-8": b'{"stream":"\xff"}',
    "a surrogate": b'{"stream":"\\ud800"}',
    "a sequence of 5,000 digits": b'{"stream":"FOREBAY_RAW_0","seq":%s}' % (b"9" * 5_000),
}


@pytest.mark.parametrize("kind", HOSTILE_ANSWERS)
def test_an_answer_that_cannot_be_read_is_nobody_s(kind: str) -> None:
    assert isinstance(pub_ack(HOSTILE_ANSWERS[kind], STREAM), ForeignAnswer)


@pytest.mark.parametrize("name", ["EVERYTHING", "FOREBAY_RAW_1", "FOREBAY_RAW_00", "forebay_raw_0"])
def test_another_stream_is_not_believed_and_named(name: str) -> None:
    found = pub_ack(b'{"stream":"%s", "seq":7}' % name.encode(), STREAM)
    assert isinstance(found, ForeignAnswer)
    assert repr(name) in str(found)


def test_a_name_that_somebody_made_up_does_not_fill_the_log() -> None:
    found = pub_ack(b'{"stream":"%s\\n", "seq":7}' % (b"x" * 10_000), STREAM)
    assert len(str(found)) < 200


@pytest.mark.parametrize(
    ("code", "text"),
    [(10077, "maximum messages per subject exceeded"), (10071, "wrong last sequence: 0")],
)
def test_another_stream_s_refusal_is_no_claim_and_no_sign_of_life(code: int, text: str) -> None:
    refusal = f'"error":{{"code":400,"err_code":{code},"description":"{text}"}}'
    for stream in ('"stream":"EVERYTHING"', '"seq":0'):
        found = pub_ack(f"{{{refusal},{stream}}}".encode(), STREAM)
        assert isinstance(found, ForeignAnswer)
    own = pub_ack(f'{{{refusal},"stream":"{STREAM}","seq":0}}'.encode(), STREAM)
    assert isinstance(own, ClaimedBefore | SequenceMismatch)


def test_a_trouble_of_the_server_need_not_name_the_stream() -> None:
    no_room = b'{"error":{"code":503,"err_code":10023,"description":"insufficient resources"}}'
    assert isinstance(pub_ack(no_room, STREAM), StoreFull)
    no_leader = b'{"error":{"code":503,"err_code":10008,"description":"unavailable"}}'
    assert isinstance(pub_ack(no_leader, STREAM), StoreUnavailable)


def test_nobody_s_answer_is_no_foreign_one() -> None:
    found = pub_ack(b"", STREAM)
    assert isinstance(found, StreamMissing)
    assert not isinstance(found, ForeignAnswer)


def test_every_subject_names_its_stream() -> None:
    subjects = {
        StreamKind.RAW: RawSubject("a-1", 3, Lane.LIVE, NAME),
        StreamKind.EVENTS: EventSubject("a-1", 3, Lane.LIVE, NAME, "messages", KEY),
        StreamKind.RETRY: RetrySubject("a-1", 3, Lane.LIVE, NAME, "crm", "c" * 16, KEY),
        StreamKind.DEAD: DeadSubject("a-1", NAME, "crm", KEY),
    }
    for kind, subject in subjects.items():
        assert stream_of(str(subject)) == stream_name(kind, "a-1")
    assert stream_of(lease_subject("a-1")) == lease_stream("a-1")
    assert stream_of("forebay.raw.0.probe") == "FOREBAY_RAW_0"
