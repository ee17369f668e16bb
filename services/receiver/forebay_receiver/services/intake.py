"""The contract of the webhook path, without the wire: route, method, size, credentials, store.

Whoever carries the bytes (`handlers.wire`, `handlers.webhook`) asks `admit` before the body is read
and `take` when it is there. What happens if the process dies:

- before the publish leaves: nothing is stored, nothing was answered, the provider sends again;
- after the publish, before the PubAck: it may be stored, nothing was answered; the provider sends
  again, and the stream's window or the claims in EVENTS know it;
- after the PubAck, before the answer: the same;
- after the answer: it is stored.
"""

import asyncio
import hashlib
import random
import re
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from forebay.core import envelope
from forebay.core.lanes import lane_of
from forebay.core.signatures import SIGNATURE_HEADERS
from forebay.runtime.publisher import PubAck
from forebay.runtime.store_errors import (
    StoreError,
    StoreFull,
    StoreUnavailable,
    StreamMissing,
)
from forebay_receiver.adapters.store import Store
from forebay_receiver.errors import STATUS_OF, Reason
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.policies.authentication import check_credentials, verify_token_holds
from forebay_receiver.services.routes import Routes, ServedEndpoint
from forebay_receiver.settings import ReceiverSettings

__all__ = ["Answer", "Headers", "Intake"]

Headers = Mapping[bytes, bytes]
"""A request's headers by lower-case name."""

_TRACEPARENT = re.compile(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_ENVELOPE: Final = (
    f"NATS/1.0\r\n{envelope.MESSAGE_ID}: %b\r\n{envelope.RECEIVED_AT}: %d\r\n"
    f"{envelope.ENDPOINT}: %b\r\n{envelope.TRACEPARENT}: %b\r\n"
).encode()
"""What every webhook is stored with, in the form that `encode_headers` gives."""

_STORED_HEADERS: Final = (
    (envelope.CONTENT_TYPE.encode(), b"content-type"),
    *((name.encode(), name.encode()) for name in SIGNATURE_HEADERS),
)
"""The request's headers that are stored with it: their name in the store and on the wire."""

CHALLENGE_LIMIT: Final = 1024
"""Characters of a GET challenge; Meta's are about ten digits."""

RETRY_AFTER_SECONDS: Final = (1, 5)
"""A refused provider is asked to come back after a time drawn from here, so that all who were
refused together do not come back together."""


class Answer(NamedTuple):
    """What goes back over the wire."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    close: bool = False
    """Whether the connection has to end: what is left of the request will not be read."""


_STORED = Answer(200, ((b"content-length", b"0"),), b"")


class Intake:
    """Decides what a request gets, and stores it."""

    def __init__(
        self,
        settings: ReceiverSettings,
        routes: Routes,
        store: Store,
        metrics: ReceiverMetrics,
    ) -> None:
        self._settings = settings
        self._routes = routes
        self._store = store
        self._metrics = metrics
        self._clock = asyncio.get_running_loop().time
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._random = random.Random()  # noqa: S311  # jitter and trace ids are no secrets

    @property
    def in_flight(self) -> int:
        """Requests that are being read or stored."""
        return self._in_flight

    @property
    def in_flight_bytes(self) -> int:
        """Bytes of bodies that are being stored."""
        return self._in_flight_bytes

    def admit(self, path: str, method: str, declared: int) -> ServedEndpoint | Answer:
        """Say which endpoint a POST is for, before its body is read; else the answer it gets.

        Args:
            path: The request's path, without the query.
            method: In capitals.
            declared: The body's length as the request says it; 0 where it does not say.
        """
        endpoint = self._routes.find(path)
        if endpoint is None:
            return self._refuse(None, Reason.UNKNOWN_ENDPOINT)
        if method != "POST":
            return self._refuse(endpoint, Reason.METHOD)
        if declared > self._settings.max_body_bytes:
            return self._refuse(endpoint, Reason.TOO_LARGE)
        return endpoint

    def challenge(self, path: str, query: Mapping[str, str]) -> Answer:
        """Answer Meta's GET challenge (`hub.mode`, `hub.verify_token`, `hub.challenge`)."""
        endpoint = self._routes.find(path)
        if endpoint is None:
            return self._refuse(None, Reason.UNKNOWN_ENDPOINT)
        if not endpoint.route.authentication.verify_tokens:
            return self._refuse(endpoint, Reason.METHOD)
        challenge = query.get("hub.challenge", "")
        holds = verify_token_holds(endpoint.route.authentication, query.get("hub.verify_token", ""))
        asked = query.get("hub.mode") == "subscribe" and 0 < len(challenge) <= CHALLENGE_LIMIT
        if not (holds and asked):
            return self._refuse(endpoint, Reason.VERIFY_TOKEN)
        endpoint.metrics.challenged()
        text = challenge.encode()
        headers = (
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", str(len(text)).encode()),
        )
        return Answer(200, headers, text)

    def refuse(self, endpoint: ServedEndpoint, reason: Reason) -> Answer:
        """Count and answer what went wrong on the wire (too large, too slow, gone)."""
        return self._refuse(endpoint, reason)

    def take(
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
            endpoint: From `admit`.
            headers: The request's headers by lower-case name; several of one name joined by `, `.
            body: All of the body.
            started: When the request's first byte came, on the loop's clock: the budget's start.
            reply: Called inside this call where the answer is known at once.
        """
        route = endpoint.route
        refusal = check_credentials(route.authentication, headers, body)
        if refusal is None:
            refusal = self._overload(endpoint, len(body))
        if refusal is not None:
            reply(self._refuse(endpoint, refusal))
            return
        size, now = len(body), time.time()
        begun = self._clock()
        endpoint.in_flight += 1
        self._in_flight += 1
        self._in_flight_bytes += size

        def stored(result: PubAck | StoreError) -> None:
            endpoint.in_flight -= 1
            self._in_flight -= 1
            self._in_flight_bytes -= size
            if isinstance(result, StoreError):
                reply(self._refuse(endpoint, _reason_of(result)))
                return
            ended = self._clock()
            self._metrics.stored(ended - begun, ended - started, size)
            endpoint.metrics.stored(duplicate=result.duplicate, at=now)
            reply(_STORED)

        self._store.store(
            route.shard,
            endpoint.subjects[lane_of(route.provider, body)],
            body,
            self._envelope(endpoint, headers, body, now),
            started + self._settings.budget_seconds,
            stored,
        )

    def _overload(self, endpoint: ServedEndpoint, size: int) -> Reason | None:
        if not self._store.is_willing(endpoint.route.shard):
            return Reason.NATS_AWAY
        settings = self._settings
        if self._in_flight >= settings.max_in_flight:
            return Reason.OVERLOADED
        if self._in_flight_bytes + size > settings.max_in_flight_bytes:
            return Reason.OVERLOADED
        if endpoint.in_flight >= endpoint.route.max_in_flight:
            return Reason.ENDPOINT_OVERLOADED
        return None

    def _envelope(
        self, endpoint: ServedEndpoint, headers: Headers, body: bytes, now: float
    ) -> bytes:
        """Return the header block that is stored with a webhook.

        Values are the request's own bytes: the HTTP parser lets no line break through.
        """
        digest = hashlib.sha256(endpoint.digest_prefix)
        digest.update(body)
        given = headers.get(b"traceparent")
        if given is None or not _TRACEPARENT.fullmatch(given):
            bits = self._random.getrandbits
            given = b"00-%032x-%016x-00" % (bits(128), bits(64))
        block = _ENVELOPE % (
            digest.hexdigest().encode(),
            int(now * 1000),
            endpoint.header_line,
            given,
        )
        for stored_as, name in _STORED_HEADERS:
            value = headers.get(name)
            if value is not None:
                block += b"%b: %b\r\n" % (stored_as, value)
        return block + b"\r\n"

    def _refuse(self, endpoint: ServedEndpoint | None, reason: Reason) -> Answer:
        status = STATUS_OF[reason]
        unavailable = status == 503  # noqa: PLR2004  # the one honest 5xx
        metrics = self._metrics.strangers if endpoint is None else endpoint.metrics
        metrics.refused(reason, unavailable=unavailable)
        headers: tuple[tuple[bytes, bytes], ...] = ((b"content-length", b"0"),)
        if unavailable:
            seconds = self._random.randint(*RETRY_AFTER_SECONDS)
            headers = (*headers, (b"retry-after", str(seconds).encode()))
        if reason is Reason.METHOD:
            challenged = endpoint and endpoint.route.authentication.verify_tokens
            headers = (*headers, (b"allow", b"GET, POST" if challenged else b"POST"))
        return Answer(status, headers, b"", close=reason in _BODY_UNREAD)


_BODY_UNREAD: Final = frozenset(
    {Reason.TOO_LARGE, Reason.TOO_SLOW, Reason.METHOD, Reason.UNKNOWN_ENDPOINT}
)


def _reason_of(error: StoreError) -> Reason:
    """Return the reason that stands for a store's error: the one place where they are mapped."""
    match error:
        case StreamMissing():
            return Reason.NO_STREAM
        case StoreUnavailable():
            return Reason.NATS_SILENT
        case StoreFull():
            return Reason.STREAM_FULL
        case _:
            return Reason.STORE_REFUSED
