"""What the log says of messages in Forebay's streams that count for nothing: counted, as all is.

Whoever may publish to the streams can store a thousand such a second, and a processor that stood
still leaves as many rows. They are passed over or deleted; the log says where, and which came last.
"""

from collections.abc import Callable
from typing import Literal

import structlog

from forebay.runtime.log_once import LimitedLog

__all__ = ["StrayLog"]

_log = structlog.get_logger(__name__)

_Kind = Literal["subject", "row", "void"]


class StrayLog:
    """All such messages of a process; for RAW, and for EVENTS and RETRY, there is one each."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            clock: Seconds that never go back.
        """
        self._lines = LimitedLog(_write, clock)

    def subject(self, stream: str, sequence: int) -> None:
        """Note a message with a subject that no part writes; `stream` is `raw` or `events`."""
        self._lines.note(("subject", stream), sequence)

    def row(self, shard: str, sequence: int) -> None:
        """Note a row of RETRY that no part writes."""
        self._lines.note(("row", shard), sequence)

    def void(self, shard: str, sequence: int) -> None:
        """Note a row that is deleted, for who stored it did not own its partition any more."""
        self._lines.note(("void", shard), sequence)

    def settle(self, *, everything: bool = False) -> None:
        """Log what is due though nothing else comes; at the process's end, everything."""
        self._lines.settle(everything=everything)


def _write(key: tuple[_Kind, str], count: int, sequence: int) -> None:
    kind, where = key
    match kind:
        case "subject":
            _log.error("subject_unreadable", stream=where, sequence=sequence, count=count)
        case "row":
            _log.error("row_unreadable", shard=where, seq=sequence, count=count)
        case "void":
            _log.info("void_row_deleted", shard=where, seq=sequence, count=count)
