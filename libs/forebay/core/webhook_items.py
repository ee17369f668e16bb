"""A stored webhook cut into its items once more, outside of a processor: for commands of people.

The provider's name is in tables, which a command does not have; its bodies' format follows from
what is stored with them. Items come out with the keys that a processor gives them, of which their
ids follow. Nothing here is limited but by the bytes of a body and the number of its items.
"""

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple

from forebay.core import envelope
from forebay.core.body_item import body_item
from forebay.core.body_packing import SHOWN_LIMIT, unpacked
from forebay.core.content_encoding import decode_body
from forebay.core.errors import UnreadableBody
from forebay.core.item import Item
from forebay.core.providers.registry import provider_of
from forebay.core.tolerant_json import read_json

__all__ = ["MOST_ITEMS", "CutWebhook", "cut_webhook"]

MOST_ITEMS: Final = 50_000
"""Items of a body: what a processor takes by default, and 50 times what a provider sends."""


class CutWebhook(NamedTuple):
    """What a webhook holds."""

    items: list[Item]
    """In the order in which they stand; at least one."""

    whole: Item
    """All of it as one item, which destinations of the format `Raw` get."""


def cut_webhook(payload: bytes, headers: Mapping[str, str]) -> CutWebhook:
    """Cut a message of RAW; takes some milliseconds for each hundred items.

    Raises:
        UnreadableBody: where it is no webhook, or holds more than it may.
    """
    sent = unpacked(payload, headers, SHOWN_LIMIT)
    body = decode_body(sent, headers.get(envelope.CONTENT_ENCODING, ""), SHOWN_LIMIT)
    try:
        document, repaired = read_json(body)
    except RecursionError as error:
        message = "the body is nested too deeply"
        raise UnreadableBody(message) from error
    event_id = headers.get(envelope.EVENT_ID)
    # Receivers store an id of the event at generic endpoints, and nowhere else.
    provider = provider_of("meta" if event_id is None else "generic")
    received_at = envelope.received_millis(headers) / 1000
    found = provider.body_format.cut(
        document,
        body_sha256=hashlib.sha256(sent).hexdigest(),
        received_at=received_at,
        event_id=event_id,
        repaired=repaired,
    )
    items = list(islice(found, MOST_ITEMS + 1))
    if not items:
        message = "the body holds no item"
        raise UnreadableBody(message)
    if len(items) > MOST_ITEMS:
        message = f"the body holds more than {MOST_ITEMS:,} items"
        raise UnreadableBody(message)
    return CutWebhook(items, body_item(sent, headers, items, received_at))
