"""Messages on their way to JetStream: what is sent, who waits for the answer, and what it says."""

import abc
import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from typing_extensions import override

from forebay.core.subjects import stream_of
from forebay.runtime.jetstream.errors import (
    ClaimedBefore,
    ForeignAnswer,
    SequenceMismatch,
    StoreError,
    StoreUnavailable,
    StreamMissing,
    store_error,
)
from forebay.runtime.jetstream.nats_wire import encode_headers

__all__ = [
    "AwaitedPublish",
    "BatchPublish",
    "Message",
    "PendingPublish",
    "PubAck",
    "PublishBatch",
    "pub_ack",
]

Message = tuple[str, bytes, Mapping[str, str]]
"""Subject, payload and headers."""


class PubAck(msgspec.Struct):
    """JetStream's answer to a publish: stored, or stored before (`duplicate`).

    Whoever listens on a subject can answer, so `pub_ack` accepts the subject's own stream only.
    """

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: dict[str, Any] | None = None


class PendingPublish(abc.ABC):
    """A message on its way to JetStream; what is sent says in `answered` what follows.

    One object a message and no closures: two of those that know each other are a cycle, which the
    garbage collector would have to find for every message.
    """

    __slots__ = ("deadline", "headers", "payload", "stream", "subject")

    def __init__(  # what is sent, and what counts as its answer
        self, subject: str, payload: bytes, headers: bytes, deadline: float, stream: str
    ) -> None:
        self.subject = subject
        self.payload = payload
        self.headers = headers
        """A header block, as `encode_headers` makes it."""

        self.deadline = deadline
        """On the loop's clock: an answer that did not come by then is given up."""

        self.stream = stream
        """The one that has to answer; another's answer is none."""

    @abc.abstractmethod
    def answered(self, result: PubAck | StoreError) -> None:
        """Take the outcome; called once for each time that it is submitted."""

    @property
    def is_sent_again(self) -> bool:
        """Whether a failure was not its end: who waits for it has it submitted again."""
        return False


class AwaitedPublish(PendingPublish):
    """A message whose answer somebody awaits."""

    __slots__ = ("future",)

    def __init__(self, subject: str, payload: bytes, headers: bytes, deadline: float) -> None:
        super().__init__(subject, payload, headers, deadline, stream_of(subject))
        self.future: asyncio.Future[PubAck] = asyncio.get_running_loop().create_future()

    @override
    def answered(self, result: PubAck | StoreError) -> None:
        if self.future.done():
            return
        if isinstance(result, StoreError):
            self.future.set_exception(result)
        else:
            self.future.set_result(result)


class PublishBatch:
    """Messages whose answers somebody awaits together: no future and no callback for each."""

    __slots__ = ("all_answered", "left", "results")

    def __init__(self, count: int) -> None:
        self.left = count
        self.results: list[PubAck | StoreError] = [StoreUnavailable("not answered")] * count
        self.all_answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class BatchPublish(PendingPublish):
    """One of them."""

    __slots__ = ("_batch", "_place")

    def __init__(  # as `PendingPublish`, and where its answer belongs
        self, message: Message, deadline: float, batch: PublishBatch, place: int
    ) -> None:
        subject, payload, headers = message
        super().__init__(subject, payload, encode_headers(headers), deadline, stream_of(subject))
        self._batch = batch
        self._place = place

    @override
    def answered(self, result: PubAck | StoreError) -> None:
        batch = self._batch
        batch.results[self._place] = result
        batch.left -= 1
        if not batch.left and not batch.all_answered.done():
            batch.all_answered.set_result(None)


_DECODE: Final = msgspec.json.Decoder(PubAck).decode


_SHOWN: Final = 64
"""Characters of what a foreign answer says that are shown."""


def pub_ack(payload: bytes, stream: str) -> PubAck | StoreError:
    """Read JetStream's answer to a publish.

    Args:
        payload: The answer.
        stream: The one that has to give it: a stream of another name on the same subject, or any
            subscriber, would be accepted otherwise, and the message would be where nobody reads.
    """
    if not payload:
        # An empty answer with status 503: nobody listens on the subject.
        return StreamMissing("no stream takes this subject at the moment")
    try:
        ack = _DECODE(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ForeignAnswer(_SUBSCRIBER.format(stream))
    if ack.error is None:
        if ack.stream == stream and ack.seq > 0:
            return ack
    elif ack.stream == stream:
        return store_error(ack.error)
    elif not ack.stream:
        # Some troubles of the server name no stream; what says that something is there has to.
        error = store_error(ack.error)
        if not isinstance(error, ClaimedBefore | SequenceMismatch):
            return error
    if ack.stream in ("", stream):
        return ForeignAnswer(_SUBSCRIBER.format(stream))
    return ForeignAnswer(
        f"the stream {ack.stream[:_SHOWN]!r} takes what belongs to {stream}: remove it"
    )


_SUBSCRIBER: Final = (
    "a subscriber that is no stream answers what is sent to {}: find and remove it, for only "
    "Forebay's streams may answer on forebay.>"
)
