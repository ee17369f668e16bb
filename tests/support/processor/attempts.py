"""An attempt to deliver, of which only what a test is about is its own."""

import msgspec

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import StoredItem
from forebay.core.subjects import Lane, key_token
from forebay_processor.destinations.port import Attempt

__all__ = ["attempt"]


def attempt(*, key: str = "k", kind_type: str = "text", channel: str = "1") -> Attempt:
    """Return the first attempt of an item."""
    data = msgspec.json.encode({"id": key, "type": kind_type, "channel": channel})
    return Attempt(
        endpoint=EndpointName("demo", "meta"),
        destination="crm",
        lane=Lane.LIVE,
        token=key_token(key),
        conversation="0123456789abcdef",
        item=StoredItem(
            key=key,
            kind="messages",
            type=kind_type,
            channel=channel,
            time="2026-11-20T09:00:01.000Z",
            data=msgspec.Raw(data),
        ),
        number=1,
        received_at=1_767_225_600.0,
        traceparent="",
        other_channel=False,
    )
