"""Splitting a webhook's body into items, each with the key that tells it from all others.

A body holds `entry x change x item`: up to 1,000 items, of several channels. Each item comes out
as the provider's own change, cut down to that one item, so that nothing the provider sent is lost
and a destination finds it where the provider's reference says. What no reference knows comes out
as kind `unknown`; what is of the wrong shape is kept the same way. A body that is not JSON, or of
no known envelope, raises UnreadableBody.

The keys are the corpus' (tests/data/payloads): they are a stored format, see `subjects`.
"""

import hashlib
from collections.abc import Iterator

from forebay.core.cutting import ItemCutter
from forebay.core.errors import UnreadableBody
from forebay.core.item import Item, rfc3339, variant_of
from forebay.core.item_keys import REPEAT_WINDOW_SECONDS
from forebay.core.item_kinds import ACCOUNT_FIELDS, KIND_LANES, KINDS, WALKS
from forebay.core.json_values import Json
from forebay.core.providers.names import ProviderName
from forebay.core.reading import read_json

__all__ = [
    "ACCOUNT_FIELDS",
    "KINDS",
    "KIND_LANES",
    "REPEAT_WINDOW_SECONDS",
    "WALKS",
    "Item",
    "cut",
    "rfc3339",
    "split",
    "variant_of",
]


def split(
    provider: ProviderName, body: bytes, received_at: float, event_id: str | None = None
) -> list[Item]:
    """Cut a body into its items, all at once; see `cut`.

    Raises:
        UnreadableBody: where the body is not JSON, or of no envelope known for this provider.
    """
    document, repaired = read_json(body)
    return list(
        cut(
            provider,
            document,
            body_sha256=hashlib.sha256(body).hexdigest(),
            received_at=received_at,
            event_id=event_id,
            repaired=repaired,
        )
    )


def cut(  # what a body is, and what is known of its receipt
    provider: ProviderName,
    document: Json,
    *,
    body_sha256: str,
    received_at: float,
    event_id: str | None = None,
    repaired: bool = False,
) -> Iterator[Item]:
    """Cut a body that was read into its items, one by one, in the order in which they stand in it.

    What is no webhook is told at once, before the first item.

    Args:
        provider: Whose envelope to expect; a `generic` body is one item whatever it holds.
        document: The body, decoded.
        body_sha256: The SHA-256 of the body's bytes, in hex.
        received_at: When it came, in seconds since the epoch: the same at every redelivery, for it
            is part of some keys.
        event_id: At a generic endpoint, what tells this event from all others.
        repaired: Whether something in the body could not be represented and was replaced.

    Raises:
        UnreadableBody: where the body is of no envelope known for this provider.
    """
    cutter = ItemCutter(received_at, repaired=repaired)
    if provider == "generic":
        return iter([cutter.generic(body_sha256, document, event_id)])
    if not isinstance(document, dict):
        message = "the body is not a JSON object"
        raise UnreadableBody(message)
    if isinstance(document.get("entry"), list) and document["entry"]:
        return cutter.entries(document)
    if isinstance(document.get("event"), str) and "data" in document:
        return cutter.partner_event(document)
    message = "the body has neither entries nor a partner event"
    raise UnreadableBody(message)
