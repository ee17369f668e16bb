"""A trace as whoever stores traces has it, and the judge of a whole one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Seen", "Trace"]

SLACK = 0.005
"""Seconds: parts note times by calls of their own, and times are exported in microseconds."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One span."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty where it has none."""

    start: float
    """Seconds since the epoch."""

    end: float
    attributes: dict[str, object] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    """Trace and span that it links to."""

    is_error: bool = False


class Trace:
    """All spans of one trace."""

    def __init__(self, spans: Iterable[Seen]) -> None:
        self.spans = sorted(spans, key=lambda span: (span.start, span.end))

    def named(self, name: str, **attributes: object) -> list[Seen]:
        """Return the spans of a name that have these attributes of Forebay's, in time."""
        wanted = {f"forebay.{key}": value for key, value in attributes.items()}
        return [
            span
            for span in self.spans
            if span.name == name and wanted.items() <= span.attributes.items()
        ]

    def one(self, name: str, **attributes: object) -> Seen:
        """Return the one span of a name with these attributes."""
        (span,) = self.named(name, **attributes)
        return span

    def below(self, parent: Seen) -> list[Seen]:
        """Return the spans right below another one, in time."""
        return [span for span in self.spans if span.parent_id == parent.span_id]

    def judge(self) -> None:
        """Assert that ids are unique, all parents are there, and that causes come before effects.

        A child can end after its parent: a webhook is answered before it is split.
        """
        by_id = {span.span_id: span for span in self.spans}
        assert len(by_id) == len(self.spans)
        assert len({span.trace_id for span in self.spans}) == 1
        for span in self.spans:
            assert span.start <= span.end, span
            if span.parent_id:
                assert span.parent_id in by_id, f"nobody is above {span.name}"
                assert by_id[span.parent_id].start <= span.start + SLACK, span
