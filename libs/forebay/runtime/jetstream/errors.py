"""What JetStream answers when it does not store: one error for each case.

    StoreError
    ├── StoreUnavailable    connection lost, no answer in time: try again later
    │   ├── NotConnected    there is no connection: it was never sent
    │   ├── StreamMissing   nobody answers for the subject: no stream, or no leader at the moment
    │   │   └── ForeignAnswer  somebody else answers: another stream, or a subscriber
    │   ├── ConsumerMissing  the stream is there and has no such consumer
    │   └── StillStoring    10158, 10164: the same message id, or another message of the same
    │                       claim, is being stored at this moment: ask again
    ├── StoreFull           the stream or the server has no room left
    ├── ClaimedBefore       the subject has its one message: a repeat, not a failure
    ├── SequenceMismatch    10071: an expected sequence that is not there (the readiness probe), or
    │                       the claim of an item that is stored, in whichever partition
    ├── MessageTooLarge     above the server's or the stream's size
    └── StoreRefused        any other answer of the server

Codes are those of nats-server's `errors.json`. A claim's refusal and a full stream share 10077, so
the text decides, and a component test holds the text against the server that is installed.
"""

import socket
from collections.abc import Mapping
from typing import Any, Final

from nats import errors as nats_errors

from forebay.core.errors import ForebayError

__all__ = [
    "CLAIM_REFUSED_TEXT",
    "CONSUMER_MISSING_CODE",
    "MESSAGE_MISSING_CODE",
    "STREAM_MISSING_CODE",
    "ClaimedBefore",
    "ConsumerMissing",
    "ForeignAnswer",
    "MessageTooLarge",
    "NotConnected",
    "SequenceMismatch",
    "StillStoring",
    "StoreError",
    "StoreFull",
    "StoreRefused",
    "StoreUnavailable",
    "StreamMissing",
    "failure_words",
    "is_gone",
    "no_such_stream",
    "store_error",
]

CLAIM_REFUSED_TEXT: Final = "maximum messages per subject exceeded"
"""What 10077 says where the subject holds its one message. Any other text means a full stream."""

STREAM_MISSING_CODE: Final = 10059

CONSUMER_MISSING_CODE: Final = 10014
"""There is no such consumer."""

MESSAGE_MISSING_CODE: Final = 10037
"""Of a message that is asked for; `is_gone` knows the codes of one that is to be deleted."""

_STORE_FAILED = 10077
_NO_ROOM = frozenset({10023, 10028, 10047})  # resources, memory, storage of server or account
_TOO_LARGE = frozenset({10054})
_UNAVAILABLE = frozenset({10008, 10009, 10076, 10119})  # no leader, not leader, offline, raft
_SEQUENCE_MISMATCH = 10071
_STILL_STORING = frozenset({10158, 10164})
_ALREADY_DELETED = 10043
_DELETE_FAILED = 10057
_GONE_TEXTS: Final = frozenset({"no message found", "stream store EOF"})
"""What 10057 says of a sequence before a stream's first message, or behind its last one; 10043 is
answered for one in between."""

_WORDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (nats_errors.NoRespondersError, "nobody there answers it"),
    (nats_errors.NoServersError, "no server can be reached"),
    (nats_errors.StaleConnectionError, "the connection broke"),
    (nats_errors.ConnectionClosedError, "the connection is closed"),
    (nats_errors.ConnectionReconnectingError, "there is no connection at the moment"),
    (nats_errors.ConnectionDrainingError, "the connection is being closed"),
    (TimeoutError, "it took too long"),
    (ConnectionRefusedError, "nobody listens there"),
    (ConnectionError, "the connection broke"),
    (socket.gaierror, "its name has no address"),
)
"""The first that fits; `nats.errors.TimeoutError` is a TimeoutError."""

_SHOWN: Final = 200
"""Characters of a description that are shown."""

_SEQUENCE_DIGITS: Final = 20
"""Of the largest sequence that there is."""


class StoreError(ForebayError):
    """JetStream did not store a message."""


class StoreUnavailable(StoreError):  # noqa: N818  # a state, not a failure of the program
    """Nobody could answer: whether the message is stored is not known, or it was never sent."""


class NotConnected(StoreUnavailable):
    """There is no connection at the moment: the message was never sent."""


class StreamMissing(StoreUnavailable):
    """Nobody listens on the subject: the stream is missing, or has no leader at the moment."""


class ForeignAnswer(StreamMissing):
    """Somebody answers who is not the stream: the message is not where it belongs."""


class ConsumerMissing(StoreUnavailable):
    """The stream is there and has no such consumer: it was deleted, or never made."""


class StillStoring(StoreUnavailable):
    """The same message id or claim is being stored at this moment: there is no answer yet."""


class StoreFull(StoreError):  # noqa: N818
    """The stream, the account or the server has no room left."""


class ClaimedBefore(StoreError):  # noqa: N818
    """The subject holds its one message already."""


class SequenceMismatch(StoreError):  # noqa: N818
    """The expected last sequence is another one: the leader is there and answers."""

    sequence: int = 0
    """What it is instead; 0 where the subject, or the stream, holds nothing."""


class MessageTooLarge(StoreError):  # noqa: N818
    """The message is above the size that server or stream allow."""


class StoreRefused(StoreError):  # noqa: N818
    """Any other answer of the server."""


def no_such_stream(stream: str) -> StreamMissing:
    """Return the error of a person's command whose stream is missing: it says what that can be."""
    message = f"there is no stream {stream} in this NATS: is it Forebay's, and is --shard right?"
    return StreamMissing(message)


def store_error(error: Mapping[str, Any]) -> StoreError:
    """Return what an `error` of a JetStream answer means; somebody else's may be anything."""
    code, text = error.get("err_code"), error.get("description")
    code = code if isinstance(code, int) else None
    text = text if isinstance(text, str) else ""
    message = f"NATS answered {code}: {text[:_SHOWN]}"
    kind: type[StoreError] = StoreRefused
    if code == _STORE_FAILED:
        kind = ClaimedBefore if text == CLAIM_REFUSED_TEXT else StoreFull
    elif code in _STILL_STORING:
        kind = StillStoring
    elif code == _SEQUENCE_MISMATCH:
        mismatch = SequenceMismatch(message)
        mismatch.sequence = _number_at_the_end(text)
        return mismatch
    elif code in _NO_ROOM:
        kind = StoreFull
    elif code in _TOO_LARGE:
        kind = MessageTooLarge
    elif code == STREAM_MISSING_CODE:
        kind = StreamMissing
    elif code == CONSUMER_MISSING_CODE:
        kind = ConsumerMissing
    elif code in _UNAVAILABLE:
        kind = StoreUnavailable
    return kind(message)


def failure_words(error: BaseException) -> str:
    """Return what a failure of NATS' client, or of a connection, is called before a person.

    Never its text, which can hold a URL with a password: one that has no words here is named by
    its class.
    """
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    return type(error).__name__


def is_gone(error: Mapping[str, Any]) -> bool:
    """Say whether the `error` of a deletion means that the message is not there any more."""
    code, text = error.get("err_code"), error.get("description")
    return code == _ALREADY_DELETED or (code == _DELETE_FAILED and text in _GONE_TEXTS)


def _number_at_the_end(text: str) -> int:
    """Read the sequence in `wrong last sequence: 7`."""
    number = text.rpartition(" ")[2]
    is_sequence = len(number) <= _SEQUENCE_DIGITS and number.isascii() and number.isdecimal()
    return int(number) if is_sequence else 0
