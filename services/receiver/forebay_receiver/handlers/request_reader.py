"""Reads a connection: how many bytes at once, up to which limits, and when others have their turn.

Every byte counts, into the head's limits, the body's, or the framing's. The limits are checked
every `SLICE_BYTES`, in the middle of a read too. While a read that takes long leaves others their
turn, while many requests wait, and while the client does not read its answers, no more is read.
"""

import abc
import asyncio
from time import perf_counter

import httptools
from typing_extensions import override

from forebay_receiver.handlers.limits import (
    BACKLOG_LIMIT,
    FRAMING_LIMIT,
    HEAD_LIMIT,
    SLICE_BYTES,
    TURN_SECONDS,
)
from forebay_receiver.handlers.request import Request
from forebay_receiver.handlers.request_parser import RequestParser
from forebay_receiver.handlers.shared_connection_state import ConnectionRules
from forebay_receiver.outcomes import Reason

__all__ = ["RequestReader"]


class RequestReader(RequestParser):
    """The reading half of a connection; whoever answers is a subclass of it."""

    # For speed: each webhook reads nearly all of them.
    __slots__ = (
        "_backlog",
        "_fed_at_end",
        "_is_resting",
        "_is_unread",
        "_loop",
        "_rules",
        "_transport",
    )

    def __init__(self, rules: ConnectionRules) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(rules.intake, self._loop.time, rules.settings.max_body_bytes)
        self._rules = rules
        self._transport: asyncio.Transport | None = None
        self._backlog: bytes | memoryview = b""
        """What came and is not read yet, since others have their turn."""

        self._fed_at_end = 0
        """`_fed` at the end of the request before, or up to a slice later."""

        self._is_resting = False
        """Whether others have their turn before we read on."""

        self._is_unread = False
        """Whether the client does not read its answers."""

    @abc.abstractmethod
    def request_unfinished(self, request: Request) -> None:
        """Take notice that a request is half read, and may be late at some time."""

    @abc.abstractmethod
    def has_many_waiting(self) -> bool:
        """Say whether so many requests wait for the one before that no more is to be read."""

    @override
    def data_received(self, data: bytes | memoryview) -> None:
        """Take what came."""
        if self.has_ended:
            return
        size = len(data)
        if size > SLICE_BYTES or self._backlog:
            self._read_slices(data)
            return
        self._fed += size
        self._slice = size
        self._has_completed = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserUpgrade, httptools.HttpParserError) as stop:
            self._parse_on(data, stop)
        request = self.request
        if request is not None:
            self._check_limits(request)
        elif self._has_completed:
            self._fed_at_end = self._fed
        elif self._fed - self._fed_at_end > HEAD_LIMIT and not self.has_ended:
            # Blank lines, of which the parser says nothing.
            self.reject(Reason.MALFORMED)

    def _check_limits(self, request: Request) -> None:
        """See whether what is still missing of a request may come."""
        surely = self._fed - self._fed_at_start
        if request.rejection is not None:
            # Its body is not there: nobody will read it.
            self.fail(request.rejection)
        elif surely - request.size > HEAD_LIMIT + FRAMING_LIMIT * request.size:
            self.reject(Reason.MALFORMED)
        elif request.size > request.reserved and request.endpoint is not None:
            answer = self._intake.reserve(request.endpoint, request.size - request.reserved)
            if answer is not None:
                self.fail(answer)
                return
            request.reserved = request.size
            self.request_unfinished(request)
        else:
            self.request_unfinished(request)

    @override
    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        self._is_unread = True
        if self._transport is not None:
            self._transport.pause_reading()

    @override
    def resume_writing(self) -> None:
        """Read on."""
        self._is_unread = False
        self._resume()

    # -- turns

    def _read_slices(self, data: bytes | memoryview) -> None:
        """Read what came until our turn is over; the rest is read in later ones."""
        if self._backlog:
            data = b"".join((self._backlog, data))
            self._keep(b"")
        rules, left, until = self._rules, memoryview(data), perf_counter() + TURN_SECONDS
        while left and not self.has_ended:
            if (
                left.nbytes < len(data)
                and (self.has_many_waiting() or perf_counter() >= until)
                and rules.backlog_bytes + left.nbytes <= BACKLOG_LIMIT
            ):
                self._keep(left)
                if self._transport is not None:
                    self._transport.pause_reading()
                self._resume()
                return
            piece, left = left[:SLICE_BYTES], left[SLICE_BYTES:]
            self.data_received(piece)

    def _keep(self, backlog: bytes | memoryview) -> None:
        self._rules.backlog_bytes += len(backlog) - len(self._backlog)
        self._backlog = backlog

    def _rest(self) -> None:
        """Let others have their turn."""
        self._is_resting = True
        self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        self._is_resting = False
        backlog = self._backlog
        if backlog and not self._is_unread and not self.has_many_waiting():
            self._keep(b"")
            self._read_slices(backlog)
        self._resume()

    def _resume(self) -> None:
        """Read on, first what came already; not while there is a reason not to."""
        if self._is_resting or self._is_unread or self.has_many_waiting():
            return
        if self._backlog:
            self._rest()
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _read_backlog(self) -> None:
        """Read all that came: nothing more will."""
        while self._backlog and not self.has_ended:
            backlog = self._backlog
            self._keep(b"")
            for start in range(0, len(backlog), SLICE_BYTES):
                self.data_received(backlog[start : start + SLICE_BYTES])
