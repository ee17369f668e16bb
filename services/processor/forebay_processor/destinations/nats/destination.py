"""Destination `nats`: each item as a CloudEvent in a message, on a subject of a NATS.

| what comes back | what follows |
| --- | --- |
| a stream has stored it, now or before (`duplicate`) | delivered |
| the message is above the server's or the stream's size | rejected: a dead letter at once |
| we may not publish there, or another stream has the subject | the destination refuses us |
| nobody takes the subject, the stream is full, no connection, no answer in time | tried again |

`Nats-Msg-Id` is the item's id and whose destination it is: a stream's window for duplicates is of
the whole stream, and two destinations that publish to one have to be two messages.

By the NATS binding of CloudEvents: structured mode as in version 1.0; binary mode, whose headers
`ce-…` NATS has had since 2.2, as in the specification's next version.
"""

import asyncio
import urllib.parse
from typing import Any, Final

import msgspec

from forebay.core.answer_excerpt import answer_excerpt
from forebay.core.body_item import BODY_KIND, decode_body
from forebay.core.errors import ForebayError
from forebay.core.nats_subject import is_free_subject, places_of, rendered_subject
from forebay.core.nats_target import NatsTarget
from forebay.core.provider_vocabulary import known_word
from forebay.runtime.jetstream.errors import (
    MessageTooLarge,
    StoreFull,
    StoreUnavailable,
    store_error,
)
from forebay.runtime.jetstream.outside_connection import OutsideDenied, OutsideLost
from forebay.runtime.jetstream.pending_publish import PubAck
from forebay_processor.destinations.cloudevents import data_of, encode_event, event_of
from forebay_processor.destinations.nats.client import NatsClient, NatsFailure, SharedConnection
from forebay_processor.destinations.port import (
    Attempt,
    Delivered,
    Failed,
    Rejected,
    Result,
    Trouble,
)

__all__ = ["NatsDestination", "result_of_answer"]

JSON_TYPE: Final = "application/json"
STRUCTURED_TYPE: Final = "application/cloudevents+json"

_FIXED: Final = frozenset({"namespace", "endpoint", "destination"})
"""Places that are the same for all items of a destination."""

_WRONG_STREAM: Final = 10060
"""`expected stream does not match`."""

_DECODE: Final = msgspec.json.Decoder(PubAck).decode

_PLAIN: Final = "".join(chr(each) for each in range(0x21, 0x7F) if chr(each) not in '"%')
"""What an attribute's value in a header holds as it is (CloudEvents, HTTP binding 3.1.3.2)."""


class NatsDestination:
    """Publishes items over a connection that it may share with others."""

    def __init__(self, target: NatsTarget, client: NatsClient) -> None:
        """Prepare; nothing raises here: each attempt reports what is wrong with the settings.

        Args:
            target: Where to, and how.
            client: Whose connections.
        """
        self.target = target
        self._client = client
        self._shared: SharedConnection | None = None
        self._is_closed = False
        self._has_one_subject = places_of(target.subject) <= _FIXED

    async def deliver(self, attempt: Attempt) -> Result:
        """Publish the item once."""
        if not is_free_subject(self.target.subject):
            return Failed("the subject is Forebay's or NATS' own", trouble=Trouble.REFUSED)
        try:
            subject = self._subject(attempt)
            payload, headers = self._message(attempt)
        except (ForebayError, ValueError):
            return Rejected("unreadable item")
        if self._shared is None:
            if self._is_closed:
                return Failed("the destination has changed")
            self._shared = self._client.shared(self.target, attempt.endpoint.namespace)
        try:
            async with asyncio.timeout(self.target.timeout_seconds):
                return await self._publish(self._shared, attempt, subject, payload, headers)
        except TimeoutError:
            return Failed("timeout")
        except NatsFailure as failure:
            return Failed(failure.reason, trouble=failure.trouble)
        except OutsideDenied:
            return Failed("permission denied: may not publish there", trouble=Trouble.REFUSED)
        except OutsideLost as lost:
            return Failed(str(lost), trouble=Trouble.DESTINATION)
        except ValueError:
            return Rejected("unreadable item")

    def close(self) -> None:
        """Close the connection, where no other uses it; attempts that are under way go on."""
        if not self._is_closed:
            self._is_closed = True
            if self._shared is not None:
                self._shared.let_go()

    async def _publish(
        self,
        shared: SharedConnection,
        attempt: Attempt,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
    ) -> Result:
        connection = await shared.connection(attempt.endpoint)
        size = len(payload) + sum(len(name) + len(text) + 4 for name, text in headers.items()) + 12
        if size > connection.max_payload:
            return Rejected("the message is above the server's max_payload")
        is_answered = self.target.acknowledge == "Stream"
        answer = await connection.publish(subject, headers, payload, is_answered=is_answered)
        if not is_answered:
            return Delivered()
        return result_of_answer(answer, self.target.stream, is_whole=self._has_one_subject)

    def _subject(self, attempt: Attempt) -> str:
        item = attempt.item
        return rendered_subject(
            self.target.subject,
            {
                "namespace": attempt.endpoint.namespace,
                "endpoint": attempt.endpoint.name,
                "destination": attempt.destination,
                "kind": item.kind,
                "type": known_word(item.type),
                "lane": attempt.lane,
                "channel": item.channel,
                "conversation": attempt.conversation,
            },
        )

    def _message(self, attempt: Attempt) -> tuple[bytes, dict[str, str]]:
        headers = {
            "Nats-Msg-Id": f"{attempt.token}:{attempt.endpoint}/{attempt.destination}",
            "Forebay-Attempt": str(attempt.number),
            "Forebay-Endpoint": str(attempt.endpoint),
            "traceparent": attempt.request_traceparent or attempt.traceparent,
        }
        if self.target.stream:
            headers["Nats-Expected-Stream"] = self.target.stream
        if attempt.item.kind == BODY_KIND:
            # It waited for a destination of another kind, which wanted webhooks as they came.
            webhook = decode_body(attempt.item)
            return webhook.content, headers | {"content-type": JSON_TYPE} | dict(webhook.headers)
        if self.target.mode == "Structured":
            return encode_event(attempt), headers | {"Content-Type": STRUCTURED_TYPE}
        return bytes(data_of(attempt)), headers | _attributes(attempt)


def _attributes(attempt: Attempt) -> dict[str, str]:
    """Return an event's attributes as headers, and the type of its data."""
    event = event_of(attempt)
    found: dict[str, str] = {"Content-Type": JSON_TYPE}
    for name in event.__struct_fields__:
        value: Any = getattr(event, name)
        if name == "data" or value in ("", False, None):
            continue
        text = str(value).lower() if isinstance(value, bool) else str(value)
        found[f"ce-{name}"] = urllib.parse.quote(text, safe=_PLAIN)
    return found


def result_of_answer(answer: bytes, stream: str, *, is_whole: bool) -> Result:
    """Judge what came back for a message.

    Args:
        answer: JetStream's; empty where nobody listens on the subject.
        stream: The only one that may have stored it; empty for any.
        is_whole: Whether all items of the destination have this subject.
    """
    trouble = Trouble.DESTINATION if is_whole else Trouble.ITEM
    if not answer:
        return Failed("no stream takes the subject", trouble=trouble)
    try:
        ack = _DECODE(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Failed("somebody answers who is no stream", trouble=trouble)
    if ack.error is not None:
        return _of_error(ack.error, trouble)
    if not ack.stream or ack.seq <= 0:
        return Failed("somebody answers who is no stream", trouble=trouble)
    if stream and ack.stream != stream:
        return Failed("another stream has the subject", trouble=Trouble.REFUSED)
    return Delivered()


def _of_error(error: dict[str, Any], trouble: Trouble) -> Result:
    code = error.get("err_code")
    words = f"status {code}" if isinstance(code, int) and 0 <= code < 100_000 else "an error"  # noqa: PLR2004  # five digits
    said = answer_excerpt(str(error.get("description", "")).encode()[:1024])
    kind = store_error(error)
    if isinstance(kind, MessageTooLarge):
        return Rejected("the message is above the stream's max_msg_size", said)
    if code == _WRONG_STREAM:
        return Failed("another stream has the subject", trouble=Trouble.REFUSED, said=said)
    if isinstance(kind, StoreFull):
        return Failed("the stream is full", trouble=trouble, said=said)
    if isinstance(kind, StoreUnavailable):
        return Failed("the stream has no leader", trouble=trouble, said=said)
    return Failed(f"JetStream's {words}", said=said)
