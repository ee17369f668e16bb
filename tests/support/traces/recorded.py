"""A tracer whose spans stay in a list, and whose chance is the test's own."""

from collections.abc import Mapping
from random import Random

from typing_extensions import override

from forebay.runtime.tracing import SpanOutcome, SpanRecord, Tracer, TraceSettings

__all__ = ["RecordedSpans", "recording_tracer"]


class RecordedSpans:
    """Where spans go."""

    def __init__(self) -> None:
        self.spans: list[SpanRecord] = []

    def add(self, span: SpanRecord) -> None:
        """Keep it."""
        self.spans.append(span)

    def counts(self) -> Mapping[SpanOutcome, int]:
        """Return how many came."""
        return {"exported": len(self.spans)}

    def shutdown(self) -> None:
        """Nothing is left."""


class _Seeded(Tracer):
    """Ids by chance, though the same at every run."""

    @override
    @staticmethod
    def now() -> float:
        return 1_767_225_600.0


def recording_tracer(
    *,
    ratio: float = 0.0,
    drawn_per_second: int = 100_000,
    always_per_second: int = 1000,
    trust_incoming: bool = False,
) -> tuple[Tracer, RecordedSpans]:
    """Return a tracer and where its spans go."""
    spans = RecordedSpans()
    settings = TraceSettings(
        ratio=ratio,
        drawn_per_second=drawn_per_second,
        always_per_second=always_per_second,
        trust_incoming=trust_incoming,
    )
    return _Seeded(settings, spans, Random(7)), spans
