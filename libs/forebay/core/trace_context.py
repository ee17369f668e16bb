"""W3C Trace Context (`traceparent`, version 00): read, written, and found in stored headers.

Pure. A value that is not exactly of the standard's form is none at all: it can come from anybody.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from forebay.core import envelope

__all__ = ["TraceContext", "context_of", "is_traceparent", "parse_traceparent", "trace_id_of"]

_FORM: Final = re.compile(
    r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII
)
"""Ids of zeros are no ids (W3C Trace Context, 3.2.2)."""

_SAMPLED: Final = 1
"""The flag by which whoever sends it says that it records the trace."""


class TraceContext(NamedTuple):
    """Which trace something belongs to, and below which span."""

    trace_id: str
    """32 hex digits, not all of them 0."""

    span_id: str
    """16 hex digits, not all of them 0."""

    is_sampled: bool

    @property
    def header(self) -> str:
        """As it stands in `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.is_sampled else '00'}"


def is_traceparent(text: str) -> bool:
    """Say whether a text is a `traceparent` that can be used; 0.3 microseconds."""
    return _FORM.fullmatch(text) is not None


def parse_traceparent(text: str | None) -> TraceContext | None:
    """Return what a `traceparent` says; None where it says nothing that can be used."""
    found = None if text is None else _FORM.fullmatch(text)
    if found is None:
        return None
    trace_id, span_id, flags = found.groups()
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def context_of(headers: Mapping[str, str], destination: str) -> TraceContext | None:
    """Return the context of a stored item on its way to a destination.

    A replay has a trace of its own, for it can come weeks after its webhook. Its ids follow from
    the dead letter and the destination, so that whoever tries it, and tries it again, has the same
    ones without storing anything. It is a person's wish, and counts as sampled.
    """
    replay_of = headers.get(envelope.REPLAY_OF)
    if replay_of is None:
        return parse_traceparent(headers.get(envelope.TRACEPARENT))
    digits = hashlib.sha256(f"{replay_of} {destination}".encode()).hexdigest()
    return TraceContext(digits[:32], digits[32:48], is_sampled=True)


def trace_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the trace of a stored webhook or item, for its lines in the log; None without one."""
    context = parse_traceparent(headers.get(envelope.TRACEPARENT))
    return None if context is None else context.trace_id
