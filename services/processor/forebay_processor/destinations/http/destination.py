"""Destination `http`: items as CloudEvents, one or several in a POST, or one webhook as it came.

| answer | what follows |
| --- | --- |
| 2xx | delivered |
| 400, 413, 415, 422 | rejected: this item will never be taken, it becomes a dead letter at once |
| 401, 403, 410 | the destination refuses us: it is tried again after pauses up to hours |
| 429, 503 with `Retry-After` | nothing more is sent until then |
| any other status, no connection, no answer in time | tried again, later |

What is sent follows from the item, not from the setting of the moment: an item that waits while the
format is changed goes out in the form that it was made for. Redirects are not followed: an item is
for the URL that the manifest names.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from yarl import URL

from forebay.core.answer_excerpt import answer_excerpt
from forebay.core.body_item import BODY_KIND, decode_body
from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ForebayError
from forebay.core.tables import HttpTarget
from forebay_processor.destinations.cloudevents import (
    BATCH_TYPE,
    CLOUDEVENTS_TYPE,
    encode_event,
    standard_webhooks_signature,
)
from forebay_processor.destinations.http.client import HttpClient, Pool
from forebay_processor.destinations.http.connection import HttpResponse
from forebay_processor.destinations.http.request import RequestHead
from forebay_processor.destinations.network.connecting import origin_of
from forebay_processor.destinations.network.no_answer import (
    NoAnswer,
    NoAnswerReason,
    NoConnection,
)
from forebay_processor.destinations.network.tls import UnusableTls, tls_context
from forebay_processor.destinations.port import (
    Attempt,
    Delivered,
    Failed,
    Rejected,
    Result,
    Trouble,
)
from forebay_processor.destinations.retry_after import retry_after_seconds

__all__ = ["HttpDestination", "posted", "result_of"]

_REJECTED: Final = frozenset({400, 413, 415, 422})
_REFUSED: Final = frozenset({401, 403, 410})
_WAITING: Final = frozenset({429, 503})
"""With `Retry-After` these speak of the whole destination, not of one item."""

JSON_TYPE: Final = "application/json"
"""What a webhook is where the provider did not say, and an event where a manifest wants it so."""


class HttpDestination:
    """Posts items to one URL over connections that it may share with others."""

    def __init__(self, target: HttpTarget, client: HttpClient, now: Callable[[], float]) -> None:
        """Prepare; nothing raises here: each attempt reports what is wrong with the settings.

        Args:
            target: Where to, and how.
            client: Whose connections.
            now: Seconds since the epoch, by the time of the NATS servers.
        """
        self._target = target
        self._client = client
        self._now = now
        self._unusable = Failed("")
        """What each attempt comes to where the settings cannot be used."""

        self._pool: Pool | None = None
        self._is_closed = False
        is_plain = target.content_type == JSON_TYPE
        self._event_type = JSON_TYPE if is_plain else CLOUDEVENTS_TYPE
        self._batch_type = JSON_TYPE if is_plain else BATCH_TYPE
        try:
            url = _url(target.url)
            self._head = RequestHead(url, target.headers)
            tls = None if target.tls is None else tls_context(target.tls)
        except UnusableTls as error:
            self._unusable = Failed(str(error), trouble=Trouble.REFUSED)
        except NoAnswer as failure:
            self._unusable = Failed(failure.reason)
        except ValueError as error:
            self._unusable = Failed(type(error).__name__)
        else:
            name = None if target.tls is None else target.tls.server_name
            self._pool = client.pool(origin_of(url, tls, name))

    async def deliver(self, attempt: Attempt) -> Result:
        """Post the item once."""
        try:
            body, headers = posted(
                attempt, self._target.signing_secrets, int(self._now()), self._event_type
            )
        except ForebayError:
            return Rejected("unreadable item")
        return await self._post(attempt.endpoint, body, headers)

    def encode(self, attempt: Attempt) -> bytes:
        """Return an item as it stands in a batch: a CloudEvent, or what a transform made."""
        return _event_body(attempt, self._event_type)

    async def deliver_batch(
        self,
        endpoint: EndpointName,
        tokens: Sequence[str],
        items: Sequence[bytes],
        traceparent: str = "",
    ) -> Result:
        """Post items once, together."""
        body = b"[" + b",".join(items) + b"]"
        headers = {
            "content-type": self._batch_type,
            "Forebay-Items": str(len(items)),
            "Forebay-Endpoint": str(endpoint),
        }
        if traceparent:
            headers["traceparent"] = traceparent
        own = f"batch-{hashlib.sha256(chr(10).join(tokens).encode()).hexdigest()[:32]}"
        headers |= _signed(own, self._target.signing_secrets, int(self._now()), body)
        return await self._post(endpoint, body, headers)

    async def _post(
        self, endpoint: EndpointName, body: bytes, headers: Mapping[str, str]
    ) -> Result:
        pool = self._pool
        if pool is None:
            return self._unusable
        try:
            answer = await self._client.post(
                pool,
                self._head.write(headers, len(body)),
                body,
                self._target.timeout_seconds,
                endpoint,
            )
        except TimeoutError:
            return Failed("timeout")
        except NoConnection as failure:
            return Failed(failure.reason, trouble=Trouble.DESTINATION)
        except NoAnswer as failure:
            return Failed(failure.reason)
        except (OSError, ValueError) as error:
            return Failed(type(error).__name__)
        return result_of(answer, self._now())

    def close(self) -> None:
        """Close connections; attempts that are under way go on."""
        if self._pool is not None and not self._is_closed:
            self._is_closed = True
            self._pool.let_go()


def _url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise NoAnswer(NoAnswerReason.NO_URL) from error
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise NoAnswer(NoAnswerReason.NO_URL)
    return url


def posted(
    attempt: Attempt, secrets: tuple[str, ...], now: int, event_type: str = CLOUDEVENTS_TYPE
) -> tuple[bytes, dict[str, str]]:
    """Return the body of an attempt's POST, and Forebay's headers.

    Args:
        attempt: What is sent.
        secrets: What to sign it with; no signature where there are none.
        now: Seconds since the epoch, for the receiver's check against replays.
        event_type: The content type of an event; a webhook has its own.

    Raises:
        ForebayError: where a webhook cannot be read.
    """
    if attempt.item.kind == BODY_KIND:
        webhook = decode_body(attempt.item)
        body, headers = webhook.content, {"content-type": JSON_TYPE, **webhook.headers}
    else:
        body, headers = _event_body(attempt, event_type), {"content-type": event_type}
    headers |= {
        "Forebay-Attempt": str(attempt.number),
        "Forebay-Endpoint": str(attempt.endpoint),
        "traceparent": attempt.request_traceparent or attempt.traceparent,
    }
    return body, headers | _signed(attempt.token, secrets, now, body)


def _event_body(attempt: Attempt, event_type: str) -> bytes:
    """Return an item as it is posted.

    Plain JSON is whatever the transform makes, where there is one: who wants a CloudEvent around it
    gets it under its own type.
    """
    if attempt.transformed is not None and event_type == JSON_TYPE:
        return bytes(attempt.transformed)
    return encode_event(attempt)


def _signed(own: str, secrets: tuple[str, ...], now: int, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks of a body with an id of its own."""
    headers = {"webhook-id": own, "webhook-timestamp": str(now)}
    if secrets:
        headers["webhook-signature"] = standard_webhooks_signature(secrets, own, now, body)
    return headers


def result_of(answer: HttpResponse, now: float) -> Result:
    """Judge an answer; `now` in seconds since the epoch, for a `Retry-After` that is a date."""
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004  # 2xx
        return Delivered()
    error = f"status {status}"
    said = answer_excerpt(answer.begins_with)
    if status in _REJECTED:
        return Rejected(error, said)
    if status in _REFUSED:
        return Failed(error, trouble=Trouble.REFUSED, said=said)
    asked = retry_after_seconds(answer.retry_after, now)
    if asked and status in _WAITING:
        return Failed(error, asked, Trouble.DESTINATION, said)
    return Failed(error, asked, said=said)
