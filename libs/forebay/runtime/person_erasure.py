"""Removes what is stored of one person: from RAW, EVENTS, RETRY, DEAD and the index.

Each stream is read from its beginning to its end, page by page, in the order in which items go
through them, and what is of the person is deleted by its sequence and overwritten on disk. Rounds
go on until one finds nothing: an item that was in a processor's hands may have been stored behind
us, and a name that was learned late finds more.

A whole webhook can hold several persons. It is deleted where it holds nobody else, and where all of
it was worked off: its items are in EVENTS then, each by itself. Else it is left and counted.

If the process dies: what is deleted is deleted, and the same call goes on with the rest. A message
of the index is stored anew without the person's records before the old one is deleted: in between
the others' records are there twice, which readers pass over.
"""

import asyncio
import enum
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from forebay.core import envelope
from forebay.core.body_packing import SHOWN_LIMIT, as_it_came
from forebay.core.content_encoding import decode_body, is_supported
from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ForebayError
from forebay.core.index_records import IndexRecord, records_without
from forebay.core.person_matching import Holds, Person
from forebay.core.subjects import (
    DeadSubject,
    EventSubject,
    Lane,
    RawSubject,
    RetrySubject,
    StreamKind,
    consumer_name,
    index_stream,
    stream_name,
)
from forebay.runtime.jetstream.api import StoredMessage, delete_message
from forebay.runtime.jetstream.command_client import CommandClient
from forebay.runtime.jetstream.command_requests import SILENCE, patiently, store_message
from forebay.runtime.jetstream.consumers import list_consumers
from forebay.runtime.jetstream.errors import StreamMissing
from forebay.runtime.jetstream.stream_reader import read_pages

__all__ = ["ErasureReport", "Left", "PersonErasure", "StreamErasure"]

ROUNDS: Final = 5
"""At most: names that lead to further names end, and so does what processors have in hand."""

AT_ONCE: Final = 16
"""Deletions in flight: to overwrite is slow for the server."""

_KINDS: Final = (StreamKind.RAW, StreamKind.EVENTS, StreamKind.RETRY, StreamKind.DEAD)
"""In the order in which an item goes through them."""


class Left(enum.StrEnum):
    """Why a webhook that holds others too is left."""

    UNSPLIT = "not split yet"
    INVALID = "set aside, see `forebay dead ls --invalid`"
    UNDELIVERED = "a whole webhook that is not delivered yet"
    DEAD = "a whole webhook that is a dead letter"


class StreamErasure(msgspec.Struct, kw_only=True):
    """What was found in one stream."""

    stream: str
    found: int = 0
    """Messages that are to go; of the index, records."""

    erased: int = 0
    left: Counter[Left] = msgspec.field(default_factory=Counter)


class ErasureReport(msgspec.Struct, kw_only=True):
    """What was found and done."""

    streams: list[StreamErasure]
    names: int
    """By how many names the person is known now."""


_Decision = bool | Left
"""Whether a message is of the person, and to go; or why it is left."""


class PersonErasure:
    """One person at one endpoint, in the streams of some shards."""

    def __init__(
        self,
        client: CommandClient,
        shards: Sequence[str],
        endpoint: EndpointName,
        person: Person,
        on_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            client: A connected client.
            shards: Where to search.
            endpoint: Whose items.
            person: Who; learns further names from what is found.
            on_read: Called with how many messages were read.
        """
        self._client = client
        self._shards = tuple(shards)
        self._endpoint = endpoint
        self._person = person
        self._on_read = on_read
        self._tokens: set[str] = set()
        """Of items that were found: the index knows them by these."""

    async def find(self) -> ErasureReport:
        """Search, and change nothing.

        Raises:
            StoreError: where NATS does not answer, or there is no such shard.
        """
        while True:
            known = len(self._person.names)
            streams = await self._round(erases=False)
            if len(self._person.names) == known:
                return ErasureReport(streams=streams, names=known)

    async def erase(self) -> ErasureReport:
        """Delete what is found, until nothing is.

        Raises:
            StoreError: where NATS does not answer, or refuses; the same call goes on.
        """
        total: dict[str, StreamErasure] = {}
        for _ in range(ROUNDS):
            known = len(self._person.names)
            streams = await self._round(erases=True)
            for each in streams:
                one = total.setdefault(each.stream, StreamErasure(stream=each.stream))
                one.found += each.found
                one.erased += each.erased
                one.left = each.left
            is_done = not any(each.found for each in streams)
            if is_done and len(self._person.names) == known:
                break
        return ErasureReport(streams=list(total.values()), names=len(self._person.names))

    async def _round(self, *, erases: bool) -> list[StreamErasure]:
        found = []
        for shard in self._shards:
            for kind in _KINDS:
                stream = stream_name(kind, shard)
                settled = await self._settled_in(kind, stream)
                decide = functools.partial(self._decide, kind, settled)
                found.append(await self._pass(stream, decide, erases=erases))
            found += await self._index_pass(shard, erases=erases)
        return found

    async def _settled_in(self, kind: StreamKind, stream: str) -> Mapping[str, int]:
        """Return up to which sequence all is worked off, by consumer."""
        if kind not in {StreamKind.RAW, StreamKind.EVENTS}:
            return {}
        consumers = await patiently(functools.partial(list_consumers, self._client, stream))
        return {name: each.ack_floor.stream_seq for name, each in consumers.items()}

    # -- messages

    async def _pass(
        self, stream: str, decide: Callable[[StoredMessage], _Decision], *, erases: bool
    ) -> StreamErasure:
        own = StreamErasure(stream=stream)
        async for page in read_pages(self._client, stream, ">", 1, patiently):
            meant = []
            for stored in page:
                match decide(stored):
                    case Left() as reason:
                        own.left[reason] += 1
                    case True:
                        meant.append(stored.sequence)
                    case _:
                        pass
            own.found += len(meant)
            self._on_read(len(page))
            if erases:
                await _all_of([functools.partial(self._delete, stream, each) for each in meant])
                own.erased += len(meant)
        return own

    def _decide(
        self, kind: StreamKind, settled: Mapping[str, int], stored: StoredMessage
    ) -> _Decision:
        try:
            match kind:
                case StreamKind.RAW:
                    return self._of_raw(RawSubject.parse(stored.subject), stored, settled)
                case StreamKind.EVENTS:
                    subject = EventSubject.parse(stored.subject)
                    step = consumer_name("deliver", subject.lane, subject.partition)
                    is_settled = stored.sequence <= settled.get(step, 0)
                    left = None if is_settled else Left.UNDELIVERED
                    return self._of_item(subject.endpoint, subject.key, stored, left)
                case StreamKind.RETRY:
                    row = RetrySubject.parse(stored.subject)
                    return self._of_item(row.endpoint, row.key, stored, Left.UNDELIVERED)
                case StreamKind.DEAD:
                    letter = DeadSubject.parse(stored.subject)
                    return self._of_item(letter.endpoint, letter.key, stored, Left.DEAD)
        except ValueError:
            return False  # somebody else put it there

    def _of_raw(
        self, subject: RawSubject, stored: StoredMessage, settled: Mapping[str, int]
    ) -> _Decision:
        if subject.endpoint != self._endpoint:
            return False
        match self._person.has_in_body(_content(stored)):
            case Holds.NOTHING:
                return False
            case Holds.PERSON:
                return True
            case Holds.OTHERS_TOO:
                pass
        if subject.lane is Lane.INVALID:
            return Left.INVALID
        step = consumer_name("split", subject.lane, subject.partition)
        return stored.sequence <= settled.get(step, 0) or Left.UNSPLIT

    def _of_item(
        self, endpoint: EndpointName, token: str, stored: StoredMessage, left: Left | None
    ) -> _Decision:
        if endpoint != self._endpoint:
            return False
        match self._person.has_in_item(stored.headers, stored.payload):
            case Holds.NOTHING:
                return False
            case Holds.OTHERS_TOO if left is not None:
                return left
            case _:
                self._tokens.add(token)
                return True

    async def _delete(self, stream: str, sequence: int) -> None:
        await patiently(
            functools.partial(
                delete_message, self._client, stream, sequence, silence=SILENCE, overwrite=True
            )
        )

    # -- the index

    async def _index_pass(self, shard: str, *, erases: bool) -> list[StreamErasure]:
        stream = index_stream(shard)
        own = StreamErasure(stream=stream)
        try:
            async for page in read_pages(self._client, stream, ">", 1, patiently):
                work = []
                for stored in page:
                    kept, count = records_without(stored.payload, self._is_of_record)
                    own.found += count
                    if count:
                        work.append(functools.partial(self._rewrite, stream, stored, kept))
                self._on_read(len(page))
                if erases:
                    await _all_of(work)
                    own.erased = own.found
        except StreamMissing:
            return []  # it is kept where it was wanted only
        return [own]

    def _is_of_record(self, record: IndexRecord) -> bool:
        return record.endpoint == str(self._endpoint) and (
            record.token in self._tokens
            or self._person.has_conversation(record.conversation, record.channel)
        )

    async def _rewrite(self, stream: str, stored: StoredMessage, kept: bytes | None) -> None:
        if kept is not None:
            await patiently(functools.partial(store_message, self._client, stored.subject, kept))
        await self._delete(stream, stored.sequence)


async def _all_of(work: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Do all of it, some at a time; raises what went wrong first, when all have ended."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Callable[[], Awaitable[None]]) -> None:
        async with places:
            await each()

    results = await asyncio.gather(*(one(each) for each in work), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _content(stored: StoredMessage) -> bytes:
    """Return a webhook's content; what cannot be read, as it is stored."""
    body = as_it_came(stored.payload, stored.headers)
    encoding = stored.headers.get(envelope.CONTENT_ENCODING, "")
    try:
        return decode_body(body, encoding, SHOWN_LIMIT) if is_supported(encoding) else body
    except ForebayError:
        return body
