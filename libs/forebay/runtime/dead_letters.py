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

Nothing of it is ever in the memory of this process alone.
"""

import asyncio
import enum
import functools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from forebay.core import envelope
from forebay.core.letters import DeadLetter, LetterFilter, letter_of_row, replay_row
from forebay.core.naming import EndpointName
from forebay.core.subjects import StreamKind, stream_name
from forebay.runtime.publisher import PubAck
from forebay.runtime.store_errors import (
    SequenceMismatch,
    StoreError,
    StoreUnavailable,
    StreamMissing,
    store_error,
)
from forebay.runtime.stream_reader import read_page

__all__ = ["DeadLetters", "Group", "Outcome", "Plan"]

ANSWER_SECONDS: Final = 5.0

PATIENCE_SECONDS: Final = 30.0
"""For NATS to come back while letters are worked: a server's restart should not end a long replay.
All that is asked again can be asked twice."""

AGAIN_SECONDS: Final = 0.5

AT_ONCE: Final = 32
"""Letters that are worked at a time: more gained nothing."""

_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_MESSAGE_NOT_FOUND: Final = 10043
_NOT_FOUND: Final = "404"


class Outcome(enum.Enum):
    """What became of one letter."""

    REPLAYED = "replayed"
    WAITING = "waiting already"
    """An earlier replay parked it: the letter is removed, and it is delivered once."""

    BUSY = "busy"
    """The processor is working on an older row of the item: the letter stays."""

    GONE = "gone"
    """Somebody else replayed or removed it meanwhile."""

    REMOVED = "removed"


class Group(msgspec.Struct, frozen=True, order=True):
    """What is counted together."""

    endpoint: EndpointName
    destination: str
    reason: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and where to stop: what dies later is not part of it."""

    groups: dict[Group, int]
    last: dict[str, int]
    """For each shard, the sequence of its newest letter that is meant."""

    @property
    def total(self) -> int:
        """How many letters are meant."""
        return sum(self.groups.values())


class DeadLetters:
    """The dead letters of some shards, over one connection."""

    def __init__(self, client: Client, shards: Sequence[str]) -> None:
        self._client = client
        self._shards = shards

    # -- finding

    async def find(self, wanted: LetterFilter) -> AsyncIterator[list[DeadLetter]]:
        """Yield the letters that are meant, shard by shard, oldest first, page by page.

        Raises:
            StoreUnavailable: where NATS does not answer or a shard has no stream of dead letters.
        """
        for shard in self._shards:
            async for page in self._find_in(shard, wanted):
                yield page

    async def _find_in(self, shard: str, wanted: LetterFilter) -> AsyncIterator[list[DeadLetter]]:
        stream, subjects = stream_name(StreamKind.DEAD, shard), wanted.subjects(shard)
        start: int | datetime = wanted.since or 1
        while True:
            read = functools.partial(read_page, self._client, stream, subjects, start)
            try:
                messages = await _patiently(read)
            except StreamMissing as error:
                message = (
                    f"there is no stream {stream} in this NATS: is it Forebay's, and is --shard "
                    "right?"
                )
                raise StreamMissing(message) from error
            if not messages:
                return
            letters = [
                DeadLetter.read(
                    each.subject, each.sequence, each.stored_at, each.headers, each.payload
                )
                for each in messages
            ]
            # Also where none is meant: whoever waits wants to see that it goes on.
            yield [letter for letter in letters if wanted.matches(letter)]
            if wanted.until is not None and messages[-1].stored_at >= wanted.until:
                return
            start = messages[-1].sequence + 1

    async def plan(self, wanted: LetterFilter, on_found: Callable[[int], None]) -> Plan:
        """Count what is meant, by endpoint, destination and reason.

        Args:
            wanted: Which letters.
            on_found: Called with the number found so far, page by page.

        Raises:
            StoreUnavailable: where NATS does not answer or a shard has no stream of dead letters.
        """
        groups: Counter[Group] = Counter()
        last: dict[str, int] = {}
        async for page in self.find(wanted):
            for letter in page:
                subject = letter.subject
                groups[Group(subject.endpoint, subject.destination, letter.reason)] += 1
                last[subject.shard] = letter.sequence
            on_found(groups.total())
        return Plan(groups=dict(sorted(groups.items())), last=last)

    # -- working

    async def work(
        self,
        wanted: LetterFilter,
        plan: Plan,
        action: Callable[[DeadLetter], Awaitable[Outcome]],
        on_done: Callable[[Outcome], None],
        rate: float = 0.0,
    ) -> None:
        """Do something with each letter of a plan.

        Args:
            wanted: What the plan was made for.
            plan: How far to go.
            action: What to do, such as `purge`.
            on_done: Told what became of each letter, once it is over.
            rate: Letters a second; 0 for as many as it can.

        Raises:
            StoreError: where NATS does not answer for too long, or refuses; what is done is done,
                and the same call again goes on with the rest.
        """
        places = asyncio.Semaphore(AT_ONCE)
        pace = _Pace(rate)

        async def one(letter: DeadLetter) -> None:
            try:
                on_done(await _patiently(functools.partial(action, letter)))
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

    async def replay(self, letter: DeadLetter, destination: str | None = None) -> Outcome:
        """Park an item for its destination, or for another one, and remove its letter.

        Raises:
            StoreError: where NATS does not answer or does not store.
        """
        if not await self.is_there(letter):
            return Outcome.GONE
        outcome = await self.park(letter, destination or letter.subject.destination)
        if outcome is not Outcome.BUSY:
            await self._delete(letter)
        return outcome

    async def park(self, letter: DeadLetter, destination: str) -> Outcome:
        """Store the row of a replay; the letter stays. Raises StoreError."""
        subject, headers = replay_row(letter, destination, datetime.now(UTC))
        # The id lives for two minutes, and covers a repeat after an answer that was lost, also
        # when the row is delivered and gone by then.
        died = int(letter.died_at.timestamp() * 1000)
        number = f"{letter.subject.shard}.{letter.sequence}.{died}"
        headers |= {_EXPECTED: "0", envelope.MESSAGE_ID: f"replay.{number}.{destination}"}
        try:
            ack = await self._store(subject, letter.payload, headers)
        except SequenceMismatch:
            there = await self._read(StreamKind.RETRY, letter.subject.shard, subject)
            own = (letter.subject, letter.sequence)
            if there is not None and letter_of_row(there) == own:
                return Outcome.WAITING
            return Outcome.BUSY
        return Outcome.WAITING if ack.duplicate else Outcome.REPLAYED

    async def purge(self, letter: DeadLetter) -> Outcome:
        """Remove a letter for good; raises StoreError."""
        return Outcome.REMOVED if await self._delete(letter) else Outcome.GONE

    async def is_there(self, letter: DeadLetter) -> bool:
        """Say whether DEAD still holds exactly this letter; raises StoreError."""
        found = await self._read(StreamKind.DEAD, letter.subject.shard, str(letter.subject))
        return found is not None and int(found["Nats-Sequence"]) == letter.sequence

    # -- asking

    async def _read(self, kind: StreamKind, shard: str, subject: str) -> dict[str, str] | None:
        stream = stream_name(kind, shard)
        answer = await self._ask(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        headers = {str(name): text for name, text in (answer.headers or {}).items()}
        match headers.get("Status"):
            case None:
                return headers
            case status if status == _NOT_FOUND:
                return None
            case status:
                message = f"{stream} could not be read: status {status}"
                raise StoreUnavailable(message)

    async def _delete(self, letter: DeadLetter) -> bool:
        """Remove a letter; False where it was gone."""
        stream = stream_name(StreamKind.DEAD, letter.subject.shard)
        body = msgspec.json.encode({"seq": letter.sequence, "no_erase": True})
        answer = await self._ask(f"$JS.API.STREAM.MSG.DELETE.{stream}", body)
        error = msgspec.json.decode(answer.data).get("error")
        if error is None:
            return True
        if error.get("err_code") == _MESSAGE_NOT_FOUND:
            return False
        raise store_error(error)

    async def _store(self, subject: str, payload: bytes, headers: dict[str, str]) -> PubAck:
        answer = await self._ask(subject, payload, headers)
        try:
            ack = msgspec.json.decode(answer.data, type=PubAck)
        except msgspec.DecodeError as error:
            message = "NATS answered something that is no PubAck"
            raise StoreUnavailable(message) from error
        if ack.error is not None:
            raise store_error(ack.error)
        return ack

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> Msg:
        try:
            return await self._client.request(
                subject, body, timeout=ANSWER_SECONDS, headers=headers
            )
        except (NatsError, TimeoutError) as error:
            message = f"NATS does not answer any more: {type(error).__name__}"
            raise StoreUnavailable(message) from error


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


_Answer = TypeVar("_Answer")


async def _patiently(action: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Do it again while NATS is away, for a while."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_SECONDS
    while True:
        try:
            return await action()
        except StreamMissing:
            raise
        except StoreUnavailable:
            if clock() + AGAIN_SECONDS > deadline:
                raise
        await asyncio.sleep(AGAIN_SECONDS)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    store = group.subgroup(StoreError)
    found: BaseException = store.exceptions[0] if store is not None else group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
