"""Bodies of any JSON: each is one item, passed on as it stands.

For the modules of `providers` only.
"""

from collections.abc import Generator, Iterator
from typing import Final

import msgspec

from forebay.core.content_encoding import beginning
from forebay.core.errors import UnreadableBody
from forebay.core.item import Item
from forebay.core.item_cutter import ItemCutter
from forebay.core.json_values import Json
from forebay.core.priority_search_limits import BEGINNING, INVALID, LIVE, SMALL_BODY, first_and_last
from forebay.core.subjects import Lane
from forebay.core.tolerant_json import read_json

__all__ = ["ANY_JSON", "AnyJson"]

_DECODE: Final = msgspec.json.Decoder(msgspec.Raw).decode

_PAIRS: Final = frozenset({b"{}", b"[]", b'""'})
"""What a large JSON value begins and ends with."""


class AnyJson:
    """The format of bodies of which nothing is known but that they are JSON."""

    is_one_item: Final = True

    def lane_of(self, body: bytes, encoding: bytes | None = None) -> Lane:
        """Return the lane of a body; see `BodyFormat`."""
        if encoding:
            return _lane_of_encoded(body, encoding.decode("latin-1"))
        if len(body) > SMALL_BODY:
            return _lane_of_large(body)
        try:
            _DECODE(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _lane_of_oddity(body)
        return LIVE

    def finding_lane(self, body: bytes) -> Generator[None, None, Lane]:
        """Find the lane of a large body: at once; see `BodyFormat`."""
        yield from ()
        return _lane_of_large(body)

    def cut(  # what a body is, and what is known of its receipt
        self,
        document: Json,
        *,
        body_sha256: str,
        received_at: float,
        event_id: str | None = None,
        repaired: bool = False,
    ) -> Iterator[Item]:
        """Return the one item of a body that was read; see `BodyFormat`."""
        cutter = ItemCutter(received_at, repaired=repaired)
        return iter([cutter.generic(body_sha256, document, event_id)])

    def sample(self, *, mark: str, time: int, channel: str) -> Json:  # noqa: ARG002  # see `BodyFormat`
        """Return a small event; see `BodyFormat`."""
        return {"hello": "forebay", "id": mark}


ANY_JSON: Final = AnyJson()


def _lane_of_large(body: bytes) -> Lane:
    # Nothing else of this size is one value.
    return LIVE if first_and_last(body) in _PAIRS else INVALID


def _lane_of_encoded(body: bytes, encoding: str) -> Lane:
    """Return the lane of a compressed body, whose beginning has to be of its encoding."""
    try:
        beginning(body, encoding, BEGINNING)
    except UnreadableBody:
        return INVALID
    return LIVE


def _lane_of_oddity(body: bytes) -> Lane:
    """Return the lane of a small body that only the tolerant reader takes, if any."""
    try:
        read_json(body)
    except UnreadableBody:
        return INVALID
    return LIVE
