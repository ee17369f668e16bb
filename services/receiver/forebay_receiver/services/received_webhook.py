"""One webhook between its admission and its answer. For `intake` only.

If the process dies: see `intake`.
"""

from collections.abc import Callable
from typing import Protocol

from typing_extensions import override

from forebay.core.subjects import Lane
from forebay.runtime.jetstream.errors import StoreError
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_receiver.adapters.storing import Store, Storing
from forebay_receiver.services.answer import Answer
from forebay_receiver.services.request_traces import RequestTraces
from forebay_receiver.services.routes import ServedEndpoint

__all__ = ["ReceivedWebhook", "WebhookOwner"]


class WebhookOwner(Protocol):
    """Who let it in: `intake`."""

    store: Store
    budget_seconds: float
    clock: Callable[[], float]
    traces: RequestTraces | None

    def finished(self, webhook: "ReceivedWebhook", result: PubAck | StoreError) -> Answer:
        """Count what became of it, and return what to answer."""


class ReceivedWebhook(Storing):
    """One webhook that was let in, until it is answered."""

    __slots__ = (
        "_intake",
        "_reply",
        "endpoint",
        "given",
        "received",
        "size",
        "started",
        "trace",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # made in one place, for every webhook
        self,
        intake: WebhookOwner,
        endpoint: ServedEndpoint,
        lane: Lane,
        headers: bytes,
        payload: bytes,
        size: int,
        received: float,
        started: float,
        trace: str,
        given: bytes | None,
        reply: Callable[[Answer], None],
    ) -> None:
        # All of it here: two `super().__init__` would cost as much again.
        self._intake: WebhookOwner | None = intake
        self._reply = reply
        self.endpoint = endpoint
        self.started = started
        self.received = received
        self.begun = intake.clock()
        self.trace = trace
        self.given = given
        self.store = intake.store
        self.shard = endpoint.route.shard
        self.stream = endpoint.stream
        self.subject = endpoint.subjects[lane]
        self.payload = payload
        self.size = size
        self.headers = headers
        self.deadline = started + intake.budget_seconds

    @override
    def done(self, result: PubAck | StoreError) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:  # else it has ended: something failed in the middle of it
            self._reply(intake.finished(self, result))
            traces = intake.traces
            if traces is not None:
                now = intake.clock()
                # Asked here and not there: of a hundred webhooks it is called for one.
                if (
                    self.trace[-1] == "1"
                    or now - self.started > traces.slow_seconds
                    or isinstance(result, StoreError)
                ):
                    traces.finished(self, result, now)
