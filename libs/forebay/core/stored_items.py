"""Items that are to be delivered again: which are meant, and the row of RETRY that does it.

An item stays in EVENTS for the shard's window, as the claim that keeps a repeat out, whatever
became of it. So what was delivered can be delivered again, under the same id (docs/design/0038).
"""

from collections.abc import Mapping
from datetime import datetime

from typing_extensions import override

from forebay.core import envelope
from forebay.core.body_item import BODY_KIND
from forebay.core.dead_letters import KEY_DIGITS, DeadLetter, DeadLetterFilter
from forebay.core.envelope import StoredItem
from forebay.core.subjects import (
    REPLAY,
    DeadSubject,
    EventSubject,
    RetrySubject,
    conversation_partition,
)

__all__ = ["StoredItemFilter", "WantedAgain", "row_of", "wanted_again"]


class WantedAgain(DeadLetter, frozen=True, kw_only=True):
    """An item that is to be delivered again, to the destination that its `subject` names.

    Its reason, by which people are shown what is meant, is its kind; `died_at` is when it was
    stored.
    """

    claim: EventSubject
    """Where it is stored in EVENTS, or would be."""

    claimed_at: int
    """Its sequence there; 0 where it is not."""

    @property
    def conversation(self) -> str:
        """Its conversation's token."""
        return envelope.conversation_of(self.headers, self.claim.key)


class StoredItemFilter(DeadLetterFilter, frozen=True, kw_only=True):
    """Which items of EVENTS are meant; what is None says nothing.

    Times are those of the store. Whole webhooks are meant where their kind is named only: who gets
    single items does not want them, too.
    """

    channel: str | None = None
    conversation: str | None = None
    """Its token."""

    @override
    def subjects(self, shard: str) -> str:
        """Return the wildcard of all subjects of EVENTS that can match."""
        whole = self.key is not None and len(self.key) == KEY_DIGITS
        if self.endpoint is None and self.kind is None and not whole:
            # Not the same for the server: it need not compare each subject.
            return ">"
        namespace, name = self.endpoint or ("*", "*")
        return (
            f"forebay.event.{shard}.*.*.{namespace}.{name}.{self.kind or '*'}."
            f"{self.key if whole else '*'}"
        )

    @override
    def matches(self, letter: DeadLetter) -> bool:
        """Say whether an item of these subjects is meant."""
        channel = None if letter.item is None else letter.item.channel
        own = envelope.conversation_of(letter.headers, letter.subject.key)
        return (
            (self.kind is not None or letter.kind != BODY_KIND)
            and (self.channel is None or channel == self.channel)
            and (self.conversation is None or own == self.conversation)
            and super().matches(letter)
        )


def wanted_again(  # noqa: PLR0913  # all that an item is made of
    claim: EventSubject,
    destination: str,
    *,
    item: StoredItem | None,
    payload: bytes,
    headers: Mapping[str, str],
    stored_at: datetime,
    claimed_at: int,
    number: int,
) -> WantedAgain:
    """Return an item that is to be delivered again.

    Args:
        claim: Where it is in EVENTS, or would be.
        destination: To which one.
        item: What the payload holds; None where it is no item that can be read.
        payload: The item as it is stored, or would be.
        headers: Its headers there.
        stored_at: When it was stored, or its webhook was.
        claimed_at: Its sequence in EVENTS; 0 where it is not there.
        number: By which it is counted: it grows from item to item.
    """
    kind = claim.kind if item is None else item.kind
    return WantedAgain(
        subject=DeadSubject(claim.shard, claim.endpoint, destination, claim.key),
        sequence=number,
        died_at=stored_at,
        headers={**headers, envelope.REASON: kind},
        payload=payload,
        item=item,
        claim=claim,
        claimed_at=claimed_at,
    )


def row_of(wanted: WantedAgain, *, replayed: bool = True) -> RetrySubject:
    """Return the item's row in RETRY: that of a replay, or the one in which it waits by itself."""
    claim, conversation = wanted.claim, wanted.conversation
    return RetrySubject(
        claim.shard,
        conversation_partition(claim.endpoint, conversation, claim.shard),
        REPLAY if replayed else claim.lane,
        claim.endpoint,
        wanted.subject.destination,
        conversation,
        claim.key,
    )
