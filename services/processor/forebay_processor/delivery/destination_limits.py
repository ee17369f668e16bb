"""What stands before one destination: its limits, its share of its endpoint's, and its breaker.

`AttemptLimiter` says whether one more attempt may begin; here is how the tables set it up, and what
is notified when the breaker opens and closes.
"""

import math
from random import Random
from typing import Final, Protocol

from forebay.runtime.tracing import Tracer
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.delivery.batched_attempts import BatchedAttempts
from forebay_processor.delivery.circuit_breaker import CircuitBreaker
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.endpoint_limit import EndpointLimit
from forebay_processor.delivery.incidents import DestinationIncidents
from forebay_processor.destinations.kinds import KindLimits, limits_of
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["BATCH_ITEMS", "GONE_PLACES", "DestinationLimits"]

BATCH_ITEMS: Final = 1024
"""Items under way to a destination that takes batches, at most: as many as one may have requests
under way (`http.maxInFlight`), so that what they hold in memory is bounded as without batches."""

GONE_PLACES: Final = 16
"""Rows that are given up at a time: NATS only, no hurry."""


class OnBreakerChange(Protocol):
    """What is called when a breaker has opened or closed."""

    def __call__(self, *, is_open: bool) -> None:
        """Take notice; `is_open` where everything may go through."""


class DestinationLimits:
    """Lets attempts at one destination begin."""

    def __init__(
        self,
        incidents: DestinationIncidents,
        random: Random,
        time: StreamTime,
        on_change: OnBreakerChange,
        tracer: Tracer | None = None,
    ) -> None:
        self.incidents = incidents
        self.breaker = CircuitBreaker(random, time.steady)
        self._clock = time.steady
        self.breaker.on_change = self._breaker_changed
        self.attempts = AttemptLimiter(0, self.breaker)
        """The places for attempts: of one item each."""

        self.requests = AttemptLimiter(0)
        """The places for requests where one of them may be for several attempts."""

        self.batches = BatchedAttempts(self.requests, self.attempts.serve, tracer)
        self._on_change = on_change
        """Called when the breaker has opened, or closed: the destination is back."""

        self._settings = DestinationSettings()
        self._endpoint_limit: EndpointLimit | None = None
        self._counting = self.attempts
        """Those of the places that the destination's and the endpoint's limits are for."""

        self._members = 1
        """How many processors share the destination."""

    @property
    def is_open(self) -> bool:
        """Whether first attempts are made at all."""
        return self._settings.state is DestinationState.OPEN and self.breaker.is_closed

    @property
    def state(self) -> DestinationState:
        """What the tables say about the destination."""
        return self._settings.state

    @property
    def may_work(self) -> bool:
        """Whether what waits may be worked as fast as it goes: delivered, or given up for good."""
        return self.is_open or self.state in {DestinationState.REMOVED, DestinationState.DELETED}

    def configure(self, settings: DestinationSettings) -> None:
        """Take new settings; the breaker begins anew where the destination's own have changed."""
        before, self._settings = self._settings, settings
        if settings.config is not None:
            self.breaker.retry = settings.config.retry
        self._limit()
        is_resumed = (before.state, settings.state) == (
            DestinationState.PAUSED,
            DestinationState.OPEN,
        )
        if settings.config != before.config or is_resumed:
            self.breaker.reset()

    def probe_now(self) -> bool:
        """Let an open breaker's next attempt begin at once; returns whether it had to wait."""
        is_early = self.breaker.probe_now()
        if is_early:
            self.attempts.serve_anew()
        return is_early

    def close_breaker(self) -> bool:
        """Begin anew with the breaker, as with new settings; returns whether it was open."""
        was_open = not self.breaker.is_closed
        self.breaker.reset()
        return was_open

    def share(self, members: int) -> None:
        """Take no more of the limits than is fair among so many processors."""
        self._members = members
        self._limit()

    def _limit(self) -> None:
        config = self._settings.config
        limits = KindLimits() if config is None else limits_of(config.target)
        # What a destination can take, and what the endpoint may ask of it, is counted in requests.
        counting = self.attempts if limits.batch is None else self.requests
        endpoint_limit = self._settings.endpoint_limit if limits.is_of_endpoint else None
        if endpoint_limit is not self._endpoint_limit or counting is not self._counting:
            self._endpoint_limit, self._counting = endpoint_limit, counting
            self.attempts.take_part_in(None if limits.batch is None else self.batches)
            self.requests.take_part_in(None)
            if endpoint_limit is not None:
                counting.take_part_in(endpoint_limit.join(counting.serve))
        counting.limit_rate(limits.rate_per_second / self._members, self._clock)
        if limits.batch is not None:
            self.batches.settings = limits.batch
            self.attempts.limit_rate(0, self._clock)
            items = min(limits.in_flight * limits.batch.max_items, BATCH_ITEMS)
            self.attempts.resize(math.ceil(items / self._members))
        if config is not None:
            counting.resize(math.ceil(limits.in_flight / self._members))
        elif self._settings.state is not DestinationState.UNKNOWN:
            self.attempts.resize(GONE_PLACES)

    def _breaker_changed(self) -> None:
        breaker = self.breaker
        is_open = not breaker.is_closed
        self.incidents.breaker_changed(
            breaker.shown, breaker.reason, self._clock() + breaker.wait, is_open=is_open
        )
        self.attempts.serve_anew()
        self._on_change(is_open=not is_open)
