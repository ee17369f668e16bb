"""What the log says of bodies that cannot be split: a line for each reason now and again, counted.

Anybody whose endpoint it is can send a thousand such bodies a second. Each is kept, in the lane
`invalid`; the log needs to say that there are some, where, why, and which was the latest.
"""

from collections.abc import Callable

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.log_once import LimitedLog
from forebay_processor.shared.ignored_message_log import StrayLog

__all__ = ["BodyLog"]

_log = structlog.get_logger(__name__)

_Unreadable = tuple[EndpointName, str]
"""The endpoint, and why."""

_Body = tuple[int, str | None]
"""The sequence in RAW of a webhook, and its trace."""


class BodyLog:
    """All bodies of a process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            clock: Seconds that never go back.
        """
        self._unreadable = LimitedLog(_log_unreadable, clock)
        self._crashed = LimitedLog(_log_crashed, clock)
        self._too_large = LimitedLog(_log_too_large, clock)
        self.strays = StrayLog(clock)
        """Messages of RAW that are no bodies."""

    def unreadable(
        self, endpoint: EndpointName, reason: str, raw_sequence: int, trace_id: str | None = None
    ) -> None:
        """Note a body that is set aside; `reason` is the value of its header."""
        self._unreadable.note((endpoint, reason), (raw_sequence, trace_id))

    def crashed(self, endpoint: EndpointName, raw_sequence: int, place: str) -> None:
        """Note a body that could not be cut by a fault of our own; `place` says where."""
        self._crashed.note(endpoint, (raw_sequence, place))

    def too_large(self, endpoint: EndpointName, raw_sequence: int, size: int) -> None:
        """Note an item of so many bytes, which NATS does not take."""
        self._too_large.note(endpoint, (raw_sequence, size))

    def settle(self, *, everything: bool = False) -> None:
        """Log what is due though nothing else comes; at the process's end, everything."""
        self.strays.settle(everything=everything)
        self._unreadable.settle(everything=everything)
        self._crashed.settle(everything=everything)
        self._too_large.settle(everything=everything)


def _log_unreadable(key: _Unreadable, count: int, body: _Body) -> None:
    (endpoint, reason), (raw_sequence, trace_id) = key, body
    _log.warning(
        "body_unreadable",
        endpoint=str(endpoint),
        raw_sequence=raw_sequence,
        reason=reason,
        count=count,
        trace_id=trace_id,
    )


def _log_crashed(endpoint: EndpointName, count: int, latest: tuple[int, str]) -> None:
    raw_sequence, place = latest
    _log.error(
        "split_crashed",
        endpoint=str(endpoint),
        raw_sequence=raw_sequence,
        error=place,
        count=count,
    )


def _log_too_large(endpoint: EndpointName, count: int, latest: tuple[int, int]) -> None:
    raw_sequence, size = latest
    _log.error(
        "item_too_large",
        endpoint=str(endpoint),
        raw_sequence=raw_sequence,
        bytes=size,
        count=count,
    )
