"""Finds, replays and removes dead letters. For the `forebay dead` command.

A replay stores the item in RETRY, for the processor to deliver, and then removes the dead letter
(docs/design/0006). For each letter, one line after the other; what if the process dies there:

1. Is the letter still in DEAD? If not, somebody else replayed or removed it: nothing to do.
   Dies: nothing happened.
2. Store the row in RETRY, only where the item has no row there, under an id made of the letter.
   Dies: item in RETRY and in DEAD. The processor delivers the row and removes the letter before the
   row: a second replay finds the letter's row, or no letter. Either way it is delivered once.
3. A row is there already: of this letter (a replay before this one), or of another life of the
   item, which the processor is about to finish. The first goes on; the second leaves the letter.
4. Remove the letter, by its sequence: if the item died anew, that is another message.
   Dies: it is replayed, nothing is left to do.

A replay ends where RETRY is nearly full: the last of it is for what fails at destinations that have
little (docs/design/0043), and letters of one that is still down would take it.
"""

from typing_extensions import override

from forebay.core import envelope
from forebay.core.dead_letters import DeadLetter, DeadLetterFilter, dead_letter_of_row, replay_row
from forebay.core.subjects import StreamKind
from forebay.runtime.dead_letter_store import DeadLetterOutcome, DeadLetterStore
from forebay.runtime.jetstream.api import SEQUENCE, StoredMessage
from forebay.runtime.jetstream.errors import SequenceMismatch

__all__ = ["DeadLetters"]


class DeadLetters(DeadLetterStore):
    """The dead letters of some shards, over one connection."""

    kind = StreamKind.DEAD

    @override
    def subjects(self, shard: str, wanted: DeadLetterFilter) -> str:
        return wanted.subjects(shard)

    @override
    def letter(self, stored: StoredMessage) -> DeadLetter:
        return DeadLetter.read(
            stored.subject, stored.sequence, stored.stored_at, stored.headers, stored.payload
        )

    @override
    async def replay(self, letter: DeadLetter, destination: str | None = None) -> DeadLetterOutcome:
        """Park an item for its destination, or for another one, and remove its letter.

        Raises:
            StoreError: where NATS does not answer or does not store.
        """
        if not await self.is_there(letter):
            return DeadLetterOutcome.GONE
        await self.check_room(letter.subject.shard)
        outcome = await self.park(letter, destination or letter.subject.destination)
        if outcome is not DeadLetterOutcome.BUSY:
            await self.delete(letter)
        return outcome

    async def park(self, letter: DeadLetter, destination: str) -> DeadLetterOutcome:
        """Store the row of a replay; the letter stays. Raises StoreError."""
        subject, headers = replay_row(letter, destination)
        # The id lives for two minutes, and covers a repeat after an answer that was lost, also
        # when the row is delivered and gone by then.
        died = int(letter.died_at.timestamp() * 1000)
        number = f"{letter.subject.shard}.{letter.sequence}.{died}"
        headers |= {
            envelope.EXPECTED_SEQUENCE: "0",
            envelope.MESSAGE_ID: f"replay.{number}.{destination}",
        }
        try:
            ack = await self.store(subject, letter.payload, headers)
        except SequenceMismatch:
            there = await self.read(StreamKind.RETRY, letter.subject.shard, subject)
            own = (letter.subject, letter.sequence)
            if there is not None and dead_letter_of_row(there) == own:
                return DeadLetterOutcome.WAITING
            return DeadLetterOutcome.BUSY
        return DeadLetterOutcome.WAITING if ack.duplicate else DeadLetterOutcome.REPLAYED

    async def is_there(self, letter: DeadLetter) -> bool:
        """Say whether DEAD still holds exactly this letter; raises StoreError."""
        found = await self.read(StreamKind.DEAD, letter.subject.shard, str(letter.subject))
        return found is not None and int(found[SEQUENCE]) == letter.sequence
