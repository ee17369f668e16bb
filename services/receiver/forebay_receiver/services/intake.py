"""The contract of the webhook path, without the wire: route, method, size, credentials, store.

Whoever carries the bytes (see `handlers.webhook`) asks `admit` before the body is read and `take`
when it is there. What happens if the process dies:

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
from collections.abc import Mapping
from typing import Final, NamedTuple

from forebay.core import envelope
from forebay.core.lanes import lane_of
from forebay.core.signatures import SIGNATURE_HEADERS
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

__all__ = ["Answer", "Intake"]

_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

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

    def admit(self, path: str, method: str, headers: Mapping[str, str]) -> ServedEndpoint | Answer:
        """Say which endpoint a POST is for, before its body is read; else the answer it gets."""
        endpoint = self._routes.find(path)
        if endpoint is None:
            return self._refuse(None, Reason.UNKNOWN_ENDPOINT)
        if method != "POST":
            return self._refuse(endpoint, Reason.METHOD)
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._settings.max_body_bytes:
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

    async def take(
        self, endpoint: ServedEndpoint, headers: Mapping[str, str], body: bytes, started: float
    ) -> Answer:
        """Check and store one webhook, and return what to answer.

        Args:
            endpoint: From `admit`.
            headers: The request's headers by lower-case name.
            body: All of the body.
            started: When the request's first byte came, on the loop's clock: the budget's start.
        """
        refusal = check_credentials(endpoint.route.authentication, headers, body)
        if refusal is not None:
            return self._refuse(endpoint, refusal)
        overload = self._overload(endpoint, len(body))
        if overload is not None:
            return self._refuse(endpoint, overload)
        endpoint.in_flight += 1
        self._in_flight += 1
        self._in_flight_bytes += len(body)
        try:
            return await self._publish(endpoint, headers, body, started)
        finally:
            endpoint.in_flight -= 1
            self._in_flight -= 1
            self._in_flight_bytes -= len(body)

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

    async def _publish(
        self, endpoint: ServedEndpoint, headers: Mapping[str, str], body: bytes, started: float
    ) -> Answer:
        route, now = endpoint.route, time.time()
        subject = endpoint.subjects[lane_of(route.provider, body)]
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            ack = await self._store.store(
                route.shard,
                subject,
                body,
                self._envelope(endpoint, headers, body, now),
                started + self._settings.budget_seconds - begun,
            )
        except StoreError as error:
            return self._refuse(endpoint, _reason_of(error))
        ended = loop.time()
        metrics = self._metrics
        metrics.publish_seconds.observe(ended - begun)
        metrics.ack_seconds.observe(ended - started)
        metrics.body_bytes.observe(len(body))
        endpoint.metrics.stored(duplicate=ack.duplicate, at=now)
        return _STORED

    def _envelope(
        self, endpoint: ServedEndpoint, headers: Mapping[str, str], body: bytes, now: float
    ) -> dict[str, str]:
        digest = hashlib.sha256(endpoint.text.encode() + b"\n")
        digest.update(body)
        result = {
            envelope.MESSAGE_ID: digest.hexdigest(),
            envelope.RECEIVED_AT: str(int(now * 1000)),
            envelope.ENDPOINT: endpoint.text,
            envelope.TRACEPARENT: self._traceparent(headers.get("traceparent")),
        }
        content_type = headers.get("content-type")
        if content_type is not None:
            result[envelope.CONTENT_TYPE] = content_type
        for name in SIGNATURE_HEADERS:
            value = headers.get(name)
            if value is not None:
                result[name] = value
        return result

    def _traceparent(self, given: str | None) -> str:
        if given is not None and _TRACEPARENT.fullmatch(given):
            return given
        bits = self._random.getrandbits
        return f"00-{bits(128):032x}-{bits(64):016x}-00"

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
