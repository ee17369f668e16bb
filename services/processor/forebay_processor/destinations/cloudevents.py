"""An item as a CloudEvent 1.0 in JSON, and its Standard Webhooks signature.

Formats: CloudEvents 1.0 JSON event format (structured mode), Standard Webhooks 1.0. The extension
attributes are `itemkey`, `itemtype`, `lane`, `channel`, `conversation`, `otherchannel`,
`superseded`, `variant` and `repaired`.
"""

import base64
import hashlib
import hmac
from typing import Final

import msgspec

from forebay_processor.destinations.port import Attempt

__all__ = ["CLOUDEVENTS_TYPE", "encode_event", "standard_webhooks_signature"]

CLOUDEVENTS_TYPE: Final = "application/cloudevents+json; charset=utf-8"

_SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix that the standard gives secrets


class _Event(msgspec.Struct, kw_only=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    time: str
    datacontenttype: str
    traceparent: str
    itemkey: str
    itemtype: str
    lane: str
    channel: str = ""
    conversation: str
    otherchannel: bool = False
    superseded: bool = False
    variant: bool = False
    repaired: bool = False
    data: msgspec.Raw


_ENCODE = msgspec.json.Encoder().encode


def encode_event(attempt: Attempt) -> bytes:
    """Return the body of a delivery.

    It is equal for every attempt of an item, but for a status outside the order: that can be
    `superseded` at a later attempt.
    """
    item = attempt.item
    namespace, name = attempt.endpoint
    return _ENCODE(
        _Event(
            specversion="1.0",
            id=attempt.token,
            source=f"/forebay/{namespace}/{name}",
            type=f"dev.forebay.whatsapp.{item.kind}",
            time=item.time,
            datacontenttype="application/json",
            traceparent=attempt.traceparent,
            itemkey=item.key,
            itemtype=item.type,
            lane=attempt.lane,
            channel=item.channel,
            conversation=attempt.conversation,
            otherchannel=attempt.other_channel,
            superseded=attempt.superseded,
            variant=item.variant,
            repaired=item.repaired,
            data=item.data,
        ),
    )


def standard_webhooks_signature(
    secrets: tuple[str, ...], webhook_id: str, timestamp: int, body: bytes
) -> str:
    """Return the header `webhook-signature`: one `v1` signature for each live secret.

    Args:
        secrets: `whsec_` and base64, or base64 alone.
        webhook_id: The header `webhook-id`.
        timestamp: The header `webhook-timestamp`, Unix seconds.
        body: The bytes as they are sent.
    """
    content = b"%s.%d." % (webhook_id.encode(), timestamp) + body
    signatures = []
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
        digest = hmac.new(key, content, hashlib.sha256).digest()
        signatures.append(f"v1,{base64.b64encode(digest).decode()}")
    return " ".join(signatures)
