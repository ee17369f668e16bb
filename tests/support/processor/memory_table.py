"""RETRY and DEAD in memory: the double of `forebay_processor.shared.tenure.Store`."""

import fnmatch
import time
from collections.abc import Awaitable, Callable, Sequence

from forebay.core import envelope
from forebay.runtime.jetstream.errors import ClaimedBefore, StoreFull, StoreUnavailable
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_processor.shared.partition_view import StoredRow

__all__ = ["MemoryTable"]

RETRY = "forebay.retry."


async def _at_once(_: str) -> None:
    """Let nothing pass."""


class MemoryTable:
    """RETRY, which refuses a second row of a subject, and DEAD, which replaces it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin with nothing.

        Args:
            clock: What time it is, seconds since the epoch.
        """
        self.rows: dict[str, tuple[bytes, dict[str, str], int]] = {}
        """What is there, in the order of the sequences."""

        self.published: list[str] = []
        self.full: set[str] = set()
        """What has no room: the beginnings of subjects, such as `forebay.dead.`."""

        self.silent: set[str] = set()
        """What is stored without an answer: the beginnings of subjects."""

        self.unanswered = 0
        """How often no answer came."""

        self.refusals: list[str] = []
        """The subjects of what was refused for want of room."""

        self.last = 0
        """The last sequence."""

        self.reads = 0
        """Pages that were read."""

        self.before: Callable[[str], Awaitable[None]] = _at_once
        """Awaited before each operation, with its name."""

        self.after: Callable[[str], Awaitable[None]] = _at_once
        """Awaited after each operation, which was done."""

        self._clock = clock
        self._stored_at: dict[int, float] = {}
        self._subjects: dict[int, str] = {}

    @property
    def refused(self) -> int:
        """How often something was refused for want of room."""
        return len(self.refusals)

    def put(self, subject: str, payload: bytes, headers: dict[str, str]) -> int:
        """Store a row as somebody else does, and return its sequence."""
        self.last += 1
        self.rows.pop(subject, None)
        self.rows[subject] = (payload, headers, self.last)
        self._stored_at[self.last] = self._clock()
        self._subjects[self.last] = subject
        return self.last

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Write a row; raises as the store does: it is full, the row is there, no answer comes."""
        await self.before("publish")
        if any(subject.startswith(silent) for silent in self.silent):
            if subject not in self.rows:
                self.put(subject, payload, headers)
            self.unanswered += 1
            message = "no answer came"
            raise StoreUnavailable(message)
        # As nats-server has it, also where it is full (test_provisioning_of_shards).
        if subject.startswith(RETRY) and subject in self.rows:
            message = "it is there"
            raise ClaimedBefore(message)
        if any(subject.startswith(full) for full in self.full):
            self.refusals.append(subject)
            message = "there is no room"
            raise StoreFull(message)
        sequence = self.put(subject, payload, headers)
        self.published.append(subject)
        await self.after("publish")
        return PubAck(seq=sequence)

    async def claims(self, _: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return what is there of these subjects."""
        return {subject: self.rows[subject][2] for subject in subjects if subject in self.rows}

    async def digests(self, _: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of what is there of these."""
        return {
            sequence: headers.get(envelope.DIGEST, "")
            for _, headers, sequence in self.rows.values()
            if sequence in sequences
        }

    async def first_row(self, _: str, subjects: str, after: int) -> StoredRow | None:
        """Return the first row above a sequence."""
        await self.before("first_row")
        found = self._above(subjects, after)
        await self.after("first_row")
        return found[0] if found else None

    async def next_rows(
        self, _: str, subjects: str, after: int, limit: int, up_to: int = 0
    ) -> list[StoredRow]:
        """Return a page."""
        await self.before("next_rows")
        self.reads += 1
        found = self._above(subjects, after)
        await self.after("next_rows")
        return [row for row in found if not up_to or row.sequence <= up_to][:limit]

    async def row_at(self, _: str, sequence: int) -> StoredRow | None:
        """Return a row."""
        await self.before("row_at")
        found = next((row for row in self._above(">", 0) if row.sequence == sequence), None)
        await self.after("row_at")
        return found

    def held(self, subjects: str) -> list[StoredRow]:
        """Return all rows of some subjects."""
        return self._above(subjects, 0)

    def _above(self, subjects: str, after: int) -> list[StoredRow]:
        pattern = subjects.replace(">", "*")
        prefix = pattern.partition("*")[0]
        is_prefix = pattern == f"{prefix}*"
        return [
            StoredRow(subject, sequence, self._stored_at[sequence], headers, payload)
            for subject, (payload, headers, sequence) in self.rows.items()
            if sequence > after
            and subject.startswith(RETRY)
            and subject.startswith(prefix)
            and (is_prefix or fnmatch.fnmatchcase(subject, pattern))
        ]

    async def delete(self, _: str, sequence: int) -> None:
        """Delete a row."""
        await self.before("delete")
        subject = self._subjects.pop(sequence, "")
        if subject in self.rows and self.rows[subject][2] == sequence:
            del self.rows[subject]
        await self.after("delete")

    async def purge(self, _: str, subject: str, below: int) -> None:
        """Remove a subject's older rows."""
        await self.before("purge")
        if subject in self.rows and self.rows[subject][2] < below:
            del self.rows[subject]
        await self.after("purge")
