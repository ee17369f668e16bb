"""What JetStream answers, distinguished: a repeat is no failure, and a full stream is no repeat."""

import socket

import pytest
from nats import errors as nats_errors

from forebay.core.errors import ForebayError
from forebay.runtime.jetstream.errors import (
    CLAIM_REFUSED_TEXT,
    ClaimedBefore,
    MessageTooLarge,
    SequenceMismatch,
    StillStoring,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    StreamMissing,
    failure_words,
    store_error,
)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (10077, CLAIM_REFUSED_TEXT, ClaimedBefore),
        (10077, "maximum bytes exceeded", StoreFull),
        (10077, "maximum messages exceeded", StoreFull),
        (10077, f"{CLAIM_REFUSED_TEXT}.", StoreFull),
        (10077, "", StoreFull),
        (10023, "insufficient resources", StoreFull),
        (10028, "insufficient memory resources available", StoreFull),
        (10047, "insufficient storage resources available", StoreFull),
        (10054, "message size exceeds maximum allowed", MessageTooLarge),
        (10059, "stream not found", StreamMissing),
        (10008, "JetStream system temporarily unavailable", StoreUnavailable),
        (10076, "JetStream not enabled", StoreUnavailable),
        (10071, "wrong last sequence: 5", SequenceMismatch),
        (10158, "duplicate message id is in process", StillStoring),
        (10164, "wrong last sequence", StillStoring),
        (10001, "something new", StoreRefused),
        (None, "no code at all", StoreRefused),
    ],
)
def test_each_answer_is_its_own_kind(code: int | None, text: str, kind: type[StoreError]) -> None:
    error = store_error({"code": 503, "err_code": code, "description": text})
    assert type(error) is kind


def test_the_message_says_what_the_server_said() -> None:
    error = store_error({"err_code": 10001, "description": "something new"})
    assert str(error) == "NATS answered 10001: something new"


@pytest.mark.parametrize(
    ("text", "sequence"),
    [
        ("wrong last sequence: 5", 5),
        ("wrong last sequence: 18446744073709551615", 2**64 - 1),
        ("wrong last sequence", 0),
        ("", 0),
        ("wrong last sequence: " + "9" * 5_000, 0),
        ("wrong last sequence: \u0663", 0),
    ],
)
def test_a_mismatch_says_which_message_is_there(text: str, sequence: int) -> None:
    error = store_error({"err_code": 10071, "description": text})
    assert isinstance(error, SequenceMismatch)
    assert error.sequence == sequence


def test_an_answer_without_anything_is_a_refusal() -> None:
    assert type(store_error({})) is StoreRefused


def test_what_may_be_stored_after_all_is_unavailable_and_nothing_else_is() -> None:
    assert issubclass(StreamMissing, StoreUnavailable)
    assert issubclass(StillStoring, StoreUnavailable)
    for kind in (StoreFull, ClaimedBefore, SequenceMismatch, MessageTooLarge, StoreRefused):
        assert not issubclass(kind, StoreUnavailable)
        assert issubclass(kind, ForebayError)


@pytest.mark.parametrize("strange", [[], {}, "10077", 1e400, True, "x" * 10_000, ["y" * 10_000]])
def test_an_error_of_any_shape_is_a_refusal_in_few_words(strange: object) -> None:
    error = store_error({"err_code": strange, "description": strange})
    assert type(error) is StoreRefused
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (nats_errors.TimeoutError(), "it took too long"),
        (TimeoutError(), "it took too long"),
        (nats_errors.NoServersError(), "no server can be reached"),
        (nats_errors.UnexpectedEOF(), "the connection broke"),
        (ConnectionResetError(), "the connection broke"),
        (ConnectionRefusedError(), "nobody listens there"),
        (socket.gaierror(), "its name has no address"),
    ],
)
def test_a_failure_of_a_connection_is_named_without_words_of_python(
    error: Exception, words: str
) -> None:
    assert failure_words(error) == words


def test_one_without_words_is_named_by_its_class_and_never_by_its_text() -> None:
    assert failure_words(ValueError("nats://me:secret@host")) == "ValueError"
