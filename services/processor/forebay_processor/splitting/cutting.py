"""Cutting a webhook into parts: what each item is stored as.

Everything here is a generator that gives up control again and again: a long body is cut in slices,
and whoever runs it (`splitter`) sends what is cut before it asks for more. So memory is that of the
body, decoded, and of one wave of items; never that of all items.

A long body is gone through twice: first to count its items and what they come to, and only then to
store them. So a body that is beyond the limits is set aside whole, before anything of it is stored.

Nothing here does anything to the outside: if the process dies, the webhook is unacked, comes again
and is cut again, to the same items.
"""

import asyncio
import hashlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from forebay.core import envelope
from forebay.core.body_item import body_item, lane_of_items
from forebay.core.body_packing import size_of, unpacked
from forebay.core.content_encoding import decode_body
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import encode_item
from forebay.core.errors import ExpandsTooFar, UnreadableBody
from forebay.core.incremental_json import count_values, may_hold_more, read_in_slices
from forebay.core.invalid_reasons import InvalidReason
from forebay.core.item import Item, variant_of
from forebay.core.providers.provider import BodyFormat
from forebay.core.providers.registry import provider_of
from forebay.core.subjects import Lane, RawSubject, conversation_partition, event_subjects
from forebay.core.tables import ProcessorEndpoint
from forebay.core.tolerant_json import Reading, read_json, reading_damaged
from forebay.runtime.fault_place import place_of
from forebay.runtime.jetstream.pulled_message import PulledMessage
from forebay_processor.shared.routing import is_body_wanted
from forebay_processor.splitting.body_limits import BodyLimits, BodySurvey, CutFailed
from forebay_processor.splitting.split_traces import SplitTrace

__all__ = ["Cutter", "Part", "Webhook", "is_quick"]

QUICK_BYTES: Final = 64 * 1024
QUICK_COMMAS: Final = 256
"""A body below both is cut at once, for slices cost more than it does: it holds fewer items than
commas, so it takes some milliseconds at most. Most bodies hold one item and 20 commas."""

SLICED_BYTES: Final = 256 * 1024
"""From so many bytes on a body is decoded in slices. That takes three times as long as at once,
which is a millisecond for a body below this size."""

_WHOLE: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Webhook:
    """One raw message on its way, and how many of its parts are not stored yet."""

    __slots__ = ("failure", "is_cut", "left", "message", "sent", "split", "subject")

    def __init__(self, message: PulledMessage, subject: RawSubject) -> None:
        self.message = message
        self.subject = subject
        self.sent = message.data
        """The body as it was sent; of a packed one, once `Cutter.content` was asked for it."""

        self.left = 0
        """Parts that are cut and not settled."""

        self.is_cut = False
        """Whether nothing more of it will be cut."""

        self.failure: InvalidReason | None = None
        """Why it is to be kept in the lane `invalid`, if it is."""

        self.split: SplitTrace | None = None
        """None where no part of the work on it is recorded, whatever becomes of it."""


class Part:
    """One item of a webhook, with what it is stored as."""

    __slots__ = ("chain", "headers", "item", "lane", "payload", "subject", "webhook")

    def __init__(  # all that one publish is made of
        self, webhook: Webhook, item: Item, lane: Lane, payload: bytes, body: str | None
    ) -> None:
        name, message = webhook.subject.endpoint, webhook.message
        self.webhook = webhook
        self.item = item
        self.lane = lane
        self.payload = payload
        self.chain: tuple[EndpointName, str] = (name, item.conversation)
        """What has an order among itself."""

        self.subject, claim = event_subjects(
            webhook.subject.shard,
            conversation_partition(name, item.conversation, webhook.subject.shard),
            lane,
            name,
            item.kind,
            item.token,
        )
        self.headers = {
            envelope.RECEIVED_AT: str(envelope.received_millis(message.headers)),
            envelope.ENDPOINT: str(name),
            envelope.RAW_SEQUENCE: str(message.sequence),
            envelope.CONVERSATION: item.conversation,
            envelope.DIGEST: item.digest,
            envelope.EXPECTED_SEQUENCE: "0",
            envelope.EXPECTED_SUBJECT: claim,
        }
        trace = message.headers.get(envelope.TRACEPARENT)
        if trace is not None:
            split = webhook.split
            own = trace if split is None else split.of_item()
            self.headers[envelope.TRACEPARENT] = own
        if body is not None:
            self.headers[envelope.BODY] = body

    def variant(self) -> "Part":
        """Return the same item under a key of its own."""
        item = variant_of(self.item)
        body = self.headers.get(envelope.BODY)
        return Part(self.webhook, item, self.lane, encode_item(item), body)


def is_quick(body: bytes) -> bool:
    """Say whether a body can be cut at once."""
    return len(body) <= QUICK_BYTES and body.count(b",") <= QUICK_COMMAS


class Cutter:
    """Cuts webhooks within limits."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits

    @property
    def decoded_bytes(self) -> int:
        """The most that a body may come to once its content encoding is taken off."""
        return self._limits.decoded_bytes

    def most_bytes(self, message: PulledMessage) -> int:
        """Return the most bytes that `content` returns; raises CutFailed where nobody can say."""
        try:
            size = size_of(message.headers)
        except UnreadableBody as error:
            raise CutFailed(InvalidReason.NOT_JSON) from error
        if envelope.CONTENT_ENCODING in message.headers or size is None:
            return self.decoded_bytes
        return min(size, self.decoded_bytes)

    def small_content(self, message: PulledMessage) -> bytes | None:
        """Return a body without its content encoding; None where that comes to more than a little.

        Raises:
            CutFailed: where the body is not of its encoding, or comes to more than it may.
        """
        if envelope.PACKED in message.headers:
            return None
        if envelope.CONTENT_ENCODING not in message.headers:
            return message.data
        most = min(QUICK_BYTES, self.decoded_bytes)
        try:
            return _decoded(message.data, message, most)
        except CutFailed as failed:
            if failed.reason is InvalidReason.EXPANDS_TOO_FAR and most < self.decoded_bytes:
                return None
            raise

    async def content(self, webhook: Webhook) -> bytes:
        """Return a body unpacked and without its content encoding; raises CutFailed.

        In a thread: it takes up to a millisecond for each MiB that comes out.
        """
        message, most = webhook.message, self.decoded_bytes

        def work() -> tuple[bytes, bytes]:
            sent = _unpacked(message, most)
            return sent, _decoded(sent, message, most)

        webhook.sent, body = await asyncio.to_thread(work)
        return body

    def quick_parts(self, webhook: Webhook, body: bytes, endpoint: ProcessorEndpoint) -> list[Part]:
        """Return the parts of a body that is quick to cut, in their order; raises CutFailed."""
        try:
            return self._quick_parts(webhook, body, endpoint)
        except CutFailed:
            raise
        except Exception as error:
            raise _failed(error) from error

    def _quick_parts(
        self, webhook: Webhook, body: bytes, endpoint: ProcessorEndpoint
    ) -> list[Part]:
        message = webhook.message
        body_format = provider_of(endpoint.provider).body_format
        items = list(_items(message, _read(body), body_format, _sha256(webhook, body_format)))
        if not items:
            raise CutFailed(InvalidReason.NO_ENVELOPE)
        if len(items) > self._limits_for(message).items:
            raise CutFailed(InvalidReason.TOO_MANY_ITEMS)
        return list(_parts_of(webhook, items, items, endpoint))

    def parts(
        self, webhook: Webhook, body: bytes, endpoint: ProcessorEndpoint
    ) -> Generator[Part | None, None, None]:
        """Yield a webhook's parts in their order, and None where others may have their turn.

        Raises:
            CutFailed: where the body is to be set aside.
        """
        try:
            yield from self._parts(webhook, body, endpoint)
        except CutFailed:
            raise
        except Exception as error:
            raise _failed(error) from error

    def _parts(
        self, webhook: Webhook, body: bytes, endpoint: ProcessorEndpoint
    ) -> Generator[Part | None, None, None]:
        message = webhook.message
        limits = self._limits_for(message)
        body_format = provider_of(endpoint.provider).body_format
        reading = yield from self._reading(body, body_format, limits)
        digest = _sha256(webhook, body_format)
        yield None
        survey = BodySurvey(len(body), limits)
        found: list[Item] | None = None
        if body.count(b",") <= QUICK_COMMAS:
            # So few that they may be held, and come to no more than the smallest bound.
            found = []
            for item in _items(message, reading, body_format, digest):
                survey.count(item)
                found.append(item)
                yield None
        else:
            for item in _items(message, reading, body_format, digest):
                survey.count(item, len(encode_item(item)))
                yield None
        if not survey.items:
            raise CutFailed(InvalidReason.NO_ENVELOPE)
        items = found or _items(message, reading, body_format, digest)
        yield from _parts_of(webhook, items, survey.samples, endpoint)

    def _limits_for(self, message: PulledMessage) -> BodyLimits:
        """Return the limits, or what a person put in their place for this body."""
        lifted = message.headers.get(envelope.MAX_ITEMS)
        if lifted is None:
            return self._limits
        if not lifted.isdecimal():
            return self._limits
        return self._limits._replace(items=int(lifted), expansion=0, values=0)

    def _reading(
        self, body: bytes, body_format: BodyFormat, limits: BodyLimits
    ) -> Generator[None, None, Reading]:
        if not body_format.is_one_item:
            yield from self._check_values(body, limits)
        if len(body) < SLICED_BYTES:
            return _read(body)
        try:
            try:
                if body_format.is_one_item:
                    # It is passed on as it stands.
                    whole = _WHOLE(body)
                    yield None
                    body.decode()  # which the decoder did not decode
                    return Reading(whole, repaired=False)
                return Reading((yield from read_in_slices(body)), repaired=False)
            except (msgspec.DecodeError, UnicodeDecodeError):
                yield None
            return (yield from reading_damaged(body, read_in_slices))
        except (UnreadableBody, RecursionError) as error:
            raise CutFailed(InvalidReason.NOT_JSON) from error

    def _check_values(self, body: bytes, limits: BodyLimits) -> Generator[None, None, None]:
        most = limits.values
        if not most or len(body) <= most or not (yield from may_hold_more(body, most)):
            return
        if (yield from count_values(body)) > most:
            raise CutFailed(InvalidReason.TOO_MANY_VALUES)


def _failed(error: Exception) -> CutFailed:
    """Return for what reason a body is set aside: a parser's fault must never cost a webhook."""
    if isinstance(error, UnreadableBody):
        return CutFailed(InvalidReason.NO_ENVELOPE)
    return CutFailed(InvalidReason.CRASHED, place_of(error))


def _sha256(webhook: Webhook, body_format: BodyFormat) -> str:
    """Return the hash of a body in hex, where it can be part of a key."""
    return hashlib.sha256(webhook.sent).hexdigest() if body_format.is_one_item else ""


def _unpacked(message: PulledMessage, most: int) -> bytes:
    """Return a body as it was sent; raises CutFailed."""
    try:
        return unpacked(message.data, message.headers, most)
    except ExpandsTooFar as error:
        raise CutFailed(InvalidReason.EXPANDS_TOO_FAR) from error
    except UnreadableBody as error:
        raise CutFailed(InvalidReason.NOT_JSON) from error


def _decoded(sent: bytes, message: PulledMessage, most: int) -> bytes:
    """Return a body without its content encoding; raises CutFailed."""
    encoding = message.headers.get(envelope.CONTENT_ENCODING, "")
    try:
        return decode_body(sent, encoding, most)
    except ExpandsTooFar as error:
        raise CutFailed(InvalidReason.EXPANDS_TOO_FAR) from error
    except UnreadableBody as error:
        raise CutFailed(InvalidReason.NOT_JSON) from error


def _read(body: bytes) -> Reading:
    try:
        return read_json(body)
    except (UnreadableBody, RecursionError) as error:
        raise CutFailed(InvalidReason.NOT_JSON) from error


def _received_at(message: PulledMessage) -> float:
    return envelope.received_millis(message.headers) / 1000


def _items(
    message: PulledMessage, reading: Reading, body_format: BodyFormat, digest: str
) -> Iterator[Item]:
    return body_format.cut(
        reading.document,
        body_sha256=digest,
        received_at=_received_at(message),
        event_id=message.headers.get(envelope.EVENT_ID),
        repaired=reading.repaired,
    )


def _parts_of(
    webhook: Webhook, items: Iterable[Item], samples: Sequence[Item], endpoint: ProcessorEndpoint
) -> Iterator[Part]:
    """Make parts of a webhook's items, and one of the whole where any destination wants that.

    `samples` are what filters compare: at least one item of each kind and channel.
    """
    message, whole = webhook.message, None
    if is_body_wanted(endpoint, ((item.kind, item.channel) for item in samples)):
        whole = body_item(webhook.sent, message.headers, samples, _received_at(message))
    token = None if whole is None else whole.token
    for item in items:
        yield Part(webhook, item, item.lane, encode_item(item), token)
    if whole is not None:
        yield Part(webhook, whole, lane_of_items(samples), encode_item(whole), None)
