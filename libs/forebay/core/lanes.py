"""Which lane of RAW a webhook goes to: the lane of the most urgent thing in it.

The receiver asks this for every webhook, so it reads no more than it needs: msgspec decodes the
envelope and skips what stands in the items (1 to 2 µs for 0.5 KB). A body of an unusual shape is
looked at again, slowly, by the splitter itself.
"""

from typing import Final

import msgspec

from forebay.core.errors import UnreadableBody
from forebay.core.items import KIND_LANES, WALKS, split
from forebay.core.subjects import Lane
from forebay.core.tables import Provider

__all__ = ["lane_of"]


class _Anything(msgspec.Struct, gc=False):
    """An object whose members are skipped."""


_Items = tuple[_Anything, ...]


class _Value(msgspec.Struct, gc=False):
    """The lists whose items make a webhook urgent."""

    messages: _Items = ()
    statuses: _Items = ()
    errors: _Items = ()
    calls: _Items = ()
    message_echoes: _Items = ()
    user_preferences: _Items = ()


class _Change(msgspec.Struct, gc=False):
    value: _Value
    field: str = ""


class _Entry(msgspec.Struct, gc=False):
    changes: tuple[_Change, ...]


class _Body(msgspec.Struct, gc=False):
    entry: tuple[_Entry, ...]


_DECODE = msgspec.json.Decoder(_Body).decode
_DECODE_ANY = msgspec.json.Decoder(msgspec.Raw).decode

_URGENCY: Final = {lane: rank for rank, lane in enumerate(Lane)}
_URGENT_LISTS: Final = {
    field: sorted(
        ((name, KIND_LANES[kind]) for name, kind in walk.items() if KIND_LANES[kind] != Lane.BULK),
        key=lambda pair: _URGENCY[pair[1]],
    )
    for field, walk in WALKS.items()
}
"""For each field of a number: the lists that make a webhook urgent, the most urgent first."""


_LIVE: Final = Lane.LIVE
_BULK: Final = Lane.BULK
_INVALID: Final = Lane.INVALID
"""Looking up an enumeration's member takes as long as looking up four of these."""


def lane_of(provider: Provider, body: bytes) -> Lane:
    """Return the lane of a body; never raises: what cannot be read is `invalid`."""
    try:
        if provider == "generic":
            _DECODE_ANY(body)
            return _LIVE
        document = _DECODE(body)
    except msgspec.ValidationError:
        return _lane_of_oddity(provider, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _INVALID
    found = _INVALID
    for entry in document.entry:
        if not entry.changes and found is _INVALID:
            found = _BULK  # the splitter keeps it, as an item of kind `unknown`
        for change in entry.changes:
            lane = _lane_of_change(change)
            if lane is _LIVE:
                return lane
            if _URGENCY[lane] < _URGENCY[found]:
                found = lane
    return found


def _lane_of_change(change: _Change) -> Lane:
    for name, lane in _URGENT_LISTS.get(change.field, ()):
        if getattr(change.value, name):
            return lane
    return _BULK


def _lane_of_oddity(provider: Provider, body: bytes) -> Lane:
    try:
        items = split(provider, body, received_at=0)
    except UnreadableBody:
        return Lane.INVALID
    return min((KIND_LANES[item.kind] for item in items), key=_URGENCY.__getitem__)
