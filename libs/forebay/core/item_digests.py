"""Digests: what an item says, without what changes by itself. A stored format, version 2.

Two items with one key and one digest are one thing reported twice; with two digests the second one is a
variant, and is delivered as well. So what is left out here must be known to change while the thing
that happened stays the same. This is the whole list, and why:

| what | why |
| --- | --- |
| who sent or got it, by number or user id (`IDENTITY_NAMES`), also within `context` | a retry can name a person by a number, and by a user id as well |
| `contacts` beside the items | the same; and a profile's name is as it is at that moment |
| `url` of an image, audio, video, document or sticker | a link with a token that expires: each report has a new one |
| `image_url`, `video_url`, `thumbnail_url` of a `referral` | the same |
| `time` of the entry | when the webhook was sent, not when it happened; it is in the keys that need it |
| of a history: `metadata` of the chunk, `id` and `context` of the thread | which part of the transfer it came in, and who the person is |

What stands beside an item, and is no item itself, counts: it must not vanish because the item is a
repeat.
"""  # noqa: E501  # a table's row is a line

import hashlib
from typing import Final, Protocol

from forebay.core.json_values import Json, canonical_json, without
from forebay.core.participants import IDENTITY_NAMES

__all__ = ["Hash", "digest_of", "digest_within", "encoded_frame", "hash_of_frame"]


class Hash(Protocol):
    """A hash that goes on from what it has seen: of hashlib."""

    def copy(self) -> "Hash":
        """Return another one that goes on from here."""

    def hexdigest(self) -> str:
        """Return its value."""

    def update(self, data: bytes, /) -> None:
        """Take in more."""


_BYTES: Final = 8
_IDENTITIES: Final = frozenset(IDENTITY_NAMES)
_MEDIA: Final = frozenset({"image", "audio", "voice", "video", "document", "sticker"})
_LINK: Final = frozenset({"url"})
_REFERRAL_LINKS: Final = frozenset({"image_url", "video_url", "thumbnail_url"})
_SENT_AT: Final = frozenset({"time"})


def _stable(part: Json) -> Json:
    """Return what an item says, without what changes by itself."""
    if not isinstance(part, dict):
        return part
    own = part.copy()
    for name in _IDENTITIES.intersection(part):
        del own[name]
    kind = own.get("type")
    if isinstance(kind, str) and kind in _MEDIA:
        _leave_out(own, kind, _LINK)
    if "context" in own:
        _leave_out(own, "context", _IDENTITIES)
    if "referral" in own:
        _leave_out(own, "referral", _REFERRAL_LINKS)
    return own


def _leave_out(own: dict[str, Json], name: str, properties: frozenset[str]) -> None:
    inner = own.get(name)
    if isinstance(inner, dict):
        own[name] = without(inner, properties)


def encoded_frame(outer: dict[str, Json], base: Json) -> bytes:
    """Return what stands around the items of a change, as far as it counts, in canonical JSON."""
    return canonical_json([without(outer, _SENT_AT), base])


def hash_of_frame(encoded: bytes) -> Hash:
    """Return the hash of what stands around the items of a change, to go on from for each."""
    return hashlib.blake2b(encoded, digest_size=_BYTES)


def digest_of(data: dict[str, Json]) -> str:
    """Return the 16 hex digits of something that was not cut out of a list."""
    digest = hashlib.blake2b(digest_size=_BYTES)
    digest.update(canonical_json(without(data, _SENT_AT)))
    return digest.hexdigest()


def digest_within(frame: Hash, name: str, part: Json, beside: Json = None) -> str:
    """Return the 16 hex digits of an item of the named list, and of what stands around it."""
    digest = frame.copy()
    digest.update(canonical_json([name, _stable(part), beside]))
    return digest.hexdigest()
