"""The contract of the webhook path, without the wire: route, method, size, credentials, store.

Whoever carries the bytes (`handlers.webhook_protocol`) asks `admit` before the body is read and
`receive` when it is there. What happens if the process dies:

- before the publish leaves: nothing is stored, nothing was answered, the provider sends again;
- after the publish, before the PubAck: it may be stored, nothing was answered; the provider sends
  again, and the stream's window or the claims in EVENTS know it;
- after the PubAck, before the answer: the same;
- after the answer: it is stored.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Final

from forebay.core.body_packing import packing
from forebay.core.signatures import hashing
from forebay.runtime.jetstream.errors import StoreError, StoreRefused
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_receiver.adapters.storing import Store
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.outcomes import BODY_UNREAD, STATUS_OF, Reason
from forebay_receiver.policies.served_requests import is_encoding_served
from forebay_receiver.services.answer import STORED, Answer
from forebay_receiver.services.large_body_scheduler import LARGE_BODY, LargeBodies, Work
from forebay_receiver.services.received_webhook import ReceivedWebhook
from forebay_receiver.services.refusal_log import RefusalLog
from forebay_receiver.services.request_traces import RequestTraces
from forebay_receiver.services.routes import Routes, ServedEndpoint
from forebay_receiver.services.store_reasons import reason_of
from forebay_receiver.services.stored_headers import (
    begin_message_id,
    event_id,
    passed_on,
    stored_headers,
)
from forebay_receiver.settings import ReceiverSettings

__all__ = ["Headers", "Intake"]

Headers = Mapping[bytes, bytes]
"""A request's headers by lower-case name."""

_LARGE: Final = 64 * 1024
"""Bytes of a body from which it is asked before whether NATS takes it. Were `max_payload` lower,
a smaller one would be refused when it is published."""

CHALLENGE_LIMIT: Final = 1024
"""Characters of a GET challenge; Meta's are about ten digits."""

RETRY_AFTER_SECONDS: Final = (1, 5)
"""A refused provider is asked to come back after a time drawn from here, so that all who were
refused together do not come back together."""


class Intake:
    """Decides what a request gets, and stores it."""

    def __init__(
        self,
        settings: ReceiverSettings,
        routes: Routes,
        store: Store,
        metrics: ReceiverMetrics,
        traces: RequestTraces | None = None,
    ) -> None:
        """Prepare.

        Args:
            settings: Its limits.
            routes: Which endpoints there are.
            store: Where webhooks go.
            metrics: Where to count.
            traces: Records what is traced; None where nothing is.
        """
        self.traces = traces
        self._trace = passed_on if traces is None else traces.begin
        self._max_body_bytes = settings.max_body_bytes
        self._max_in_flight = settings.max_in_flight
        self._max_in_flight_bytes = settings.max_in_flight_bytes
        self._routes = routes
        self.store = store
        self._metrics = metrics
        self.budget_seconds = settings.budget_seconds
        self.clock = asyncio.get_running_loop().time
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._reserved_bytes = 0
        self._max_reserved_bytes = settings.max_reserved_bytes
        self._large = LargeBodies()
        self.refusals = RefusalLog(self.clock)
        self._random = random.Random()  # noqa: S311  # jitter is no secret

    @property
    def in_flight(self) -> int:
        """Webhooks that are being stored."""
        return self._in_flight

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of bodies that are being read or stored."""
        return self._in_flight_bytes + self._reserved_bytes

    def admit(self, path: str, declared: int, headers: Headers) -> ServedEndpoint | Answer:
        """Say which endpoint a POST is for, before its body is read; else the answer it gets.

        All that can be known by then is asked: who cannot show the credentials that stand in
        headers gets no byte of a body read. An answer that does not close leaves it to the caller
        to read on, where the rest is there already.

        Args:
            path: The request's path, without the query.
            declared: The body's length as the request says it; 0 where it does not say.
            headers: The request's headers by lower-case name; several of one name joined by `, `.
        """
        endpoint = self._routes.find(path)
        if endpoint is None:
            return self.refuse(None, Reason.UNKNOWN_ENDPOINT)
        if declared > self._max_body_bytes:
            return self.refuse(endpoint, Reason.TOO_LARGE)
        refusal = endpoint.credentials.refusal_of_head(headers)
        if refusal is not None:
            return self.refuse(endpoint, refusal)
        if b"content-encoding" in headers and not is_encoding_served(headers[b"content-encoding"]):
            return self.refuse(endpoint, Reason.CONTENT_ENCODING)
        if declared > _LARGE and declared > self.store.max_body_bytes:
            return self.refuse(endpoint, Reason.ABOVE_MAX_PAYLOAD)
        return endpoint

    def refuse_method(self, path: str) -> Answer:
        """Return what a request gets that is neither a POST nor a GET."""
        endpoint = self._routes.find(path)
        return self.refuse(endpoint, Reason.UNKNOWN_ENDPOINT if endpoint is None else Reason.METHOD)

    def reserve(self, endpoint: ServedEndpoint, size: int) -> Answer | None:
        """Note bytes of a body that waits for its end or its turn; else the answer it gets.

        Nobody knows yet whether they are a provider's. So they take no place from webhooks that are
        there whole: there is a limit of their own, of which each endpoint has a small share, and
        refused are those who would exceed either.

        Args:
            endpoint: From `admit`.
            size: Bytes that came since the last call.
        """
        reason = self.store.rejection(endpoint.route.shard)
        if reason is None and self._reserved_bytes + size > self._max_reserved_bytes:
            reason = Reason.OVERLOADED
        if reason is None and endpoint.reserved_bytes + size > endpoint.max_reserved_bytes:
            reason = Reason.ENDPOINT_OVERLOADED
        if reason is not None:
            return self.refuse(endpoint, reason)._replace(close=True)
        self._reserved_bytes += size
        endpoint.reserved_bytes += size
        return None

    def release(self, endpoint: ServedEndpoint, size: int) -> None:
        """Give back what was reserved: the body is complete and has its turn, or never will be."""
        self._reserved_bytes -= size
        endpoint.reserved_bytes -= size

    def challenge(self, path: str, query: Mapping[str, str]) -> Answer:
        """Answer the GET by which a provider makes sure of a URL."""
        endpoint = self._routes.find(path)
        if endpoint is None:
            return self.refuse(None, Reason.UNKNOWN_ENDPOINT)
        asked = endpoint.challenge
        if asked is None:
            return self.refuse(endpoint, Reason.METHOD)
        mode, wanted = asked.mode
        given = query.get(asked.answered_with, "")
        holds = endpoint.credentials.verify_token_holds(query.get(asked.verified_by, ""))
        is_asked = query.get(mode) == wanted and 0 < len(given) <= CHALLENGE_LIMIT
        if not (holds and is_asked):
            return self.refuse(endpoint, Reason.VERIFY_TOKEN)
        endpoint.metrics.challenged()
        text = given.encode()
        headers = (
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", str(len(text)).encode()),
        )
        return Answer(200, headers, text)

    def receive(
        self,
        endpoint: ServedEndpoint,
        headers: Headers,
        body: bytes,
        started: float,
        reply: Callable[[Answer], None],
    ) -> None:
        """Check and store one webhook, and call `reply` once with what to answer.

        A callback and not a coroutine: a task for each webhook would cost a tenth of the rate.

        Args:
            endpoint: From `admit`, which has checked the credentials in the headers.
            headers: The request's headers by lower-case name; several of one name joined by `, `.
            body: All of the body.
            started: When the request's first byte came, on the loop's clock: the budget's start.
            reply: Called inside this call where the answer is known at once; for a large body, in
                a later turn of the loop.
        """
        if len(body) > LARGE_BODY:
            self._reserved_bytes += len(body)
            endpoint.reserved_bytes += len(body)
            self._large.add(endpoint, self._receiving(endpoint, headers, body, started, reply))
            return
        webhook: ReceivedWebhook | None = None
        size = len(body)
        try:
            # What costs nothing to know comes first: in trouble an answer has to be cheap.
            refusal = (
                self.store.rejection(endpoint.route.shard)
                or endpoint.credentials.refusal_of_body(headers, body)
                or self._overload(endpoint, size)
            )
            if refusal is not None:
                self._answer_refusal(endpoint, refusal, started, reply)
                return
            received, event = time.time(), None
            if endpoint.id_headers is None:  # as nearly always
                digest = endpoint.digest.copy()
            else:
                event = event_id(endpoint, headers)
                digest = begin_message_id(endpoint, event)
            digest.update(body)
            message_id, given = digest.hexdigest(), headers.get(b"traceparent")
            trace = self._trace(given, message_id)
            block = stored_headers(endpoint, headers, message_id, event, received, trace)
            lane = endpoint.body_format.lane_of(body, headers.get(b"content-encoding"))
            webhook = ReceivedWebhook(
                self, endpoint, lane, block, body, size, received, started, trace, given, reply
            )
            endpoint.in_flight += 1
            endpoint.in_flight_bytes += size
            self._in_flight += 1
            self._in_flight_bytes += size
            self.store.store(webhook)
        except Exception as error:  # noqa: BLE001  # whoever waits gets an answer, whatever failed
            self._broken(endpoint, webhook, reply)
            # Not raised: the parser, in whose call this is, would take it for a malformed request.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a webhook was not stored", "exception": error}
            )

    def _receiving(
        self,
        endpoint: ServedEndpoint,
        headers: Headers,
        body: bytes,
        started: float,
        reply: Callable[[Answer], None],
    ) -> Work:
        """Do what `receive` does with a large body, in pieces, between which others are served.

        Until its signature is known to hold, it is counted as one that is half read; from then on
        as one that is in flight.
        """
        received, size = time.time(), len(body)
        is_reserved, is_counted = True, False
        webhook: ReceivedWebhook | None = None
        try:
            refusal = self.store.rejection(endpoint.route.shard)
            if refusal is None:
                refusal = yield from endpoint.credentials.refusing_body(headers, body)
            if refusal is None:
                refusal = self._overload(endpoint, size)
            if refusal is not None:
                self._answer_refusal(endpoint, refusal, started, reply)
                return
            self.release(endpoint, size)
            is_reserved = False
            self._count(endpoint, 1, size)
            is_counted = True
            event = event_id(endpoint, headers)
            digest = begin_message_id(endpoint, event)
            yield from hashing(digest, body)
            encoding = headers.get(b"content-encoding")
            packed: bytes | None = None
            if encoding:
                lane = endpoint.body_format.lane_of(body, encoding)
            else:
                lane = yield from endpoint.body_format.finding_lane(body)
                packed = yield from packing(body)
            message_id, given = digest.hexdigest(), headers.get(b"traceparent")
            trace = self._trace(given, message_id)
            unpacked = None if packed is None else size
            block = stored_headers(endpoint, headers, message_id, event, received, trace, unpacked)
            if self.clock() > started + self.budget_seconds:
                self._answer_refusal(endpoint, Reason.OVERLOADED, started, reply)
                return
            payload = body if packed is None else packed
            webhook = ReceivedWebhook(
                self, endpoint, lane, block, payload, size, received, started, trace, given, reply
            )
            is_counted = False  # `finished` sees to that
            self.store.store(webhook)
        except Exception:
            self._broken(endpoint, webhook, reply)
            raise
        finally:
            if is_reserved:
                self.release(endpoint, size)
            if is_counted:
                self._count(endpoint, -1, -size)

    def _answer_refusal(
        self,
        endpoint: ServedEndpoint,
        reason: Reason,
        started: float,
        reply: Callable[[Answer], None],
    ) -> None:
        """Answer a webhook that is not to be stored, and record it after that."""
        reply(self.refuse(endpoint, reason))
        if self.traces is not None:
            self.traces.refused(endpoint, reason, started, self.clock())

    def _broken(
        self,
        endpoint: ServedEndpoint,
        webhook: ReceivedWebhook | None,
        reply: Callable[[Answer], None],
    ) -> None:
        """Answer, and count, what a fault of our own came between; nobody else would."""
        if webhook is None:
            reply(self.refuse(endpoint, Reason.STORE_REFUSED))
        else:
            webhook.done(StoreRefused("a fault of the receiver"))

    def _count(self, endpoint: ServedEndpoint, webhooks: int, size: int) -> None:
        endpoint.in_flight += webhooks
        endpoint.in_flight_bytes += size
        self._in_flight += webhooks
        self._in_flight_bytes += size

    def finished(self, webhook: ReceivedWebhook, result: PubAck | StoreError) -> Answer:
        """Count the outcome of a webhook, and return what to answer."""
        endpoint, size = webhook.endpoint, webhook.size
        endpoint.in_flight -= 1
        endpoint.in_flight_bytes -= size
        self._in_flight -= 1
        self._in_flight_bytes -= size
        if isinstance(result, StoreError):
            return self.refuse(endpoint, reason_of(result))
        now = self.clock()
        self._metrics.stored(now - webhook.begun, now - webhook.started, size)
        endpoint.metrics.stored(duplicate=result.duplicate, at=webhook.received)
        return STORED

    def _overload(self, endpoint: ServedEndpoint, size: int) -> Reason | None:
        if (
            endpoint.in_flight >= endpoint.max_in_flight
            or endpoint.in_flight_bytes + size > endpoint.max_in_flight_bytes
        ):
            return Reason.ENDPOINT_OVERLOADED
        if (
            self._in_flight >= self._max_in_flight
            or self._in_flight_bytes + size > self._max_in_flight_bytes
        ):
            return Reason.OVERLOADED
        return None

    def refuse(self, endpoint: ServedEndpoint | None, reason: Reason) -> Answer:
        """Count a refusal and return its answer; no endpoint stands for strangers."""
        status = STATUS_OF[reason]
        unavailable = status == 503  # noqa: PLR2004  # the one 5xx that is meant
        metrics = self._metrics.strangers if endpoint is None else endpoint.metrics
        metrics.refused(reason, unavailable=unavailable)
        self.refusals.note("" if endpoint is None else endpoint.label, reason)
        headers: tuple[tuple[bytes, bytes], ...] = ((b"content-length", b"0"),)
        if unavailable:
            seconds = self._random.randint(*RETRY_AFTER_SECONDS)
            headers = (*headers, (b"retry-after", str(seconds).encode()))
        if reason is Reason.METHOD:
            challenged = endpoint is not None and endpoint.challenge is not None
            headers = (*headers, (b"allow", b"GET, POST" if challenged else b"POST"))
        return Answer(status, headers, b"", close=reason in BODY_UNREAD)
