"""One attempt at one destination: what is handed to it, what came of it, what is counted."""

import time
from collections.abc import Mapping

import msgspec

from forebay.core import envelope
from forebay.core.body_item import BODY_KIND
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem, decode_item
from forebay.core.errors import ForebayError
from forebay.core.index_records import IndexOutcome
from forebay.core.item_kinds import KIND_LANES
from forebay.core.subjects import REPLAY, Lane, RetrySubject
from forebay.core.trace_context import is_traceparent
from forebay.runtime.fault_place import place_of
from forebay_processor.delivery.circuit_breaker import BreakerState
from forebay_processor.delivery.delivery_traces import begin_attempt
from forebay_processor.delivery.destination_limits import DestinationLimits
from forebay_processor.delivery.destination_settings import DestinationSettings
from forebay_processor.delivery.resting_expressions import RestingExpressions
from forebay_processor.delivery.transforms import transformed
from forebay_processor.destinations.kinds import limits_of
from forebay_processor.destinations.port import (
    Attempt,
    BatchPort,
    Delivered,
    DestinationPort,
    Failed,
    Rejected,
    Result,
)
from forebay_processor.destinations.result_labels import answer_class
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.partition_view import Partition
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["Attempts", "attempt_of"]


def attempt_of(
    subject: RetrySubject,
    item: StoredItem,
    headers: Mapping[str, str],
    own_channel: str | None,
    number: int,
) -> Attempt:
    """Return what is handed to a destination, by what is stored of an item.

    Args:
        subject: Its row in RETRY, if it has one: whose item it is, and for which destination.
        item: The item.
        headers: Its headers.
        own_channel: The endpoint's phone number id; None where it has none.
        number: Which attempt it is, from 1 on.
    """
    given = headers.get(envelope.TRACEPARENT, "")
    return Attempt(
        endpoint=subject.endpoint,
        destination=subject.destination,
        # A replayed row has no lane; the item is in the one that it was in before.
        lane=(KIND_LANES.get(item.kind, Lane.BULK) if subject.lane == REPLAY else subject.lane),
        token=subject.key,
        conversation=subject.conversation,
        item=item,
        number=number,
        received_at=envelope.received_millis(headers) / 1000,
        # It can come from anybody who may publish, and goes into a header of a request.
        traceparent=given if is_traceparent(given) else "",
        other_channel=bool(own_channel and item.channel and item.channel != own_channel),
        superseded=envelope.SUPERSEDED in headers,
    )


class Attempts:
    """Makes the attempts of one channel; who may make one, and when, is the channel's business."""

    def __init__(
        self,
        endpoint: EndpointName,
        name: str,
        metrics: ProcessorMetrics,
        limits: DestinationLimits,
        time: StreamTime,
    ) -> None:
        self.settings = DestinationSettings()
        self.incidents = limits.incidents
        self._batches = limits.batches
        self._breaker = limits.breaker
        self._endpoint = endpoint
        self._name = name
        self._metrics = metrics
        self._time = time
        self._resting = RestingExpressions(time.steady)

    @property
    def successes(self) -> int:
        """How many attempts got through."""
        return self._breaker.successes

    @property
    def blocked_seconds(self) -> float:
        """Seconds until the breaker lets one begin; 0 while one is under way."""
        is_probing = self._breaker.state is BreakerState.HALF_OPEN
        return 0.0 if is_probing else self._breaker.wait

    async def make(
        self,
        partition: Partition,
        subject: RetrySubject,
        payload: bytes,
        headers: dict[str, str],
        number: int,
        failed_after: int | None = None,
    ) -> Result:
        """Try to deliver an item of a partition; never raises.

        Args:
            partition: Whose item it is.
            subject: Its row in RETRY, if it has one.
            payload: The item.
            headers: Its headers.
            number: Which attempt it is, from 1 on.
            failed_after: `successes` when it failed before; None where it did not fail here.
        """
        port = self.settings.port
        if port is None:
            return Failed("destination removed")
        try:
            item = decode_item(payload)
        except ForebayError:
            return Rejected("unreadable item")
        attempt = attempt_of(subject, item, headers, self.settings.own_channel, number)
        config = self.settings.config
        if config is not None and config.transform:
            made = transformed(config.transform, attempt, self._resting)
            if not isinstance(made, Attempt):
                self._record(subject, item, made, number, 0.0)
                return made
            attempt = made
        return await self._make(port, partition, subject, attempt, headers, failed_after)

    async def _make(
        self,
        port: DestinationPort,
        partition: Partition,
        subject: RetrySubject,
        attempt: Attempt,
        headers: dict[str, str],
        failed_after: int | None,
    ) -> Result:
        """Make an attempt of which it is known what is handed over; see `make`."""
        item, number, received_at = attempt.item, attempt.number, attempt.received_at
        tracer = self._metrics.tracer
        trace = None if tracer is None else begin_attempt(tracer, headers, self._name, number)
        if trace is not None:
            attempt = msgspec.structs.replace(attempt, request_traceparent=trace.header)
        generation = self._breaker.generation
        began = self._time.steady()
        try:
            result = await self._deliver(port, attempt, partition)
        except Exception as error:  # noqa: BLE001  # a fault of ours must not cost an item
            self.incidents.crashed(place_of(error))
            result = Failed(f"crashed: {type(error).__name__}")
        seconds = self._time.steady() - began
        self._breaker.note(subject.key, result, generation, failed_after)
        ended = type(result).__name__.lower()
        self._metrics.attempt(self._endpoint, self._name, ended, answer_class(result), seconds)
        self._record(subject, item, result, number, seconds)
        if not isinstance(result, Failed):
            self.incidents.got_through()
        took = None
        if isinstance(result, Delivered):
            # The receiver's clock can be ahead.
            took = max(0.0, self._time.now() - received_at)
            self._metrics.delivered(self._endpoint, self._name, took)
        if trace is not None:
            recorded = trace.ended(
                self._endpoint, self._name, self.settings.config, subject, result, seconds
            )
            if recorded is not None:
                self._metrics.traced(seconds, took, recorded, time.time())
        return result

    def _record(
        self,
        subject: RetrySubject,
        item: StoredItem,
        result: Result,
        number: int,
        seconds: float,
    ) -> None:
        index = self._metrics.index
        if index is None:
            return
        outcome, why, said = IndexOutcome.DELIVERED, "", ""
        if not isinstance(result, Delivered):
            outcome = IndexOutcome.FAILED if isinstance(result, Failed) else IndexOutcome.REJECTED
            why, said = result.error, result.said
        index.handled(
            subject, item.kind, item.key, item.channel, outcome, number, seconds, why, said
        )

    def due(self, subject: RetrySubject, moment: float) -> None:
        """Say when an attempt that has just failed is repeated, on the steady clock."""
        if self._metrics.index is not None:
            self._metrics.index.due(subject, self._time.to_streams(moment))

    async def _deliver(
        self, port: DestinationPort, attempt: Attempt, partition: Partition
    ) -> Result:
        config = self.settings.config
        if config is None or limits_of(config.target).batch is None:
            return await port.deliver(attempt)
        assert isinstance(port, BatchPort)  # noqa: S101  # as its kind's limits say
        # A whole webhook stays one, though the destination is for events by now.
        is_alone = attempt.item.kind == BODY_KIND
        return await self._batches.deliver(attempt, port, partition, is_alone=is_alone)
