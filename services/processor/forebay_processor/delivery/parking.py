"""From EVENTS into RETRY: what cannot be tried now is stored, conversation by conversation.

The order of a conversation is the order of its rows: they are stored one after the other, and where
something is parked behind a first attempt that is still under way, that item is stored before it.
EVENTS may forget an item when its row is confirmed, and not before.

If the process dies: what is stored and not acked comes again, is refused by RETRY, and acked.
"""

import functools
from collections.abc import Callable

from forebay.core.dead_letters import DeadReason
from forebay.core.index_records import IndexOutcome
from forebay.runtime.jetstream.errors import StoreError
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.destination_limits import DestinationLimits
from forebay_processor.delivery.entry import EntryState, PendingDelivery, RetryEntry
from forebay_processor.delivery.retry_table import RetryTable
from forebay_processor.delivery.row_storing import RowStore, Stored
from forebay_processor.delivery.rows_in_memory import Window
from forebay_processor.delivery.untried_records import record_untried
from forebay_processor.destinations.port import Failed
from forebay_processor.index_writer import IndexWriter
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["Parking"]


class Parking:
    """Stores what has to wait for one destination."""

    def __init__(  # noqa: PLR0913, PLR0917  # its collaborators, each one thing
        self,
        window: Window,
        table: RetryTable,
        rows: RowStore,
        limits: DestinationLimits,
        time: StreamTime,
        wake: Callable[[str], None],
        on_parked: Callable[[], None],
        index: IndexWriter | None,
    ) -> None:
        """Prepare.

        Args:
            window: What is in memory.
            table: Rows one by one.
            rows: Stores them.
            limits: Says whether attempts may begin.
            time: What time it is for items.
            wake: Called with a conversation that may have something to be done.
            on_parked: Called for each item that begins to wait.
            index: Where it is kept that an item waits; None where nothing is.
        """
        self._window = window
        self._table = table
        self._rows = rows
        self._limits = limits
        self._time = time
        self._wake = wake
        self._on_parked = on_parked
        self._index = index

    def park(self, key: str, conversation: ConversationQueue, work: PendingDelivery) -> None:
        """Put an item behind what its conversation has; it is stored as soon as that is."""
        current = conversation.current
        if current is not None and conversation.current_entry is None:
            conversation.current_entry = self._enqueue(conversation, current)
        self._enqueue(conversation, work)
        record_untried(self._index, work.subject, work.payload, IndexOutcome.PARKED)
        self.begin(key, conversation)

    def park_failed(
        self,
        key: str,
        conversation: ConversationQueue,
        work: PendingDelivery,
        result: Failed,
        failure: tuple[DeadReason, str] | None = None,
    ) -> None:
        """Store an item that was tried for the first time: before all that follows it.

        Args:
            key: The conversation's.
            conversation: Where it is the current one.
            work: The item.
            result: From which follows when it is due again.
            failure: Why it was given up, where only its dead letter is still to be stored.
        """
        entry = conversation.current_entry
        if entry is None:
            entry = conversation.current_entry = self._enqueue(conversation, work)
        entry.attempts = 1
        entry.failed_after = self._limits.breaker.successes
        if failure is None:
            entry.due = self._table.failed(entry, result)
        else:
            # The destination has answered: it is DEAD that will be tried again.
            entry.due = self._table.next_try(entry, result)
        entry.failure = failure
        self._window.block(conversation, entry)
        self.begin(key, conversation)

    def settle_current(self, conversation: ConversationQueue, work: PendingDelivery) -> None:
        """Take it that a first attempt is over: its row, if it got one, is not needed."""
        entry = conversation.current_entry
        if entry is None:
            work.finish()
            return
        is_stored = entry.state in {EntryState.STORED, EntryState.READY}
        entry.state = EntryState.FINISHED
        if is_stored and not entry.is_linked:
            # Its partition is being given back: whoever takes it must not find the row.
            entry.partition.spawn(self._delete(entry))
        elif not is_stored and conversation.being_stored is not entry:
            self._window.forget(conversation, entry)
            entry.report_finished()
        # Else whoever stores it acks it in EVENTS, or its row is deleted in its turn.

    async def _delete(self, entry: RetryEntry) -> None:
        try:
            await self._table.work(entry)
        except StoreError as error:
            # The next owner delivers it again.
            self._table.trouble("row", error)

    def _enqueue(self, conversation: ConversationQueue, work: PendingDelivery) -> RetryEntry:
        entry = RetryEntry(work.partition, work.subject, work.order, self._time.steady())
        entry.work = work
        self._window.conversations.entries[work.subject.row_key] = entry
        conversation.storing.append(entry)
        self._window.backlogs.recount(conversation)
        self._window.backlogs.count(self._window.lane(entry), 1)
        self._on_parked()
        return entry

    def begin(self, key: str, conversation: ConversationQueue) -> None:
        """Store what a conversation has, unless somebody does."""
        if not conversation.is_storing and conversation.may_store:
            conversation.is_storing = True
            partition = conversation.storing[0].partition
            partition.spawn(self._store_all(key, conversation))

    async def _store_all(self, key: str, conversation: ConversationQueue) -> None:
        partition = conversation.storing[0].partition
        try:
            while conversation.may_store and conversation.storing[0].partition is partition:
                if not await self._store_first(key, conversation):
                    break
        finally:
            conversation.is_storing = False
        if conversation.storing and conversation.storing[0].partition is not partition:
            # The partition came back meanwhile, and this was still of its last time here.
            self.begin(key, conversation)
        self._wake(key)

    async def _store_first(self, key: str, conversation: ConversationQueue) -> bool:
        """Store the first of what a conversation has; returns whether to go on with the next."""
        entry = conversation.storing[0]
        work = entry.work
        if work is None:
            message = "what is to be stored has no item"
            raise AssertionError(message)
        conversation.being_stored = entry
        outcome = await self._rows.store(
            entry,
            work,
            functools.partial(self._wake, key),
            lambda: conversation.current_entry is entry,
        )
        conversation.being_stored = None
        if outcome in {Stored.TRIED, Stored.LEFT}:
            if entry.state is EntryState.FINISHED and not entry.partition.is_lost:
                # Delivered while it was given back.
                entry.report_finished()
            return False
        is_dropped = not conversation.storing or conversation.storing[0] is not entry
        if not is_dropped:
            conversation.storing.pop(0)
            self._window.backlogs.recount(conversation)
            backlogs, backlog = self._window.backlogs, self._window.lane(entry)
            if outcome is Stored.NEW or entry.sequence > entry.partition.floor:
                backlogs.stored(backlog, entry)
            else:
                # It has no row, or one of an owner before, which is counted by whoever finds it.
                backlogs.count(backlog, -1)
        if outcome is Stored.NEVER:
            self._window.conversations.forget(entry)
            entry.report_finished()
            return True
        is_finished = entry.state is EntryState.FINISHED
        if not is_finished:
            entry.state = EntryState.STORED
        work.after_ack = functools.partial(self._release, key, entry)
        entry.report_finished()
        if not is_dropped:
            self._confirmed(conversation, entry)
            self._wake(key)
        elif is_finished and not entry.partition.is_lost:
            await self._delete(entry)
        return True

    def _confirmed(self, conversation: ConversationQueue, entry: RetryEntry) -> None:
        """Take it that a row is stored: it is known here, or the reader comes to it."""
        window, backlogs = self._window, self._window.backlogs
        backlog = conversation.backlog = window.lane(entry)
        has_room = conversation.has_rows or (self._limits.is_open and backlogs.has_room(backlog))
        is_known = backlog.stored(entry.sequence, has_room=has_room)
        is_tried = (
            entry.state is EntryState.FINISHED
            or entry is conversation.current_entry
            or entry.attempts > 0
        )
        if entry.is_linked:
            return  # the reader came first
        if is_tried:
            # What this process knows of it nobody else does.
            conversation.append(entry)
            backlogs.recount(conversation)
            if entry.attempts:
                window.block(conversation, entry)
        elif not is_known:
            window.reader.refill(backlog)
        elif conversation.takes(backlogs.bounds.of_conversation):
            conversation.append(entry)
            backlogs.take(backlog, entry)
            if self._limits.is_open and entry.work is not None:
                backlogs.keep_payload(entry, entry.work.payload, entry.work.headers)
        else:
            backlogs.note(backlog, conversation, entry.sequence)

    def _release(self, key: str, entry: RetryEntry) -> None:
        """Take notice that EVENTS has the ack: what is parked may be tried from now on."""
        if entry.state is EntryState.STORED:
            entry.state = EntryState.READY
        entry.work = None
        if not entry.is_linked:
            self._window.conversations.forget(entry)
        self._wake(key)
        if (now := self._window.conversations.key(entry.subject)) != key:
            # The ordering was changed meanwhile.
            self._wake(now)
