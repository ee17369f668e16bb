"""Destination `http`: one CloudEvent in one POST; 2xx is success.

| answer | what follows |
| --- | --- |
| 2xx | delivered |
| 400, 413, 415, 422 | rejected: this item will never be taken, it becomes a dead letter at once |
| any other status, no connection, no answer in time | tried again, later |

Redirects are not followed: an item is for the URL that the manifest names.
"""

import asyncio
import contextlib
import time
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp

from forebay.core.tables import HttpTarget
from forebay_processor.destinations.cloudevents import (
    CLOUDEVENTS_TYPE,
    encode_event,
    standard_webhooks_signature,
)
from forebay_processor.destinations.port import (
    Attempt,
    Delivered,
    Failed,
    Rejected,
    Result,
)

__all__ = ["HttpDestination"]

_REJECTED: Final = frozenset({400, 413, 415, 422})

ANSWER_LIMIT: Final = 64 * 1024
"""Bytes of an answer that are read so that the connection can be used again; a longer answer
costs the connection."""

ANSWER_SECONDS: Final = 1.0
"""How long the rest of an answer is waited for."""

RETRY_AFTER_LIMIT: Final = 3600.0
"""Seconds: longer wishes of a destination count as this."""


class HttpDestination:
    """Posts items to one URL over a shared, pooled client."""

    def __init__(self, target: HttpTarget, session: aiohttp.ClientSession) -> None:
        self._target = target
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=target.timeout_seconds)
        self._headers = {**target.headers, "Content-Type": CLOUDEVENTS_TYPE}

    async def deliver(self, attempt: Attempt) -> Result:
        """Post the item once."""
        body = encode_event(attempt)
        now = int(time.time())
        headers = {
            **self._headers,
            "webhook-id": attempt.token,
            "webhook-timestamp": str(now),
            "Forebay-Attempt": str(attempt.number),
            "Forebay-Endpoint": str(attempt.endpoint),
            "traceparent": attempt.traceparent,
        }
        if self._target.signing_secrets:
            headers["webhook-signature"] = standard_webhooks_signature(
                self._target.signing_secrets, attempt.token, now, body
            )
        try:
            async with self._session.post(
                self._target.url,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                result = _result(response)
                await _read_rest(response)
                return result
        except TimeoutError:
            return Failed("timeout")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(type(error).__name__)

    async def close(self) -> None:
        """The client is shared: whoever made it closes it."""


async def _read_rest(response: aiohttp.ClientResponse) -> None:
    """Read a short answer, so that its connection can be used again.

    The status has decided: what goes wrong from here on must not send the item a second time.
    """
    if (response.content_length or 0) > ANSWER_LIMIT:
        return
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(ANSWER_SECONDS):
            await response.content.read(ANSWER_LIMIT)


def _result(response: aiohttp.ClientResponse) -> Result:
    status = response.status
    if 200 <= status < 300:  # noqa: PLR2004  # 2xx
        return Delivered()
    if status in _REJECTED:
        return Rejected(f"status {status}")
    return Failed(f"status {status}", _retry_after(response.headers.get("Retry-After")))


def _retry_after(value: str | None) -> float:
    """Read `Retry-After` (RFC 9110): seconds, or a date; 0 where it is neither."""
    if value is None:
        return 0.0
    if value.isascii() and value.isdigit():
        return min(float(value), RETRY_AFTER_LIMIT)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    return min(max(moment.timestamp() - time.time(), 0.0), RETRY_AFTER_LIMIT)
