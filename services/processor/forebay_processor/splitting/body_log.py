"""What the log says of bodies that cannot be split: a line for each reason now and again, counted.

Anybody whose endpoint it is can send a thousand such bodies a second. Each is kept, in the lane
`invalid`; the log needs to say that there are some, where, why, and which was the latest.
"""

from collections.abc import Callable

import structlog

from forebay.core.naming import EndpointName
from forebay.runtime.log_once import LogLimit
from forebay_processor.shared.stray_log import StrayLog

__all__ = ["BodyLog"]

_log = structlog.get_logger(__name__)

_Body = tuple[int, str | None]
"""The sequence in RAW of a webhook, and its trace."""


class BodyLog:
    """All bodies of a process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            clock: Seconds that never go back.
        """
        self._unreadable = LogLimit[tuple[EndpointName, str], _Body](clock=clock)
        self._crashed = LogLimit[EndpointName, tuple[int, str]](clock=clock)
        self._too_large = LogLimit[EndpointName, tuple[int, int]](clock=clock)
        self.strays = StrayLog(clock)
        """Messages of RAW that are no bodies."""

    def unreadable(
        self, endpoint: EndpointName, reason: str, raw_sequence: int, trace_id: str | None = None
    ) -> None:
        """Note a body that is set aside; `reason` is the value of its header."""
        if count := self._unreadable.count((endpoint, reason), (raw_sequence, trace_id)):
            _log_unreadable(endpoint, reason, count, (raw_sequence, trace_id))

    def crashed(self, endpoint: EndpointName, raw_sequence: int, place: str) -> None:
        """Note a body that could not be cut by a fault of our own; `place` says where."""
        if count := self._crashed.count(endpoint, (raw_sequence, place)):
            _log_crashed(endpoint, count, raw_sequence, place)

    def too_large(self, endpoint: EndpointName, raw_sequence: int, size: int) -> None:
        """Note an item of so many bytes, which NATS does not take."""
        if count := self._too_large.count(endpoint, (raw_sequence, size)):
            _log_too_large(endpoint, count, raw_sequence, size)

    def settle(self, *, everything: bool = False) -> None:
        """Log what is due though nothing else comes; at the process's end, everything."""
        self.strays.settle(everything=everything)
        for (endpoint, reason), count, body in self._unreadable.late(everything=everything):
            _log_unreadable(endpoint, reason, count, body)
        for endpoint, count, (raw_sequence, place) in self._crashed.late(everything=everything):
            _log_crashed(endpoint, count, raw_sequence, place)
        for endpoint, count, (raw_sequence, size) in self._too_large.late(everything=everything):
            _log_too_large(endpoint, count, raw_sequence, size)


def _log_unreadable(endpoint: EndpointName, reason: str, count: int, body: _Body) -> None:
    raw_sequence, trace_id = body
    _log.warning(
        "body_unreadable",
        endpoint=str(endpoint),
        raw_sequence=raw_sequence,
        reason=reason,
        count=count,
        trace_id=trace_id,
    )


def _log_crashed(endpoint: EndpointName, count: int, raw_sequence: int, place: str) -> None:
    _log.error(
        "split_crashed",
        endpoint=str(endpoint),
        raw_sequence=raw_sequence,
        error=place,
        count=count,
    )


def _log_too_large(endpoint: EndpointName, count: int, raw_sequence: int, size: int) -> None:
    _log.error(
        "item_too_large",
        endpoint=str(endpoint),
        raw_sequence=raw_sequence,
        bytes=size,
        count=count,
    )
