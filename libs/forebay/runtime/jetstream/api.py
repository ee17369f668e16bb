"""Requests of the JetStream API, each with a time limit, and what their answers mean.

For this package and for adapters: a request of a kind stands here once, and so do the headers of
answers; the codes are in `errors`. What the server refuses comes out as `errors` has it, and no
answer as StoreUnavailable. For requests that nats-py has a fitting call for, it is called here.
"""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, StreamInfo
from nats.js.errors import NotFoundError

from forebay.runtime.jetstream.errors import (
    MESSAGE_MISSING_CODE,
    STREAM_MISSING_CODE,
    ConsumerMissing,
    ForeignAnswer,
    StoreUnavailable,
    StreamMissing,
    failure_words,
    is_gone,
    store_error,
)

__all__ = [
    "API_PREFIX",
    "API_SECONDS",
    "EXPECTED_STREAM_SEQUENCE",
    "SEQUENCE",
    "STATUS",
    "SUBJECT",
    "StoredMessage",
    "call",
    "consumer_info",
    "delete_message",
    "direct_get_subject",
    "direct_message",
    "find_message",
    "get_direct",
    "headers_of",
    "moment",
    "next_subject",
    "parse_headers",
    "request",
    "status_of",
    "stream_info",
]

API_SECONDS: Final = 5.0
"""For an answer."""

API_PREFIX: Final = "$JS.API."

STATUS: Final = "Status"
"""The header that says that this is no message: 404 for none, 503 for nobody who answers, ..."""

SEQUENCE: Final = "Nats-Sequence"
SUBJECT: Final = "Nats-Subject"
_TIME_STAMP: Final = "Nats-Time-Stamp"

EXPECTED_STREAM_SEQUENCE: Final = "Nats-Expected-Last-Sequence"
"""The header of a publish that is stored only where the stream's last message has this sequence."""

_ADDED: Final = frozenset(
    {
        "Nats-Stream",
        SUBJECT,
        SEQUENCE,
        _TIME_STAMP,
        "Nats-Num-Pending",
        "Nats-Last-Sequence",
    }
)
"""Headers that the answer to a direct get has and the message has not."""


class StoredMessage(msgspec.Struct, frozen=True):
    """A message as its stream holds it."""

    subject: str
    sequence: int
    stored_at: datetime
    headers: dict[str, str]
    payload: bytes


# -- subjects


def next_subject(stream: str, consumer: str) -> str:
    """Return where a consumer is asked for messages."""
    return f"{API_PREFIX}CONSUMER.MSG.NEXT.{stream}.{consumer}"


def direct_get_subject(stream: str) -> str:
    """Return where any replica of a stream is asked for messages."""
    return f"{API_PREFIX}DIRECT.GET.{stream}"


# -- requests


async def request(
    client: Client,
    subject: str,
    body: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    within: float = API_SECONDS,
    silence: str | None = None,
) -> Msg:
    """Ask, and return the answer, whatever it says.

    Args:
        client: A connected client.
        subject: What is asked, such as `$JS.API.STREAM.INFO.FOREBAY_RAW_0`, or where a message is
            stored.
        body: What is sent.
        headers: And its headers.
        within: Seconds for the answer.
        silence: How the error begins where there is none.

    Raises:
        StoreUnavailable: where NATS does not answer.
    """
    try:
        return await client.request(subject, body, timeout=within, headers=headers)
    except (NatsError, TimeoutError) as error:
        name = subject.removeprefix(API_PREFIX).split(".FOREBAY", maxsplit=1)[0]
        message = f"{silence or f'NATS gave no answer to {name}'}: {failure_words(error)}"
        raise StoreUnavailable(message) from error


async def call(client: Client, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Call the API, and return what the answer holds.

    Args:
        client: A connected client.
        name: What is called and of which stream, such as `STREAM.INFO.FOREBAY_RAW_0`.
        body: What the call takes.

    Raises:
        StoreError: where NATS refuses, or does not answer.
    """
    answer = await request(client, API_PREFIX + name, msgspec.json.encode(body))
    decoded: dict[str, Any] = msgspec.json.decode(answer.data)
    if decoded.get("error") is not None:
        raise store_error(decoded["error"])
    return decoded


async def find_message(
    client: Client,
    stream: str,
    wanted: Mapping[str, Any],
    *,
    within: float = API_SECONDS,
    silence: str | None = None,
) -> StoredMessage | None:
    """Return a message as the stream's leader has it; None where there is none.

    Another replica could be behind, and not have it yet.

    Args:
        client: A connected client.
        stream: The stream's name.
        wanted: Which, as `STREAM.MSG.GET` takes it.
        within: Seconds for the answer.
        silence: How the error begins where there is none.

    Raises:
        StoreError: where NATS refuses, or does not answer.
    """
    answer = await request(
        client,
        f"{API_PREFIX}STREAM.MSG.GET.{stream}",
        msgspec.json.encode(wanted),
        within=within,
        silence=silence,
    )
    decoded: dict[str, Any] = msgspec.json.decode(answer.data)
    error = decoded.get("error")
    if error is None:
        return _stored(decoded["message"])
    if error.get("err_code") == MESSAGE_MISSING_CODE:
        return None
    raise store_error(error)


async def get_direct(
    client: Client, stream: str, wanted: int | str, *, silence: str | None = None
) -> Msg:
    """Return what any replica answers: a message, or a status where it has none (`status_of`).

    Args:
        client: A connected client.
        stream: The stream's name.
        wanted: A sequence, or a subject whose last message is meant.
        silence: How the error begins where there is no answer.

    Raises:
        StoreUnavailable: where NATS does not answer.
    """
    subject = direct_get_subject(stream)
    if isinstance(wanted, str):
        return await request(client, f"{subject}.{wanted}", silence=silence)
    return await request(client, subject, msgspec.json.encode({"seq": wanted}), silence=silence)


async def delete_message(
    client: Client,
    stream: str,
    sequence: int,
    *,
    silence: str | None = None,
    overwrite: bool = False,
) -> bool:
    """Delete one message; False where it was gone.

    Args:
        client: A connected client.
        stream: The stream's name.
        sequence: Which message.
        silence: How the error begins where there is no answer.
        overwrite: Whether its bytes on disk are overwritten, which costs the server a hundred times
            as much.

    Raises:
        StoreError: where NATS refuses, or does not answer.
    """
    body = msgspec.json.encode({"seq": sequence, "no_erase": not overwrite})
    subject = f"{API_PREFIX}STREAM.MSG.DELETE.{stream}"
    answer = await request(client, subject, body, silence=silence)
    decoded = msgspec.json.decode(answer.data)
    error = decoded.get("error")
    if error is None:
        if decoded.get("success") is True:
            return True
        message = f"somebody else than NATS answers for {stream}: the message may be there still"
        raise ForeignAnswer(message)
    if is_gone(error):
        return False
    raise store_error(error)


async def consumer_info(context: JetStreamContext, stream: str, consumer: str) -> ConsumerInfo:
    """Return a consumer's state.

    Raises:
        ConsumerMissing: where the stream has no such consumer.
        StreamMissing: where there is no such stream.
        StoreUnavailable: where NATS does not answer.
    """
    try:
        info: ConsumerInfo = await context.consumer_info(stream, consumer)
    except NotFoundError as error:
        if error.err_code == STREAM_MISSING_CODE:
            message = f"there is no stream {stream}"
            raise StreamMissing(message) from error
        message = f"{stream} has no consumer {consumer}"
        raise ConsumerMissing(message) from error
    except NatsError as error:
        message = f"consumer {consumer} of {stream} gave no answer"
        raise StoreUnavailable(message) from error
    return info


async def stream_info(context: JetStreamContext, stream: str) -> StreamInfo:
    """Return a stream's state.

    Raises:
        StreamMissing: where there is no such stream.
        StoreUnavailable: where NATS does not answer.
    """
    try:
        return await context.stream_info(stream)
    except NotFoundError as error:
        message = f"there is no stream {stream}"
        raise StreamMissing(message) from error
    except NatsError as error:
        message = f"stream {stream} gave no answer"
        raise StoreUnavailable(message) from error


# -- answers


def headers_of(message: Msg) -> dict[str, str]:
    """Return the headers of a message, which may have none."""
    return {str(name): text for name, text in (message.headers or {}).items()}


def status_of(message: Msg) -> str | None:
    """Return the status that came in the place of a message; None where it is a message."""
    return (message.headers or {}).get(STATUS)


def direct_message(headers: dict[str, str], payload: bytes) -> StoredMessage:
    """Return the message that an answer to a direct get holds."""
    own = {name: text for name, text in headers.items() if name not in _ADDED}
    return StoredMessage(
        headers[SUBJECT], int(headers[SEQUENCE]), moment(headers[_TIME_STAMP]), own, payload
    )


def moment(text: str) -> datetime:
    """Read the server's time: nine digits of a second, of which Python takes six."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}+00:00")


def parse_headers(raw: bytes) -> dict[str, str]:
    """Read a header block (ADR-4); lines that are no header are left out.

    So are those with half a line break in them, which NATS lets anybody store: nobody could store
    them again, and what is to be written with an item's headers would never be.
    """
    found: dict[str, str] = {}
    text = raw.decode("utf-8", "replace")
    lines = text.split("\r\n")
    if not text.count("\r") == text.count("\n") == len(lines) - 1:
        lines = [each for each in lines if "\r" not in each and "\n" not in each]
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    return found


def _stored(found: Mapping[str, Any]) -> StoredMessage:
    """Read the `message` of an answer to `STREAM.MSG.GET`."""
    return StoredMessage(
        found["subject"],
        int(found["seq"]),
        moment(found["time"]),
        parse_headers(base64.b64decode(found.get("hdrs", ""))),
        base64.b64decode(found.get("data", "")),
    )
