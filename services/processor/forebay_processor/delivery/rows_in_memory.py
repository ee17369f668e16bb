"""What of one destination's RETRY is in memory: forgotten, noted, dropped and put in another order.

Everything that changes which rows are in memory, and how that is counted, goes through here. If the
process dies, the next owner reads RETRY.
"""

from collections.abc import Callable

from forebay_processor.delivery.backlog_reader import BacklogReader
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.conversations import Conversations
from forebay_processor.delivery.destination_backlog import Backlogs
from forebay_processor.delivery.entry import EntryState, RetryEntry
from forebay_processor.delivery.lane_cursor import LaneCursor
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["Window"]


class Window:
    """The rows of one destination that are in memory."""

    def __init__(
        self,
        backlogs: Backlogs,
        conversations: Conversations,
        reader: BacklogReader,
        time: StreamTime,
        wake: Callable[[str], None],
    ) -> None:
        self.backlogs = backlogs
        self.conversations = conversations
        self.reader = reader
        self._time = time
        self._wake = wake

    def lane(self, entry: RetryEntry) -> LaneCursor:
        """Return the lane of an entry."""
        return self.backlogs.of_subject(entry.partition, entry.subject)

    # -- one entry

    def forget(self, conversation: ConversationQueue, entry: RetryEntry) -> None:
        """Take it that an entry is over: delivered, dead, or gone."""
        entry.state = EntryState.FINISHED
        self.conversations.forget(entry)
        self.backlogs.unblock(conversation)
        if entry in conversation.storing:
            # It never had a row.
            conversation.storing.remove(entry)
            self.backlogs.count(self.lane(entry), -1)
        if not entry.is_linked:
            return  # dropped with its partition
        conversation.pop(entry)
        backlog = self.lane(entry)
        self.backlogs.leave(backlog, entry)
        self.backlogs.gone(backlog, entry)
        self.reader.refill(backlog)

    def release(self, conversation: ConversationQueue) -> None:
        """Count a conversation no more of which nothing is left."""
        self.backlogs.unblock(conversation)
        if conversation.backlog is not None:
            self.backlogs.unpass(conversation.backlog, conversation, conversation.passed)

    def block(self, conversation: ConversationQueue, entry: RetryEntry) -> None:
        """Take it that an entry failed: what follows in its conversation is only noted."""
        if not entry.is_linked:
            return  # from memory, or dropped with its partition
        backlog = self.lane(entry)
        conversation.backlog = backlog
        self.backlogs.leave(backlog, entry)
        self.backlogs.block(backlog, conversation)
        self._unlink_behind(conversation, 1)
        self.reader.refill(backlog)

    def _unlink_behind(self, conversation: ConversationQueue, kept: int) -> None:
        for entry in conversation.unlink_behind(kept):
            self.backlogs.leave(self.lane(entry), entry)
            self._drop_released(entry)
        self.backlogs.recount(conversation)

    def _drop_released(self, entry: RetryEntry) -> None:
        # What is not acked in EVENTS is found here until it is.
        if entry.work is None:
            self.conversations.forget(entry)

    # -- all at once

    def close(self) -> None:
        """Forget what was read ahead: nothing may be tried for a while but probes."""
        for key, conversation in self.conversations:
            if conversation.entries:
                self._close_one(key, conversation)
        self.reader.refill_all()

    def _close_one(self, key: str, conversation: ConversationQueue) -> None:
        first = conversation.entries[0]
        is_kept = (
            conversation.is_busy
            or conversation.is_blocked
            or conversation.has_unread
            or not all(each.is_untouched for each in conversation.entries)
        )
        backlog = conversation.backlog = self.lane(first)
        self._unlink_behind(conversation, 1)
        self.backlogs.drop_payload(first)
        if is_kept:
            return
        conversation.pop(first)
        conversation.forget_noted()
        self.backlogs.leave(backlog, first)
        self._drop_released(first)
        backlog.step_back(first.sequence)
        self._wake(key)

    def destination_is_back(self, failed_with_others: Callable[[int | None], bool]) -> None:
        """Try what failed while nothing got through before its own pause is over.

        Args:
            failed_with_others: Says of an entry's `failed_after` whether it is one of those.
        """
        now = self._time.steady()
        for key, conversation in self.conversations:
            entry = conversation.entries[0] if conversation.entries else None
            if entry is not None and entry.due > now and failed_with_others(entry.failed_after):
                entry.due = min(entry.due, max(now, entry.asked))
                self._wake(key)
        self.reader.refill_all()

    def drop(self, partition: Partition) -> None:
        """Forget all that waits of a partition: somebody else will have it."""
        for key, conversation in self.conversations:
            for entry in [each for each in conversation.entries if each.partition is partition]:
                conversation.pop(entry)
                self.backlogs.leave(self.lane(entry), entry)
            for entry in [each for each in conversation.storing if each.partition is partition]:
                conversation.storing.remove(entry)
            backlog = conversation.backlog
            if backlog is not None and backlog.partition is partition:
                self.backlogs.unblock(conversation)
                conversation.backlog = None
                conversation.forget_noted()
                conversation.passed = 0
            self._wake(key)
        entries = self.conversations.entries
        for row_key in [key for key, each in entries.items() if each.partition is partition]:
            del entries[row_key]
        self.backlogs.drop(partition)

    def reorder(self, *, is_ordered: bool) -> None:
        """Have what waits read again for a new ordering; what is under way stays where it is.

        What is known of entries that failed goes with it: each is tried once, early.
        """
        finished: list[RetryEntry] = []
        for key, conversation in self.conversations:
            finished += self._take_apart(key, conversation)
        self.conversations.is_ordered = is_ordered
        for entry in finished:
            # Only its row is left to be deleted, which is in nobody's way.
            key = f"{entry.subject.lane}.{entry.subject.key}.finished"
            self.conversations.of(key).append(entry)
        for key, _ in self.conversations:
            self._wake(key)
        self.reader.refill_all()

    def _take_apart(self, key: str, conversation: ConversationQueue) -> list[RetryEntry]:
        """Forget what waits of a conversation; returns what of it must not be read again."""
        backlog = conversation.backlog
        if backlog is not None and conversation.has_unread:
            backlog.step_back(conversation.read + 1)
        kept = 1 if conversation.is_busy else 0
        finished = []
        for entry in list(conversation.entries)[kept:]:
            conversation.pop(entry)
            self.backlogs.leave(self.lane(entry), entry)
            if entry.state is EntryState.FINISHED:
                finished.append(entry)
                continue
            self._drop_released(entry)
            self.lane(entry).step_back(entry.sequence)
        self.release(conversation)
        conversation.forget_noted()
        conversation.read = conversation.entries[0].sequence if conversation.entries else 0
        if conversation.is_idle:
            self.conversations.remove(key)
        return finished
