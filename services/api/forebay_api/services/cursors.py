"""Where the next page of a list begins. Opaque to who asks, and checked when it comes back."""

import re
from typing import Final, NamedTuple

from forebay.core.errors import ConfigurationError
from forebay.runtime.jetstream.stream_reader import StreamPlace

__all__ = ["ItemPlace", "item_place", "item_place_text", "stream_place", "stream_place_text"]

_STREAM: Final = re.compile(r"s\.([a-z0-9-]{1,63})\.([0-9]{1,18})")
_ITEMS: Final = re.compile(r"i\.([0-9]{1,6})\.([0-9]{1,15})\.([0-9]{1,15})")


class ItemPlace(NamedTuple):
    """A place in a list of items: times are fixed when the first page is made."""

    passed: int
    """Items before it."""

    since: int
    """Milliseconds since the epoch."""

    until: int


def stream_place(text: str | None) -> StreamPlace | None:
    """Read a place in a stream; raises ConfigurationError."""
    if text is None:
        return None
    found = _STREAM.fullmatch(text)
    if found is None:
        raise _unknown()
    return StreamPlace(found[1], int(found[2]))


def stream_place_text(place: StreamPlace) -> str:
    """Return what stands for a place in a stream."""
    return f"s.{place.shard}.{place.sequence}"


def item_place(text: str | None) -> ItemPlace | None:
    """Read a place in a list of items; raises ConfigurationError."""
    if text is None:
        return None
    found = _ITEMS.fullmatch(text)
    if found is None:
        raise _unknown()
    return ItemPlace(*map(int, found.groups()))


def item_place_text(place: ItemPlace) -> str:
    """Return what stands for a place in a list of items."""
    return f"i.{place.passed}.{place.since}.{place.until}"


def _unknown() -> ConfigurationError:
    message = "cursor is none of this list: take the `next` of the page before"
    return ConfigurationError(message)
