"""Writes the index: what happened to each item, for `forebay events` (docs/design/0031).

Records are collected by bucket and stored many at a time; nobody waits for that. What is not stored
yet is bounded: beyond it, while NATS is away or slow, further records are dropped and counted. So
the index is never in the way of a delivery, and may have gaps.

If the process dies: what was recorded in the last second or so is missing in the index, whether it
was sent or not. Where only the answer of NATS is lost, the records are sent again and may be there
twice.
"""

import asyncio
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from forebay.core.endpoint_name import EndpointName
from forebay.core.index_records import (
    IndexOutcome,
    IndexRecord,
    ItemHandled,
    ItemStored,
    bucket_of,
    encode_records,
    message_digest,
    message_id_of,
)
from forebay.core.subjects import RetrySubject, index_subject
from forebay.runtime.jetstream.errors import StoreUnavailable, StreamMissing
from forebay.runtime.jetstream.pending_publish import PubAck

__all__ = ["IndexPublishing", "IndexWriter"]

BATCH_RECORDS: Final = 200
"""Of one message: 30 KB. To encode them takes the loop a tenth of a millisecond."""

FLUSH_SECONDS: Final = 1.0
"""After which records are sent however few they are: so late they can be found, and so many may be
missing if the process dies."""

FLUSH_BATCHES: Final = 32
"""Of one flush: 3 ms of the loop. More wait only after NATS was away."""

FIRST_PAUSE_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 60.0
"""Between two tries while NATS takes nothing: where we have no right to publish, that is a line in
its log and in ours each time."""

HELD_RECORDS: Final = 20_000
"""Not stored yet: 10 MB of memory, and some seconds of a processor at its highest rate."""

NAME_CHARACTERS: Final = 64
"""Of a kind or a channel, which a body decides: a phone number id has twenty. A longer one would be
held 20,000 times, and make a batch larger than NATS takes, with all other records in it."""

TEXT_CHARACTERS: Final = 256
"""Of a reason or an answer: what they come to at most, so that a batch is below 1 MiB."""

STORE_SECONDS: Final = 5.0
"""For JetStream's answer; nobody waits for it."""

_Place = tuple[str, str]
"""A shard and a bucket of it."""


class IndexPublishing(Protocol):
    """What stores messages: a part of `Publisher`."""

    def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
    ) -> asyncio.Future[PubAck]:
        """Send a message and return its answer to come."""


class IndexWriter:
    """Collects what happened to items and stores it. Its verbs return at once and never raise."""

    def __init__(self, publisher: IndexPublishing, now: Callable[[], float]) -> None:
        """Prepare.

        Args:
            publisher: Stores messages.
            now: Seconds since the epoch, by the time of the NATS servers.
        """
        self._publisher = publisher
        self._now = now
        self._call_later = asyncio.get_running_loop().call_later
        self._collected: dict[_Place, list[IndexRecord]] = {}
        self._unanswered: set[asyncio.Future[PubAck]] = set()
        self._pause = 0.0
        """Seconds until the next try, while NATS takes nothing; 0 otherwise."""

        self._timer: asyncio.TimerHandle | None = None
        self._held = 0
        self._last: ItemHandled | None = None
        self.written = 0
        """Records that were stored."""

        self.dropped = 0
        """Records that were not."""

    # -- what happens

    def stored(  # noqa: PLR0913, PLR0917  # all that there is to say
        self,
        shard: str,
        endpoint: EndpointName,
        kind: str,
        key: str,
        token: str,
        channel: str,
        outcome: str,
        origin: tuple[str, int, int],
    ) -> None:
        """Record an item that was cut out of a webhook.

        Args:
            shard: Where it is.
            endpoint: Its endpoint.
            kind: Its kind.
            key: Its key.
            token: The key's, by which its subjects end.
            channel: Its phone number id.
            outcome: `new`, `variant` or `repeat`.
            origin: Its conversation; when its webhook was received, milliseconds since the epoch;
                and that one's sequence in RAW.
        """
        conversation, received, raw = origin
        message = message_id_of(key)
        record = ItemStored(
            int(self._now() * 1000),
            token,
            message_digest(message),
            str(endpoint),
            kind[:NAME_CHARACTERS],
            conversation,
            channel[:NAME_CHARACTERS],
            IndexOutcome(outcome),
            received,
            raw,
        )
        self._add((shard, bucket_of(message)), record)

    def handled(  # noqa: PLR0913, PLR0917  # all that there is to say
        self,
        subject: RetrySubject,
        kind: str,
        key: str,
        channel: str,
        outcome: IndexOutcome,
        attempt: int = 0,
        seconds: float = 0.0,
        why: str = "",
        said: str = "",
    ) -> None:
        """Record what happened between an item and a destination.

        Args:
            subject: Its row in RETRY, if it has one.
            kind: The item's.
            key: The item's.
            channel: The item's.
            outcome: What happened.
            attempt: Its number; 0 where it was none.
            seconds: What the attempt took.
            why: The words of a failure.
            said: What may be kept of the destination's answer.
        """
        self._last = record = ItemHandled(
            int((self._now() - seconds) * 1000),
            subject.key,
            str(subject.endpoint),
            kind[:NAME_CHARACTERS],
            subject.conversation,
            channel[:NAME_CHARACTERS],
            subject.destination,
            outcome,
            attempt,
            int(seconds * 1000),
            why[:TEXT_CHARACTERS],
            0,
            said[:TEXT_CHARACTERS],
        )
        self._add((subject.shard, bucket_of(message_id_of(key))), record)

    def due(self, subject: RetrySubject, moment: float) -> None:
        """Say when the attempt that was recorded last is repeated; seconds since the epoch.

        Of another item it says nothing; so it has to come right after `handled`.
        """
        record = self._last
        if (
            record is not None
            and record.token == subject.key
            and record.destination == subject.destination
        ):
            record.due = int(moment * 1000)

    # -- storing

    def _add(self, place: _Place, record: IndexRecord) -> None:
        if self._held >= HELD_RECORDS:
            self.dropped += 1
            return
        self._held += 1
        collected = self._collected.get(place)
        if collected is None:
            collected = self._collected[place] = []
        collected.append(record)
        if self._timer is None:
            self._plan()
        # One more than a batch: the last one is sent with the next, for `due` may still change it.
        elif len(collected) > BATCH_RECORDS and not self._pause:
            batch, collected[:] = collected[:BATCH_RECORDS], collected[BATCH_RECORDS:]
            self._send(place, batch)

    def _plan(self) -> None:
        self._timer = self._call_later(self._pause or FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        """Send what was collected; where NATS takes nothing, one batch that shows when it does."""
        self._timer = None
        if self._pause and self._unanswered:
            return  # its answer plans the next one
        most = 1 if self._pause else FLUSH_BATCHES
        for place, batch in itertools.islice(self._batches(), most):
            self._send(place, batch)
        if self._collected and not self._pause:
            self._plan()

    def _batches(self) -> Iterator[tuple[_Place, list[IndexRecord]]]:
        """Take out what was collected, batch by batch."""
        while self._collected:
            place, records = next(iter(self._collected.items()))
            del self._collected[place]
            if records[BATCH_RECORDS:]:
                self._collected[place] = records[BATCH_RECORDS:]
            if records:
                yield place, records[:BATCH_RECORDS]

    def _send(self, place: _Place, records: list[IndexRecord]) -> None:
        shard, bucket = place
        payload = encode_records(records)
        answer = self._publisher.send(index_subject(shard, bucket), payload, {}, STORE_SECONDS)
        self._unanswered.add(answer)
        answer.add_done_callback(functools.partial(self._answered, place, records))

    def _answered(
        self, place: _Place, records: list[IndexRecord], answer: asyncio.Future[PubAck]
    ) -> None:
        self._unanswered.discard(answer)
        error = None if answer.cancelled() else answer.exception()
        if error is None and not answer.cancelled():
            self._held -= len(records)
            self.written += len(records)
            self._pause = 0.0
        elif isinstance(error, StoreUnavailable) and not isinstance(error, StreamMissing):
            # NATS is away, or does not let us: it says nothing in either case. What waits is put
            # together again, so that the many batches of an outage are few afterwards.
            self._collected[place] = records + self._collected.get(place, [])
            if not self._unanswered:
                self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        else:
            # There is no such stream, or it refuses them: they would only wait here.
            self._held -= len(records)
            self.dropped += len(records)
        if self._collected and self._timer is None and not self._unanswered:
            self._plan()

    async def close(self, within: float) -> None:
        """Store what is left, for at most so many seconds, and record nothing more to be stored."""
        for place, batch in self._batches():
            self._send(place, batch)
        if self._unanswered:
            await asyncio.wait(self._unanswered, timeout=within)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
