"""Letters in a stream, found and worked page by page: what dead letters and bodies have in common.

Nothing of it is ever in the memory of this process alone.
"""

import abc
import asyncio
import enum
import functools
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import ClassVar, Final

import msgspec
from nats.aio.client import Client

from forebay.core.dead_letters import DeadLetter, DeadLetterFilter
from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.jetstream.api import (
    StoredMessage,
    call,
    delete_message,
    get_direct,
    headers_of,
    status_of,
)
from forebay.runtime.jetstream.command_requests import SILENCE, patiently, store_message
from forebay.runtime.jetstream.errors import StoreError, StoreFull, StoreUnavailable
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.stream_reader import StreamPlace, read_pages, shards_behind

__all__ = [
    "DeadLetterGroup",
    "DeadLetterOutcome",
    "DeadLetterPlan",
    "DeadLetterStore",
]

AT_ONCE: Final = 32
"""Letters that are worked at a time: more gained nothing."""


FULL: Final = 0.9
"""Of RETRY, above which nothing more is handed over: the rest is for what fails at destinations
that have little (docs/design/0043). One that is down has 85 % of it at most."""

FILL_SECONDS: Final = 1.0
"""Between two questions how full it is: some 600 letters are replayed in that time."""


class DeadLetterOutcome(enum.Enum):
    """The outcome for one letter."""

    REPLAYED = "replayed"
    WAITING = "waiting already"
    """An earlier replay parked it: the letter is removed, and it is delivered once."""

    BUSY = "busy"
    """The processor is working on an older row of the item: the letter stays."""

    GONE = "gone"
    """Somebody else replayed or removed it meanwhile."""

    UNDELIVERED = "on its way"
    """It is about to be tried, or waits: it is delivered without a replay, and left alone."""

    DEAD = "dead letter"
    """It was given up: its own replay is for it, and it is left alone."""

    REMOVED = "removed"


class DeadLetterGroup(msgspec.Struct, frozen=True, order=True):
    """What is counted together."""

    endpoint: EndpointName
    destination: str
    reason: str


class DeadLetterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and where to stop: what dies later is not part of it."""

    groups: dict[DeadLetterGroup, int]
    last: dict[str, int]
    """For each shard, the sequence of its newest letter that is meant."""

    @property
    def total(self) -> int:
        """How many letters are meant."""
        return sum(self.groups.values())


class DeadLetterStore(abc.ABC):
    """The letters in one kind of stream of some shards, over one connection."""

    kind: ClassVar[StreamKind]
    """Where they are."""

    def __init__(self, client: Client, shards: Sequence[str]) -> None:
        self.client = client
        self.shards = shards
        """Where to search."""

        self._fills: dict[str, tuple[float, float]] = {}
        """How full RETRY is, by shard, and when it was asked."""

    # -- what a kind of letters says

    @abc.abstractmethod
    def subjects(self, shard: str, wanted: DeadLetterFilter) -> str:
        """Return the wildcard of all subjects that can be meant."""

    @abc.abstractmethod
    def letter(self, stored: StoredMessage) -> DeadLetter:
        """Read a message of the stream; raises ValueError where its subject is none of it."""

    @abc.abstractmethod
    async def replay(self, letter: DeadLetter, destination: str | None = None) -> DeadLetterOutcome:
        """Hand a letter to the processors, and remove it; raises StoreError."""

    # -- finding

    async def find(
        self, wanted: DeadLetterFilter, after: StreamPlace | None = None
    ) -> AsyncIterator[list[DeadLetter]]:
        """Yield the letters that are meant, shard by shard, oldest first, page by page.

        Args:
            wanted: Which letters.
            after: Behind which one; None for all.

        Raises:
            StoreUnavailable: where NATS does not answer or a shard has no such stream.
        """
        for shard in shards_behind(self.shards, after):
            is_behind = after is not None and after.shard == shard
            start = after.sequence + 1 if after is not None and is_behind else wanted.since or 1
            async for page in self._find_in(shard, wanted, start):
                yield page

    async def _find_in(
        self, shard: str, wanted: DeadLetterFilter, start: int | datetime
    ) -> AsyncIterator[list[DeadLetter]]:
        stream, subjects = stream_name(self.kind, shard), self.subjects(shard, wanted)
        async for messages in read_pages(self.client, stream, subjects, start, patiently):
            letters = [own for each in messages if (own := self._readable(each)) is not None]
            # Also where none is meant: whoever waits wants to see that it goes on.
            yield [letter for letter in letters if wanted.matches(letter)]
            if wanted.until is not None and messages[-1].stored_at >= wanted.until:
                return

    def _readable(self, stored: StoredMessage) -> DeadLetter | None:
        """Read a message; None of what somebody else put there."""
        try:
            return self.letter(stored)
        except ValueError:
            return None

    async def plan(
        self, wanted: DeadLetterFilter, on_found: Callable[[int], None]
    ) -> DeadLetterPlan:
        """Count what is meant, by endpoint, destination and reason.

        Args:
            wanted: Which letters.
            on_found: Called with the number found so far, page by page.

        Raises:
            StoreUnavailable: where NATS does not answer or a shard has no such stream.
        """
        groups: Counter[DeadLetterGroup] = Counter()
        last: dict[str, int] = {}
        async for page in self.find(wanted):
            for letter in page:
                subject = letter.subject
                groups[DeadLetterGroup(subject.endpoint, subject.destination, letter.reason)] += 1
                last[subject.shard] = letter.sequence
            on_found(groups.total())
        return DeadLetterPlan(groups=dict(sorted(groups.items())), last=last)

    # -- working

    async def work(
        self,
        wanted: DeadLetterFilter,
        plan: DeadLetterPlan,
        action: Callable[[DeadLetter], Awaitable[DeadLetterOutcome]],
        on_done: Callable[[DeadLetterOutcome], None],
        rate: float = 0.0,
    ) -> None:
        """Do something with each letter of a plan.

        Args:
            wanted: What the plan was made for.
            plan: How far to go.
            action: What to do, such as `purge`.
            on_done: Called with the outcome of each letter.
            rate: Letters a second; 0 for as many as it can.

        Raises:
            StoreError: where NATS does not answer for too long, or refuses; what is done is done,
                and the same call again goes on with the rest.
        """
        places = asyncio.Semaphore(AT_ONCE)
        pace = _Pace(rate)

        async def one(letter: DeadLetter) -> None:
            try:
                on_done(await patiently(functools.partial(action, letter)))
            finally:
                places.release()

        try:
            async with asyncio.TaskGroup() as tasks:
                async for page in self.find(wanted):
                    for letter in page:
                        if letter.sequence > plan.last.get(letter.subject.shard, 0):
                            continue
                        await pace.turn()
                        await places.acquire()
                        tasks.create_task(one(letter))
        except BaseExceptionGroup as group:
            # All of them met the same trouble: one sentence is enough.
            raise _first(group) from group

    async def purge(self, letter: DeadLetter) -> DeadLetterOutcome:
        """Remove a letter for good; raises StoreError."""
        return DeadLetterOutcome.REMOVED if await self.delete(letter) else DeadLetterOutcome.GONE

    # -- asking

    async def read(self, kind: StreamKind, shard: str, subject: str) -> dict[str, str] | None:
        """Return the headers of a subject's last message; None where there is none."""
        stream = stream_name(kind, shard)
        answer = await get_direct(self.client, stream, subject, silence=SILENCE)
        match status_of(answer):
            case None:
                return headers_of(answer)
            case "404":
                return None
            case status:
                message = f"{stream} could not be read: status {status}"
                raise StoreUnavailable(message)

    async def check_room(self, shard: str) -> None:
        """See whether RETRY is, or was a second ago, no fuller than a person may fill it.

        Raises:
            StoreError: where it is fuller, or NATS does not answer.
        """
        now = asyncio.get_running_loop().time()
        fill, asked_at = self._fills.get(shard, (0.0, -math.inf))
        if now - asked_at >= FILL_SECONDS:
            stream = stream_name(StreamKind.RETRY, shard)
            answer = await call(self.client, f"STREAM.INFO.{stream}", {})
            limit = answer["config"].get("max_bytes", 0)
            fill = answer["state"]["bytes"] / limit if limit > 0 else 0.0
            self._fills[shard] = fill, now
        if fill > FULL:
            message = f"RETRY is {fill:.0%} full: wait until what waits there is delivered"
            raise StoreFull(message)

    async def delete(self, letter: DeadLetter) -> bool:
        """Remove a letter; False where it was gone."""
        stream = stream_name(self.kind, letter.subject.shard)
        return await delete_message(self.client, stream, letter.sequence, silence=SILENCE)

    async def store(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        """Store a message; raises StoreError."""
        return await store_message(self.client, subject, payload, headers)


class _Pace:
    """Lets so many through a second, evenly."""

    def __init__(self, rate: float) -> None:
        self._pause = 1 / rate if rate > 0 else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one's turn."""
        if not self._pause:
            return
        now = asyncio.get_running_loop().time()
        due = max(self._next, now)
        self._next = due + self._pause
        await asyncio.sleep(due - now)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    store = group.subgroup(StoreError)
    found: BaseException = store.exceptions[0] if store is not None else group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
