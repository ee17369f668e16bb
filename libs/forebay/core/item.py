"""One item: what a webhook is cut into, and what is stored, delivered, counted and kept.

Made by `item_cutter` and `body_item`, read by all that handle items.
"""

from datetime import UTC, datetime

import msgspec

from forebay.core.item_kinds import KIND_LANES
from forebay.core.json_values import Json
from forebay.core.subjects import Lane, key_token

__all__ = ["Item", "first_key", "rfc3339", "variant_of"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, cut out of a webhook."""

    key: str
    """What makes it this item and no other, readable: `msg:<phone number id>:<wamid>`."""

    kind: str
    """One of KINDS."""

    type: str
    """What the provider calls it within its kind: `text`, `delivered`, `connect`, a field."""

    channel: str
    """The phone number id; empty for what belongs to a whole account."""

    conversation: str
    """16 hex digits: items of one person's talk with one channel share them."""

    time: str
    """When it happened, RFC 3339 in UTC; the receipt's time where the provider says none."""

    data: Json
    """The provider's change, cut down to this item."""

    digest: str = ""
    """16 hex digits of its content, without what changes by itself. Two items with one key and one
    digest are one; with two digests the second is a variant."""

    is_complete: bool = True
    """Whether the key holds all fields that belong to it; else it is a hash of the item."""

    is_dateless: bool = False
    """Whether it has neither an id nor a time of its own: the receipt's bucket is in its key."""

    variant: bool = False
    """Whether its key was taken by an item of other content."""

    repaired: bool = False
    """Whether something in the body could not be represented and was replaced."""

    @property
    def lane(self) -> Lane:
        """How urgent it is."""
        return KIND_LANES[self.kind]

    @property
    def token(self) -> str:
        """The key's hash, as subjects and `webhook-id` carry it."""
        return key_token(self.key)


def variant_of(item: Item) -> Item:
    """Return an item whose key is taken by other content, under a key of its own."""
    return msgspec.structs.replace(item, key=f"{item.key}~{item.digest}", variant=True)


def first_key(key: str) -> str:
    """Return the key that was taken, of the key of a variant."""
    return key.rpartition("~")[0]


def rfc3339(seconds: float) -> str:
    """Return a time since the epoch as items have it: in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
