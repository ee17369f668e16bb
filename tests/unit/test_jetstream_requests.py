"""Requests of the JetStream API: what is sent, and what each answer means."""

import base64
from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NatsTimeoutError

from forebay.runtime.jetstream.api import (
    StoredMessage,
    call,
    delete_message,
    find_message,
    get_direct,
    parse_headers,
    request,
)
from forebay.runtime.jetstream.errors import (
    ForeignAnswer,
    StoreRefused,
    StoreUnavailable,
    StreamMissing,
)

STREAM = "FOREBAY_RAW_0"


class AnsweringClient:
    """Gives one answer to everything; None for none."""

    def __init__(self, answer: object) -> None:
        self._answer = answer
        self.asked: list[tuple[str, bytes]] = []

    async def request(self, subject: str, body: bytes, **_: object) -> Msg:
        """Note what is asked."""
        self.asked.append((subject, body))
        if self._answer is None:
            raise NatsTimeoutError
        return Msg(cast("Client", self), data=msgspec.json.encode(self._answer))


def answering(answer: object) -> Client:
    return cast("Client", AnsweringClient(answer))


def refusal(code: int, text: str = "") -> dict[str, object]:
    return {"error": {"code": 400, "err_code": code, "description": text}}


async def test_silence_is_reported_with_what_was_asked_and_not_of_which_stream() -> None:
    with pytest.raises(StoreUnavailable, match=r"^NATS gave no answer to STREAM.INFO: it took"):
        await request(answering(None), f"$JS.API.STREAM.INFO.{STREAM}")


async def test_or_in_the_words_of_who_asks() -> None:
    with pytest.raises(StoreUnavailable, match=r"^nobody there: it took too long$"):
        await get_direct(answering(None), STREAM, 7, silence="nobody there")


async def test_a_refused_call_is_the_error_of_its_code() -> None:
    with pytest.raises(StreamMissing):
        await call(answering(refusal(10059)), f"STREAM.INFO.{STREAM}", {})


async def test_a_found_message_is_whole() -> None:
    subject = "forebay.raw.0.01.live.a.b"
    found = {
        "subject": subject,
        "seq": 7,
        "time": "2026-11-23T10:11:12.123456789Z",
        "hdrs": base64.b64encode(b"NATS/1.0\r\nName: a: b\r\n\r\n").decode(),
        "data": base64.b64encode(b"body").decode(),
    }
    stored_at = datetime(2026, 11, 23, 10, 11, 12, 123456, tzinfo=UTC)
    assert await find_message(answering({"message": found}), STREAM, {"seq": 7}) == StoredMessage(
        subject, 7, stored_at, {"Name": "a: b"}, b"body"
    )


async def test_a_message_that_is_not_there_is_none_and_another_refusal_is_an_error() -> None:
    assert await find_message(answering(refusal(10037)), STREAM, {"seq": 7}) is None
    with pytest.raises(StoreRefused):
        await find_message(answering(refusal(10003)), STREAM, {"seq": 7})


async def test_a_deletion_says_whether_the_message_was_there() -> None:
    assert await delete_message(answering({"success": True}), STREAM, 7)
    assert not await delete_message(answering(refusal(10043)), STREAM, 7)
    gone = refusal(10057, "no message found")
    assert not await delete_message(answering(gone), STREAM, 7)
    with pytest.raises(StoreRefused):
        await delete_message(answering(refusal(10057, "stream is sealed")), STREAM, 7)
    with pytest.raises(ForeignAnswer):
        await delete_message(answering({}), STREAM, 7)


async def test_a_replica_is_asked_by_sequence_or_by_subject() -> None:
    client = AnsweringClient({})
    await get_direct(cast("Client", client), STREAM, 7)
    await get_direct(cast("Client", client), STREAM, "forebay.retry.a")
    assert client.asked == [
        (f"$JS.API.DIRECT.GET.{STREAM}", b'{"seq":7}'),
        (f"$JS.API.DIRECT.GET.{STREAM}.forebay.retry.a", b""),
    ]


def test_lines_that_are_no_header_are_left_out() -> None:
    assert parse_headers(b"NATS/1.0\r\nA: 1\r\nB:2\r\n\r\n") == {"A": "1", "B": "2"}


@pytest.mark.parametrize("value", [b"x\ny", b"x\ry", b"x\nC: 3", b"x\n\ry"])
def test_a_header_that_nobody_could_store_again_is_left_out(value: bytes) -> None:
    assert parse_headers(b"NATS/1.0\r\nA: " + value + b"\r\nB: 2\r\n\r\n") == {"B": "2"}
