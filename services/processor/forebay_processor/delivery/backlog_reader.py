"""Reads what waits in RETRY for one destination, page by page, as there is room for it in memory.

One task at most reads a lane, and one a conversation whose rows were only noted. What is read is
handed to the conversations; what may be tried, and when, is the business of `retry_queue`.

This only reads, but for void rows, which it deletes: if the process dies, the next owner reads.
"""

import functools
from collections.abc import Callable
from typing import Final

import structlog

from forebay.core.subjects import RetrySubject, StreamKind, stream_name
from forebay.runtime.jetstream.errors import StoreError
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.conversations import Conversations
from forebay_processor.delivery.destination_backlog import Backlogs
from forebay_processor.delivery.entry import RetryEntry
from forebay_processor.delivery.lane_cursor import BacklogState, LaneCursor
from forebay_processor.delivery.retry_row_reader import entry_of, epoch_of, subject_of
from forebay_processor.delivery.retry_table import RetryTable
from forebay_processor.delivery.shares import row_bytes
from forebay_processor.shared.partition_view import Partition, StoredRow
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["BacklogReader"]

_log = structlog.get_logger(__name__)

READ_PAUSE_SECONDS: Final = 1.0
"""Before RETRY is read again that gave no answer."""

BEHIND_PAUSE_SECONDS: Final = 0.05
"""Before a replica is asked again that does not have yet what its leader has."""


class BacklogReader:
    """Reads the lanes of one destination."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        backlogs: Backlogs,
        conversations: Conversations,
        table: RetryTable,
        time: StreamTime,
        is_open: Callable[[], bool],
        wake: Callable[[str], None],
        about: tuple[str, str],
    ) -> None:
        """Prepare.

        Args:
            backlogs: The lanes.
            conversations: Where rows are handed to.
            table: Rows one by one.
            time: What time it is for items.
            is_open: Whether rows may be worked as fast as it goes.
            wake: Called with a conversation that may have something to be done.
            about: The endpoint and the destination, as the log names them.
        """
        self._backlogs = backlogs
        self._conversations = conversations
        self._table = table
        self._time = time
        self._is_open = is_open
        self._wake = wake
        self._about = about
        self._is_still = False

    # -- a lane

    async def learn(self, backlog: LaneCursor) -> None:
        """Ask what RETRY holds of a lane, until that is known or the partition is not ours."""
        while backlog.state is BacklogState.UNKNOWN and not backlog.is_dropped:
            try:
                await self._ask_first(backlog)
            except StoreError as error:
                self._table.trouble("read_backlog", error)
                if not await backlog.partition.pause(READ_PAUSE_SECONDS):
                    return
        self.refill(backlog)

    async def _ask_first(self, backlog: LaneCursor) -> None:
        partition = backlog.partition
        first = await partition.first_row(_stream(backlog), backlog.subjects, 0)
        backlog.begin(None if first is None else first.sequence, partition.floor)

    def refill_all(self) -> None:
        """Read whatever there is room for."""
        for backlog in self._backlogs:
            self.refill(backlog)

    def refill(self, backlog: LaneCursor) -> None:
        """Read a lane if there is more of it, room for it, and nobody who does."""
        if self._wants(backlog) and not backlog.is_reading:
            backlog.is_reading = True
            backlog.partition.spawn(self._read(backlog))

    def _wants(self, backlog: LaneCursor) -> bool:
        return (
            not backlog.is_caught_up
            and not backlog.is_dropped
            and backlog.partition.is_started
            and self._room(backlog) > 0
        )

    def _room(self, backlog: LaneCursor) -> int:
        self._tell_still()
        return self._backlogs.room(backlog, is_open=self._is_open())

    def _tell_still(self) -> None:
        is_still = self._backlogs.stands_still
        if is_still != self._is_still:
            self._is_still = is_still
            endpoint, name = self._about
            blocked = self._backlogs.blocked
            if is_still:
                _log.warning(
                    "backlog_stands_still", endpoint=endpoint, destination=name, blocked=blocked
                )
            else:
                _log.info("backlog_goes_on", endpoint=endpoint, destination=name, blocked=blocked)

    async def _read(self, backlog: LaneCursor) -> None:
        try:
            while self._wants(backlog):
                try:
                    pause = await self._read_page(backlog)
                except StoreError as error:
                    self._table.trouble("read_backlog", error)
                    pause = READ_PAUSE_SECONDS
                if pause and not await backlog.partition.pause(pause):
                    return
        finally:
            backlog.is_reading = False

    async def _read_page(self, backlog: LaneCursor) -> float:
        """Read the next rows; returns for how long to wait before the next ones."""
        if backlog.state is BacklogState.UNKNOWN:
            await self._ask_first(backlog)
            return 0.0
        partition, stream = backlog.partition, _stream(backlog)
        cursor, known, room = backlog.cursor, backlog.last_stored, self._room(backlog)
        pause = 0.0
        rows: list[StoredRow] = []
        if room > 1:
            rows = await partition.next_rows(stream, backlog.subjects, cursor, room)
        if not rows:
            # That there is no more is for the leader to say: a replica may be behind.
            first = await partition.first_row(stream, backlog.subjects, cursor)
            if first is not None:
                rows = [first]
                pause = BEHIND_PAUSE_SECONDS if room > 1 else 0.0
        if backlog.is_dropped or partition.is_lost or backlog.cursor != cursor:
            return 0.0
        if not rows:
            if backlog.ends(cursor, known):
                self._wake_unstored()
            return 0.0
        self._take(backlog, rows)
        return pause

    def _wake_unstored(self) -> None:
        """Let what RETRY has no room for be tried: nothing of its conversation is before it."""
        for key, conversation in self._conversations:
            if conversation.storing:
                self._wake(key)

    def _take(self, backlog: LaneCursor, rows: list[StoredRow]) -> None:
        now = self._time.steady()
        is_running_out = False
        for row in rows:
            subject = self._subject_of(backlog, row)
            if subject is not None and subject.is_replay:
                self._backlogs.replayed(backlog, row.sequence, row_bytes(len(row.payload)))
            if subject is not None and not self._is_known(backlog.partition, subject, row):
                key = self._conversations.key(subject)
                conversation = self._conversations.of(key)
                if conversation.takes(self._backlogs.bounds.of_conversation):
                    entry = self._link(backlog, conversation, subject, row)
                    if entry is not None:
                        is_running_out = self._table.expires_at(entry) <= now
                else:
                    self._backlogs.note(backlog, conversation, row.sequence)
                backlog.passes(row.sequence)
                self._wake(key)
            backlog.passes(row.sequence)
        backlog.is_running_out = is_running_out

    def _subject_of(self, backlog: LaneCursor, row: StoredRow) -> RetrySubject | None:
        """Read a row's subject; None, and it is noted, where no part writes such a row."""
        subject = subject_of(row.subject)
        if subject is None:
            self._table.strays.row(backlog.shard, row.sequence)
        return subject

    def _is_known(self, partition: Partition, subject: RetrySubject, row: StoredRow) -> bool:
        """Say whether nothing is to be done for a row; deletes a void one."""
        if self._table.is_deleted(subject.shard, row.sequence):
            return True
        entry = self._conversations.entries.get(subject.row_key)
        if entry is not None and entry.is_linked:
            return True
        if partition.is_void(epoch_of(row), row.sequence):
            partition.spawn(self._delete_void(partition, subject.shard, row.sequence))
            return True
        return False

    async def _delete_void(self, partition: Partition, shard: str, sequence: int) -> None:
        self._table.strays.void(shard, sequence)
        try:
            await self._table.delete_row(partition, shard, sequence)
        except StoreError as error:
            # Whoever comes across it next does the same.
            self._table.trouble("delete_void_row", error)

    def _link(
        self,
        backlog: LaneCursor,
        conversation: ConversationQueue,
        subject: RetrySubject,
        row: StoredRow,
    ) -> RetryEntry | None:
        """Have a row in memory; None where it cannot be read."""
        entries = self._conversations.entries
        entry = entries.get(subject.row_key)
        if entry is None:
            entry = entry_of(backlog.partition, subject, row, self._table.retry, self._time)
            if entry is None:
                self._table.strays.row(subject.shard, row.sequence)
                return None
            entries[subject.row_key] = entry
        entry.sequence, entry.weight = row.sequence, row_bytes(len(row.payload))
        conversation.backlog = backlog
        conversation.append(entry)
        if entry.due > self._time.steady() and entry.attempts:
            # It failed before: what follows it waits with it.
            self._backlogs.block(backlog, conversation)
            return entry
        self._backlogs.recount(conversation)
        self._backlogs.take(backlog, entry)
        if self._is_open():
            self._backlogs.keep_payload(entry, row.payload, row.headers)
        return entry

    # -- a conversation

    def read_conversation(self, key: str, conversation: ConversationQueue) -> None:
        """Read rows of a conversation that were only noted."""
        backlog = conversation.backlog
        if backlog is not None and not conversation.is_reading and backlog.partition.is_started:
            conversation.is_reading = True
            work = functools.partial(self._read_conversation, key, conversation, backlog)
            backlog.partition.spawn(work())

    async def _read_conversation(
        self, key: str, conversation: ConversationQueue, backlog: LaneCursor
    ) -> None:
        try:
            while not await self._read_noted(key, conversation, backlog):
                if not await backlog.partition.pause(READ_PAUSE_SECONDS):
                    return
        finally:
            conversation.is_reading = False
        if not backlog.is_dropped:
            self._wake(key)
            self.refill(backlog)

    async def _read_noted(
        self, key: str, conversation: ConversationQueue, backlog: LaneCursor
    ) -> bool:
        """Read the next noted rows; returns whether RETRY answered."""
        stream, partition = _stream(backlog), backlog.partition
        own = key.partition(".")[2]
        subjects = f"{backlog.subjects.removesuffix('>')}{own}.*"
        after, up_to = conversation.read, conversation.last
        limit = self._backlogs.bounds.of_conversation
        try:
            rows = await partition.next_rows(stream, subjects, after, limit, up_to)
            last = rows[-1].sequence if rows else after
            is_whole = last >= up_to
            if not is_whole and len(rows) < limit:
                # Deleted by hand, or a replica that is behind, or a page that was full.
                first = await partition.first_row(stream, subjects, last)
                is_whole = first is None or first.sequence > up_to
                if first is not None and not is_whole:
                    rows.append(first)
        except StoreError as error:
            self._table.trouble("read_backlog", error)
            return False
        if backlog.is_dropped or self._conversations.find(key) is not conversation:
            return True
        for row in rows:
            subject = self._subject_of(backlog, row)
            if row.sequence <= conversation.read or subject is None:
                continue
            if not self._is_known(partition, subject, row):
                self._link(backlog, conversation, subject, row)
            conversation.read_up_to(row.sequence)
        self._backlogs.unpass(backlog, conversation, len(rows))
        if is_whole:
            conversation.read = max(conversation.read, up_to)
            if not conversation.has_unread:
                self._backlogs.unpass(backlog, conversation, conversation.passed)
        self._backlogs.recount(conversation)
        return True


def _stream(backlog: LaneCursor) -> str:
    return stream_name(StreamKind.RETRY, backlog.shard)
