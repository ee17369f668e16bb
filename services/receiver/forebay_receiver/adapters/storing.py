"""A webhook on its way to the store, and the store as whoever lets it in knows it."""

import abc
from typing import Protocol

from typing_extensions import override

from forebay.core.subjects import stream_of
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pending_publish import PendingPublish, PubAck
from forebay_receiver.outcomes import Reason

__all__ = ["Store", "Storing"]


class Storing(PendingPublish):
    """One webhook on its way to the store; whoever stores one says in `done` what follows."""

    __slots__ = ("begun", "shard", "store")

    def __init__(  # noqa: PLR0913, PLR0917  # all that is stored
        self,
        store: "Store",
        shard: str,
        subject: str,
        body: bytes,
        headers: bytes,
        begun: float,
        deadline: float,
    ) -> None:
        super().__init__(subject, body, headers, deadline, stream_of(subject))
        self.store = store
        self.shard = shard
        self.begun = begun
        """When it was let in, on the loop's clock: right before it is published."""

    @abc.abstractmethod
    def done(self, result: PubAck | StoreError) -> None:
        """Take the outcome; called once."""

    @override
    def answered(self, result: PubAck | StoreError) -> None:
        """Let the store learn from JetStream's answer."""
        self.store.take_answer(self, result)

    @property
    @override
    def is_sent_again(self) -> bool:
        return self.store.is_waiting(self)


class Store(Protocol):
    """Where webhooks are kept."""

    @property
    def max_body_bytes(self) -> int:
        """The largest body that the store can take at this moment."""

    def rejection(self, shard: str) -> Reason | None:
        """Return why storing is not worth a try, so that the answer is 503 at once; else None."""

    def store(self, webhook: Storing) -> None:
        """Store a webhook and report to it; inside this call where the outcome is known at once."""

    def take_answer(self, webhook: Storing, result: PubAck | StoreError) -> None:
        """Learn from an answer, or from its absence, and pass it on to the webhook."""

    def is_waiting(self, webhook: Storing) -> bool:
        """Say whether a webhook that failed is going to be published again."""
