"""Learns of the rows that others wrote to RETRY: what a person replayed.

The processor knows where it stored rows itself. Replayed rows come while it works. They have
subjects of their own, so finding them is one question to the server, whatever else waits in
RETRY; it is asked every second, from the last row seen on. The processor needs no message,
so nothing can get lost on the way: what is stored is found. A row is only taken notice of here: it
is read in its turn, like all that waits.

If the process dies, or the connection is lost, or the partition moves, the next poll begins at the
first row again; rows that are known already are passed over.
"""

from typing import Final

import structlog

from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.log_once import LogOnce
from forebay.runtime.periodic import periodically
from forebay_processor.adapters.streams import Streams
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.delivery.retry_row_reader import subject_of
from forebay_processor.delivery.shares import row_bytes
from forebay_processor.shared.partition_view import Partition

__all__ = ["Replays"]

_log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 1.0
"""Between two polls: a person waits for it, and a poll costs 0.1 ms."""


class Replays:
    """Delivers the replayed rows of one partition, for as long as this process owns it."""

    def __init__(
        self,
        streams: Streams,
        shard: str,
        partition: Partition,
        queues: DestinationQueues,
    ) -> None:
        self._streams = streams
        self._shard = shard
        self._partition = partition
        self._queues = queues
        self._unseen = LogOnce()
        self._next = 1
        """The sequence from which on rows were not seen yet. It grows only by rows that were seen:
        a replica that is behind answers with less, and the rest comes with a later poll."""

    async def run(self) -> None:
        """Check again and again; until cancelled."""
        # Not at once: what was there before is found by whoever takes over.
        await periodically(self._poll_all, POLL_SECONDS)

    async def _poll_all(self) -> None:
        try:
            while await self.poll():
                pass
        except StoreError as error:
            if self._unseen.is_due():
                _log.warning(
                    "replays_not_seen", partition=self._partition.partition_id, reason=str(error)
                )
        else:
            self._unseen.reset()

    async def poll(self) -> int:
        """Take notice of the next rows and return how many there were.

        Raises:
            StoreError: where NATS does not answer.
        """
        page = await self._streams.replayed(self._shard, self._partition.number, self._next)
        for stored in page:
            self._next = stored.sequence + 1
            subject = subject_of(stored.subject)
            if subject is None:
                self._queues.incidents.strays.row(self._shard, stored.sequence)
                continue
            queue = self._queues.of(subject.endpoint, subject.destination)
            size = row_bytes(len(stored.payload))
            queue.shown(self._partition, subject, stored.sequence, size)
        return len(page)
