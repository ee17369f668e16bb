"""Splitting a webhook's body into items, each with the key that tells it from all others.

A body holds `entry x change x item`: up to 1,000 items, of several channels. Each item comes out
as the provider's own change, cut down to that one item, so that nothing the provider sent is lost
and a destination finds it where the provider's reference says. What no reference knows comes out
as kind `unknown`; what is of the wrong shape is kept the same way. A body that is not JSON, or of
no known envelope, raises UnreadableBody.

The keys are the corpus' (tests/data/payloads): they are a stored format, see `subjects`.
"""

import hashlib

from forebay.core.item import Item, rfc3339, variant_of
from forebay.core.item_keys import REPEAT_WINDOW_SECONDS
from forebay.core.item_kinds import ACCOUNT_FIELDS, KIND_LANES, KINDS, WALKS
from forebay.core.providers.names import ProviderName
from forebay.core.providers.registry import provider_of
from forebay.core.reading import read_json

__all__ = [
    "ACCOUNT_FIELDS",
    "KINDS",
    "KIND_LANES",
    "REPEAT_WINDOW_SECONDS",
    "WALKS",
    "Item",
    "rfc3339",
    "split",
    "variant_of",
]


def split(
    provider: ProviderName, body: bytes, received_at: float, event_id: str | None = None
) -> list[Item]:
    """Cut a body into its items, all at once; see `BodyFormat.cut`.

    Raises:
        UnreadableBody: where the body is not JSON, or of no envelope known for this provider.
    """
    document, repaired = read_json(body)
    return list(
        provider_of(provider).body_format.cut(
            document,
            body_sha256=hashlib.sha256(body).hexdigest(),
            received_at=received_at,
            event_id=event_id,
            repaired=repaired,
        )
    )
