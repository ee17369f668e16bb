"""Traces: when they are on, what is sampled, where spans go. Off, a part has no `Tracer` at all.

Spans are made afterwards, with explicit times, by whoever knows that they are wanted: on the way of
a webhook nothing is kept but its `traceparent`. Three things make a span wanted:

- the webhook was drawn at its receipt, one in `1 / ratio`: then all parts record all of it;
- something of it failed, or took long;
- it is tried again, or replayed.

The last two are known only where they happen, and whoever sees them records its own spans, under
the ids of the webhook: what was before them and went well was not kept and is missing then. They
are bounded by `always_per_second`: in an outage everything fails.

If the process dies, what it had not sent yet of its spans is lost, and nothing else.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from random import Random
from typing import Annotated, Final, Literal, NamedTuple, Protocol

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ConfigurationError
from forebay.core.trace_context import TraceContext

__all__ = [
    "Attributes",
    "Kind",
    "OtlpEndpoint",
    "SpanOutcome",
    "SpanRecord",
    "SpanSink",
    "TraceSettings",
    "Tracer",
    "endpoint_attributes",
    "message_attributes",
    "otlp_endpoint",
    "otlp_variable",
]

Attributes = Mapping[str, str | int | float | bool]
Kind = Literal["server", "producer", "consumer", "client", "internal"]
SpanOutcome = Literal["exported", "failed", "dropped", "limited"]

CLOSE_SECONDS: Final = 3.0
"""At the end of a process, for the last spans to be sent."""


class TraceSettings(BaseSettings):
    """Which webhooks are traced.

    Where to is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT; without
    it nothing is traced.
    """

    model_config = SettingsConfigDict(env_prefix="FOREBAY_TRACES_", frozen=True)

    ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of webhooks that are traced whatever becomes of them, from 0 to 1."""

    slow_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """A request, or an attempt at a destination, that takes longer is always traced: the
    providers' own limit for nearly all requests."""

    drawn_per_second: Annotated[int, Field(ge=0)] = 20
    """Webhooks that one receiver draws in a second: at more than 2,000/s it traces less than 1 %,
    so that traces cost no more. What is above is counted. Raise it with the ratio."""

    always_per_second: Annotated[int, Field(ge=0)] = 20
    """Spans of what was not drawn (failed, slow, tried again, replayed) that one process records in
    a second, so that an outage costs no more than that; what is above is counted."""

    queue_spans: Annotated[int, Field(gt=0, le=100_000)] = 2048
    """Spans that wait in one process to be sent, 2 KiB each as they usually are and 16 KiB at most.
    What finds no room is dropped and counted."""

    trust_incoming: bool = False
    """Whether `traceparent` of a request is believed: then its trace goes on, sampled where it says
    so. Only behind a gateway that sets or removes it on every request. Otherwise each webhook
    begins a trace of its own, which links to the sender's."""


class OtlpEndpoint(NamedTuple):
    """That spans are sent, and how; the exporter itself reads where to."""

    protocol: Literal["grpc", "http/protobuf"]


def otlp_variable(environ: Mapping[str, str], name: str) -> str:
    """Return an exporter's variable, the one of traces before the common one; empty without."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}", "").strip()
    return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()


def otlp_endpoint(environ: Mapping[str, str]) -> OtlpEndpoint | None:
    """Return how spans are sent, by OpenTelemetry's variables; None where they are not.

    Raises:
        ConfigurationError: where the protocol is none that is known.
    """
    is_off = (
        environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none"
    )
    if is_off or not otlp_variable(environ, "ENDPOINT"):
        return None
    match otlp_variable(environ, "PROTOCOL"):
        case "" | "http/protobuf":
            return OtlpEndpoint("http/protobuf")
        case "grpc":
            return OtlpEndpoint("grpc")
        case _:
            message = "OTEL_EXPORTER_OTLP_PROTOCOL cannot be used: say grpc or http/protobuf"
            raise ConfigurationError(message)


class SpanRecord(NamedTuple):
    """One span, all of it over."""

    name: str
    kind: Kind
    context: TraceContext
    """Its own ids."""

    parent_id: str | None
    """The span above it in the same trace."""

    start: float
    """Seconds since the epoch."""

    end: float
    attributes: Attributes
    error: str | None = None
    """A kind of failure, never a text of somebody else's."""

    links: tuple[TraceContext, ...] = ()


def endpoint_attributes(endpoint: EndpointName) -> dict[str, str]:
    """Return what a span says of whose webhook it is about."""
    return {"forebay.namespace": endpoint.namespace, "forebay.endpoint": endpoint.name}


def message_attributes(
    operation: Literal["publish", "split", "deliver"], stream: str
) -> dict[str, str]:
    """Return what a span says of a message, by OpenTelemetry's conventions for messaging.

    Args:
        operation: What is done with it.
        stream: Where it is stored, or comes from.
    """
    return {
        "messaging.system": "nats",
        "messaging.operation.name": operation,
        "messaging.operation.type": "send" if operation == "publish" else "process",
        "messaging.destination.name": stream,
    }


class SpanSink(Protocol):
    """Where spans go."""

    def add(self, span: SpanRecord) -> None:
        """Take a span; never waits, and drops it where there is no room."""

    def counts(self) -> Mapping[SpanOutcome, int]:
        """Return how many were sent, could not be sent, and found no room."""

    def shutdown(self) -> None:
        """Send what is left; may take long."""


class _Allowance:
    """So many in a second, by the clock's seconds."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second = 0
        self._left = 0
        self.refused = 0

    def take(self) -> bool:
        """Say whether there is one left in this second; counted where there is none."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._left = second, self._per_second
        if self._left <= 0:
            self.refused += 1
            return False
        self._left -= 1
        return True


class Tracer:
    """Says what is recorded, and draws ids. Of the loop's thread only."""

    def __init__(
        self, settings: TraceSettings, sink: SpanSink, random: Random | None = None
    ) -> None:
        self.settings = settings
        self.slow_seconds = settings.slow_seconds
        self._ratio = settings.ratio
        self._sink = sink
        self._random = random or Random()  # noqa: S311  # ids are no secrets
        self._chance = self._random.random
        self._drawn = _Allowance(settings.drawn_per_second)
        self._always = _Allowance(settings.always_per_second)

    def draw_span_id(self) -> str:
        """Return a new id of a span: 16 hex digits, not all 0."""
        return f"{self._random.getrandbits(64) or 1:016x}"

    def draw_trace_id(self) -> str:
        """Return a new id of a trace: 32 hex digits, not all 0."""
        return f"{self._random.getrandbits(128) or 1:032x}"

    def draws(self) -> bool:
        """Draw whether a webhook is traced."""
        return self._chance() < self._ratio and self._drawn.take()

    def may_record(self) -> bool:
        """Say whether there is room in this second for one more span of what was not drawn."""
        return self._always.take()

    @staticmethod
    def now() -> float:
        """Return seconds since the epoch, by this machine's clock."""
        return time.time()

    def record(self, span: SpanRecord) -> None:
        """Have a span sent."""
        self._sink.add(span)

    def counts(self) -> Iterator[tuple[tuple[str], int]]:
        """Return how many spans came to what, for the metric."""
        limited = self._drawn.refused + self._always.refused
        for outcome, count in {**self._sink.counts(), "limited": limited}.items():
            yield (outcome,), count

    async def close(self) -> None:
        """Send what is left, for a moment at most."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shutdown() -> None:
            self._sink.shutdown()
            loop.call_soon_threadsafe(done.set)

        # Not in the loop's executor: its end would be waited for, however long an exporter takes.
        threading.Thread(target=shutdown, name="spans", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await done.wait()
        except TimeoutError:
            return
