"""A splitter without a processor: RAW, EVENTS and the partition are the test's own."""

import asyncio
import contextlib
import fnmatch
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from typing_extensions import override

from forebay.core import envelope
from forebay.core.endpoint_name import EndpointName
from forebay.core.providers.names import ProviderName
from forebay.core.subjects import Lane, RawSubject
from forebay.core.tables import (
    Destination,
    LogTarget,
    OtherStreams,
    ProcessorEndpoint,
    ProcessorTable,
)
from forebay.runtime.jetstream.errors import (
    MessageTooLarge,
    SequenceMismatch,
    StoreError,
    StoreUnavailable,
)
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay.runtime.jetstream.pulled_message import PulledMessage, reply_tokens
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.lease import Lease, lease_clock
from forebay_processor.shared.recently_acked import RecentlyAcked
from forebay_processor.splitting.body_limits import BodyLimits
from forebay_processor.splitting.cutting import Cutter
from forebay_processor.splitting.large_body_scheduler import TURN_SECONDS, Room
from forebay_processor.splitting.splitter import Splitter, SplitterTools
from support.processor.memory_table import MemoryTable
from support.processor.partition_alone import owned_partition

__all__ = ["NAME", "Acks", "MemoryStreams", "Pull", "SplitAlone", "texts_of"]

NAME = EndpointName("demo", "shop")

LIMITS = BodyLimits(items=1000, expansion=64, values=100_000, decoded_bytes=1024 * 1024)

Stored = tuple[str, bytes, Mapping[str, str]]


def texts_of(*messages: tuple[str, str], text: str = "hello") -> bytes:
    """Return a webhook with one text message for each id and person."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": "1065"},
        "messages": [
            {
                "from": person,
                "id": own,
                "timestamp": "1795165201",
                "type": "text",
                "text": {"body": text},
            }
            for own, person in messages
        ],
    }
    entry = {"id": "1022", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


class MemoryStreams(MemoryTable):
    """RAW and EVENTS as lists, with claims as nats-server has them."""

    def __init__(self) -> None:
        super().__init__()
        self.events: dict[int, Stored] = {}
        self.raw: list[Stored] = []
        self.waves: list[list[str]] = []
        """The ids of the messages in each publish of many."""

        self.answers: dict[str, list[StoreError]] = {}
        """What is answered next for an item, by a piece of its payload."""

        self.refusal: StoreError | None = None
        """What RAW answers."""

        self.is_silent = False
        """Whether reads get no answer."""

        self.gone: list[int] = []
        """Sequences that are removed before they are read."""

        self.reads = 0
        self.deleted: list[int] = []
        """The sequences that were deleted from RAW."""

    async def publish_all(self, messages: Sequence[Stored], within: float) -> list[Any]:
        """Store items, or answer as was said."""
        del within
        await asyncio.sleep(0)
        self.waves.append([json.loads(payload)["key"] for _, payload, _ in messages])
        return [self._answer(*each) for each in messages]

    def _answer(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> Any:  # noqa: ANN401
        for piece, answers in self.answers.items():
            if piece.encode() in payload and answers:
                return answers.pop(0)
        claim = headers[envelope.EXPECTED_SUBJECT]
        taken = [
            sequence
            for sequence, (other, _, _) in self.events.items()
            if fnmatch.fnmatchcase(other, claim)
        ]
        if taken:
            refused = SequenceMismatch(f"wrong last sequence: {taken[-1]}")
            refused.sequence = taken[-1]
            return refused
        sequence = max(self.events, default=0) + 1
        self.events[sequence] = (subject, payload, headers)
        return PubAck(stream="FOREBAY_EVENTS_0", seq=sequence)

    async def publish_raw(
        self, subject: str, payload: bytes, headers: Mapping[str, str], within: float
    ) -> PubAck:
        """Store a copy of a webhook."""
        del within
        if self.refusal is not None:
            raise self.refusal
        self.raw.append((subject, payload, headers))
        return PubAck(stream="FOREBAY_RAW_0", seq=len(self.raw))

    @override
    async def delete(self, _: str, sequence: int) -> None:
        """Take notice of a webhook that is removed."""
        self.deleted.append(sequence)

    @override
    async def digests(self, _: str, sequences: Sequence[int]) -> dict[int, str]:
        """Return the digests of what is there."""
        self.reads += 1
        if self.is_silent:
            message = "NATS gave no answer"
            raise StoreUnavailable(message)
        for sequence in self.gone:
            self.events.pop(sequence, None)
        return {
            sequence: self.events[sequence][2].get(envelope.DIGEST, "")
            for sequence in sequences
            if sequence in self.events
        }

    @property
    def keys(self) -> list[str]:
        """The keys of the items in EVENTS, in their order."""
        return [json.loads(payload)["key"] for _, payload, _ in self.events.values()]


class _Publishing:
    """What a splitter publishes with."""

    def __init__(self, streams: MemoryStreams) -> None:
        self.publish_all = streams.publish_all
        self.publish = streams.publish_raw


class Acks:
    """A client that takes answers to messages of RAW."""

    def __init__(self) -> None:
        self.acked: list[int] = []
        self.sent_back: list[int] = []

    async def publish(self, reply: str, word: bytes) -> None:
        """Take an answer."""
        sequence = int(reply.split(".")[5])
        (self.acked if word == b"+ACK" else self.sent_back).append(sequence)


class Pull:
    """Hands out what the test puts in."""

    consumer = "split-live-00"

    def __init__(self) -> None:
        self.pending = 0
        self._batches: asyncio.Queue[list[PulledMessage]] = asyncio.Queue()

    def put(self, batch: list[PulledMessage]) -> None:
        """Have a batch handed out."""
        self._batches.put_nowait(batch)

    async def next_batch(self) -> list[PulledMessage]:
        """Return the next batch."""
        return await self._batches.get()


class SplitAlone:
    """One splitter and what comes of its webhooks."""

    def __init__(
        self,
        limits: BodyLimits = LIMITS,
        provider: ProviderName = "meta",
        room: int = 1024 * 1024,
        turn_seconds: float = TURN_SECONDS,
        streams: MemoryStreams | None = None,
        others: OtherStreams | msgspec.UnsetType = msgspec.UNSET,
    ) -> None:
        self.room = Room(room)
        self.turn_seconds = turn_seconds
        self.streams = streams or MemoryStreams()
        self.acks = Acks()
        self.lease = Lease()
        self.lease.renew(lease_clock())
        self.partition = owned_partition("raw.00", self.lease, self.streams)
        self.held: set[EndpointName] = set()
        """Endpoints whose webhooks are set aside."""

        self._endpoints = Endpoints()
        own = ProcessorEndpoint(
            namespace=NAME.namespace,
            name=NAME.name,
            provider=provider,
            destinations=(Destination(name="log", log=LogTarget()),),
            others=others,
        )
        self._endpoints.replace({"table.json": ProcessorTable(generation="1", endpoints=(own,))})
        self._limits = limits
        self._pull = Pull()
        self._last = 0
        self.splitter = self.new_splitter()

    def new_splitter(self) -> Splitter:
        """Return one that remembers nothing: that of a process which has just begun."""
        tools = SplitterTools(
            _Publishing(self.streams),
            self._endpoints,
            ProcessorMetrics(pool="test"),
            Cutter(self._limits),
            self.room,
            1.0,
            self.held.__contains__,
        )
        tools.turn_seconds = self.turn_seconds
        return Splitter(self.partition, tools, RecentlyAcked())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the splitter run within the block."""
        task = asyncio.create_task(self.splitter.run(self._pull))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def message(self, body: bytes, lane: Lane = Lane.LIVE, **headers: str) -> PulledMessage:
        """Return a webhook as RAW hands it out."""
        self._last += 1
        return self.message_at(self._last, body, lane, **headers)

    def message_at(
        self, sequence: int, body: bytes, lane: Lane = Lane.LIVE, **headers: str
    ) -> PulledMessage:
        """Return it with a sequence of its own."""
        client = cast("Client", self.acks)
        reply = f"$JS.ACK.FOREBAY_RAW_0.split-live-00.1.{sequence}.{sequence}.{sequence}000.0"
        fields = {envelope.RECEIVED_AT: "1795165201000"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        subject = str(RawSubject("0", 0, lane, NAME))
        message = Msg(client, subject, reply, body, fields)
        return PulledMessage(client, message, reply_tokens(reply) or [])

    def hand_out(self, *messages: PulledMessage) -> None:
        """Have webhooks handed out in one batch."""
        self._pull.put(list(messages))

    def too_large(self, piece: str) -> None:
        """Let NATS say that an item is too large."""
        self.streams.answers[piece] = [MessageTooLarge("too large")] * 5
