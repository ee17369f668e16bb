"""What is recorded is stored in batches, bounded, and never in the way of who records it."""

import asyncio
import itertools
from collections.abc import Callable, Mapping

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.index_records import (
    BUCKETS,
    IndexOutcome,
    IndexRecord,
    ItemHandled,
    ItemStored,
    bucket_of,
    decode_records,
    encode_records,
    message_digest,
)
from forebay.core.subjects import Lane, RetrySubject
from forebay.runtime.jetstream.errors import StoreError, StoreFull, StoreUnavailable, StreamMissing
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_processor import index_writer
from forebay_processor.index_writer import BATCH_RECORDS, HELD_RECORDS, IndexWriter
from support.timing.wait import eventually

NAME = EndpointName("demo", "meta")
WAMID = "wamid.one"
KEY = f"msg:1065:{WAMID}"
NOW = 1_795_165_201.5


class Nats:
    """Takes batches, and answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[IndexRecord]]] = []
        self.answers: list[asyncio.Future[PubAck]] = []

    def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
    ) -> asyncio.Future[PubAck]:
        """Take a batch."""
        assert not headers
        assert within
        self.sent.append((subject, decode_records(payload)))
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def answer(self, error: StoreError | None = None) -> None:
        """Answer all that was sent."""
        answers, self.answers = self.answers, []
        for each in answers:
            if error is None:
                each.set_result(PubAck(stream="FOREBAY_INDEX_0", seq=1))
            else:
                each.set_exception(error)
        await asyncio.sleep(0)


def row(token: str = "a" * 32, destination: str = "crm") -> RetrySubject:
    return RetrySubject("0", 3, Lane.LIVE, NAME, destination, "c" * 16, token)


def record(
    writer: IndexWriter, outcome: IndexOutcome = IndexOutcome.DELIVERED, key: str = KEY
) -> None:
    writer.handled(row(), "messages", key, "1065", outcome, 1, 0.25)


async def test_an_item_and_its_attempt_are_stored_under_their_messages_bucket() -> None:
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    writer.stored("0", NAME, "messages", KEY, "a" * 32, "1065", "new", ("c" * 16, 17, 9))
    record(writer)
    assert not nats.sent, "one by one"
    closing = asyncio.create_task(writer.close(5))
    await asyncio.sleep(0)
    assert nats.sent == [
        (
            f"forebay.index.0.{bucket_of(WAMID)}",
            [
                ItemStored(
                    1795165201500, "a" * 32, message_digest(WAMID), "demo/meta", "messages",
                    "c" * 16, "1065", IndexOutcome.NEW, 17, 9,
                ),
                ItemHandled(
                    1795165201250, "a" * 32, "demo/meta", "messages", "c" * 16, "1065", "crm",
                    IndexOutcome.DELIVERED, 1, 250, "",
                ),
            ],
        )
    ]  # fmt: skip
    await nats.answer()
    await closing
    assert (writer.written, writer.dropped) == (2, 0)


async def test_a_full_batch_is_sent_at_once() -> None:
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    for _ in range(BATCH_RECORDS + 1):
        record(writer)
    ((_, batch),) = nats.sent
    assert len(batch) == BATCH_RECORDS


async def test_what_is_few_is_sent_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_writer, "FLUSH_SECONDS", 0.001)
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    record(writer)
    await eventually(lambda: len(nats.sent) == 1)


async def test_the_time_of_the_next_attempt_goes_into_the_record_of_the_last() -> None:
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    record(writer, IndexOutcome.FAILED)
    writer.due(row("b" * 32), NOW + 7)
    writer.due(row(destination="other"), NOW + 8)
    writer.due(row(), NOW + 9)
    closing = asyncio.create_task(writer.close(5))
    await asyncio.sleep(0)
    ((_, (told,)),) = nats.sent
    assert isinstance(told, ItemHandled)
    assert told.due == 1795165210500
    await nats.answer()
    await closing


async def test_beyond_what_may_be_held_records_are_dropped_and_counted() -> None:
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    for _ in range(HELD_RECORDS + 5):
        record(writer)
    assert writer.dropped == 5
    await nats.answer()
    record(writer)
    assert writer.dropped == 5, "there is room again"


async def test_what_nats_did_not_take_is_sent_again() -> None:
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    record(writer)
    closing = asyncio.create_task(writer.close(5))
    await asyncio.sleep(0)
    await nats.answer(StoreUnavailable("away"))
    await closing
    assert (writer.written, writer.dropped) == (0, 0)
    closing = asyncio.create_task(writer.close(5))
    await asyncio.sleep(0)
    await nats.answer()
    await closing
    assert [len(records) for _, records in nats.sent] == [1, 1]
    assert (writer.written, writer.dropped) == (1, 0)


@pytest.mark.parametrize("error", [StreamMissing("no stream"), StoreFull("full")])
async def test_what_nats_refuses_is_dropped_and_counted(error: StoreError) -> None:
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    record(writer)
    closing = asyncio.create_task(writer.close(5))
    await asyncio.sleep(0)
    await nats.answer(error)
    await closing
    assert (writer.written, writer.dropped) == (0, 1)


class Turned:
    """Timers that a test runs."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._flushes: list[Callable[[], None]] = []

    def call_later(self, seconds: float, flush: Callable[[], None]) -> asyncio.TimerHandle:
        """Note a timer."""
        self.pauses.append(seconds)
        self._flushes.append(flush)
        return asyncio.get_running_loop().call_later(3600, lambda: None)

    def turn(self) -> None:
        """Run the one timer."""
        (flush,) = self._flushes
        self._flushes.clear()
        flush()


async def test_while_nats_takes_nothing_one_batch_is_tried_after_longer_and_longer_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the user of an external NATS has no right to publish: it never answers."""
    nats, timers = Nats(), Turned()
    writer = IndexWriter(nats, lambda: NOW)
    monkeypatch.setattr(writer, "_call_later", timers.call_later)
    sent = []
    for turn in range(9):
        for number in range(50):
            record(writer, key=f"msg:1065:wamid.{turn}.{number}")
        timers.turn()
        sent.append(len(nats.sent))
        await nats.answer(StoreUnavailable("no answer in time"))
    first, *later = (after - before for before, after in itertools.pairwise([0, *sent]))
    assert first > 1
    assert later == [1] * 8
    assert timers.pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert (writer.written, writer.dropped) == (0, 0)
    # It is back: what was kept goes out together.
    timers.turn()
    await nats.answer()
    timers.turn()
    await nats.answer()
    assert len(nats.sent) - sent[-1] <= len(BUCKETS) + 1
    assert writer.written == 450


async def test_after_an_outage_what_waits_goes_in_whole_batches_and_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(index_writer, "FLUSH_BATCHES", 3)
    nats, timers = Nats(), Turned()
    writer = IndexWriter(nats, lambda: NOW)
    monkeypatch.setattr(writer, "_call_later", timers.call_later)
    record(writer)
    timers.turn()
    await nats.answer(StoreUnavailable("away"))
    for _ in range(10 * BATCH_RECORDS):
        record(writer)
    sent = []
    for _ in range(5):
        del nats.sent[:]
        timers.turn()
        sent.append([len(records) for _, records in nats.sent])
        await nats.answer()
    assert sent == [[BATCH_RECORDS], *[[BATCH_RECORDS] * 3] * 3, [1]]
    assert (writer.written, writer.dropped) == (10 * BATCH_RECORDS + 1, 0)


async def test_texts_of_bodies_and_answers_are_bounded_so_that_no_batch_is_too_large() -> None:
    nats = Nats()
    writer = IndexWriter(nats, lambda: NOW)
    long = "\x01" * 40_000
    for _ in range(BATCH_RECORDS // 2 + 1):
        writer.stored("0", NAME, long, KEY, "a" * 32, long, "new", ("c" * 16, 17, 9))
        writer.handled(row(), long, KEY, long, IndexOutcome.FAILED, 1, 0.25, long, long)
    ((_, batch),) = nats.sent
    assert len(encode_records(batch)) < 1024 * 1024, "what NATS takes as it comes"
