"""What was finished is known by its place in the stream and by when it was stored there."""

from typing import cast

from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.core.consumer_ack_floors import AckFloor
from forebay.runtime.jetstream.pulled_message import PulledMessage, reply_tokens
from forebay_processor.shared import recently_acked
from forebay_processor.shared.recently_acked import RecentlyAcked

CONSUMER = "split-live-00"


def message(sequence: int, stored_at: int) -> PulledMessage:
    reply = f"$JS.ACK.FOREBAY_RAW_0.{CONSUMER}.1.{sequence}.{sequence}.{stored_at}.0"
    client = cast("Client", object())
    tokens = reply_tokens(reply)
    assert tokens is not None
    return PulledMessage(client, Msg(client, "subject", reply, b"", {}), tokens)


def test_a_message_of_a_stream_that_was_made_anew_was_not_finished() -> None:
    known = RecentlyAcked()
    known.add(message(7, stored_at=100))
    assert message(7, stored_at=100) in known
    assert message(7, stored_at=200) not in known
    assert message(8, stored_at=100) not in known


def test_a_floor_means_what_was_stored_up_to_then_and_nothing_later() -> None:
    known = RecentlyAcked()
    known.raise_floor(CONSUMER, AckFloor(7, 100))
    assert message(7, stored_at=100) in known
    assert message(1, stored_at=50) in known
    assert message(8, stored_at=100) not in known
    assert message(1, stored_at=101) not in known


def test_the_highest_floor_counts_until_it_is_forgotten() -> None:
    known = RecentlyAcked()
    known.raise_floor(CONSUMER, AckFloor(7, 100))
    assert known.raise_floor(CONSUMER, AckFloor(5, 200)) == AckFloor(7, 100)
    assert known.raise_floor(CONSUMER, AckFloor(7, 200)) == AckFloor(7, 100)
    assert known.raise_floor(CONSUMER, AckFloor(9, 200)) == AckFloor(9, 200)
    known.forget_floor(CONSUMER)
    assert message(1, stored_at=50) not in known


def test_as_many_are_remembered_as_there_may_be() -> None:
    known = RecentlyAcked()
    for sequence in range(1, recently_acked.REMEMBERED + 2):
        known.add(message(sequence, stored_at=1))
    assert message(1, stored_at=1) not in known
    assert message(2, stored_at=1) in known
    assert message(recently_acked.REMEMBERED + 1, stored_at=1) in known
