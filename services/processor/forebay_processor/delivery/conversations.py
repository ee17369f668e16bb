"""The conversations of one destination of which something is in memory, and their entries."""

from collections.abc import Iterator

from forebay.core.subjects import RetrySubject
from forebay_processor.delivery.conversation import ConversationQueue
from forebay_processor.delivery.entry import RetryEntry

__all__ = ["Conversations"]


class Conversations:
    """Finds conversations by lane and name, and entries by what distinguishes rows."""

    def __init__(self) -> None:
        self.is_ordered = True
        """Whether items of one conversation are in order; else each is one of its own."""

        self.entries: dict[str, RetryEntry] = {}
        """All entries in memory: being stored, not acked in EVENTS, or to be tried."""

        self._by_key: dict[str, ConversationQueue] = {}

    def __iter__(self) -> Iterator[tuple[str, ConversationQueue]]:
        """Go through all, as they are now."""
        return iter(list(self._by_key.items()))

    def key(self, subject: RetrySubject) -> str:
        """Return what distinguishes a row's conversation from others."""
        # What was replayed is in nobody's way.
        is_ordered = self.is_ordered and not subject.is_replay
        own = subject.conversation if is_ordered else subject.key
        return f"{subject.lane}.{own}"

    def find(self, key: str) -> ConversationQueue | None:
        """Return a conversation of which something is in memory."""
        return self._by_key.get(key)

    def of(self, key: str) -> ConversationQueue:
        """Return a conversation, of which there may have been nothing."""
        conversation = self._by_key.get(key)
        if conversation is None:
            conversation = self._by_key[key] = ConversationQueue()
        return conversation

    def knows(self, subject: RetrySubject, sequence: int) -> bool:
        """Say whether a row is in memory, or noted by its conversation."""
        if subject.row_key in self.entries:
            return True
        # Under its other name where the ordering was changed meanwhile.
        keys = (f"{subject.lane}.{subject.conversation}", f"{subject.lane}.{subject.key}")
        found = (self._by_key.get(key) for key in keys)
        return any(each is not None and each.read < sequence <= each.last for each in found)

    def remove(self, key: str) -> None:
        """Forget a conversation of which nothing is left."""
        self._by_key.pop(key).set_timer(None)

    def forget(self, entry: RetryEntry) -> None:
        """Forget an entry, unless it was replaced."""
        if self.entries.get(entry.subject.row_key) is entry:
            del self.entries[entry.subject.row_key]
