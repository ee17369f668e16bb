"""Which lane of RAW a webhook goes to: the lane of the most urgent thing in it.

The receiver asks this for every webhook, so it reads no more than it needs, and what it reads is
bounded whatever the body is:

- **A small body** is decoded by msgspec, which skips what stands in the items (1 to 2 µs for 0.5
  KB). One of an unusual shape is read with the tolerant reader and walked like the splitter does.
- **A large body** is searched for the names that matter, piece by piece, and no object is made of
  it. In JSON a quote inside a string has a backslash before it, so `"messages"` without one is a
  whole string, and with `:` behind it a name. Whether it stands where it should is not looked at:
  the provider's own bodies say so by the field of their change, which is.
- **A compressed body** is searched at its beginning only.

The lane says how soon a webhook is split, never whether: the splitter judges each body by itself,
and sets aside what it cannot read whatever its lane was. So a large body that only looks like a
webhook goes to the lane that it looks like.
"""

import re
from collections.abc import Generator
from typing import Final

import msgspec

from forebay.core.content_encoding import beginning
from forebay.core.errors import UnreadableBody
from forebay.core.item_kinds import KIND_LANES, WALKS
from forebay.core.json_values import Json, as_dict, as_list, as_text
from forebay.core.providers.names import ProviderName
from forebay.core.reading import read_json
from forebay.core.subjects import Lane

__all__ = ["SMALL_BODY", "finding_lane", "lane_of"]

SMALL_BODY: Final = 16 * 1024
"""Bytes of a body up to which it is decoded. The worst of this size takes a few milliseconds and
some hundred kilobytes; most webhooks have less than 4 KiB."""

_PIECE: Final = 64 * 1024
"""Bytes that are searched at once: 0.05 ms, and 0.7 ms where all of it is quotes."""

_OVERLAP: Final = 256
"""Bytes that are looked at beyond a piece, to see the end of what begins in it."""

_NAMES_AT_ONCE: Final = 512
"""Names that are found before others get their turn."""

_NAMES_LIMIT: Final = 20_000
"""Names that are found before the search ends. A webhook of 1,000 changes holds 3,000."""

_NAMES_IN_ONE_PIECE: Final = 4_096
"""The same where nobody gets a turn meanwhile: 2 to 3 ms. 128 KiB of changes hold 1,500."""

_BEGINNING: Final = 64 * 1024
"""Bytes of a compressed body's content that are looked at."""


class _Anything(msgspec.Struct, gc=False):
    """An object whose members are skipped."""


_Items = tuple[_Anything, ...]

_URGENCY: Final = {lane: rank for rank, lane in enumerate(Lane)}
_URGENT_LISTS: Final = {
    field: sorted(
        ((name, KIND_LANES[kind]) for name, kind in walk.items() if KIND_LANES[kind] != Lane.BULK),
        key=lambda pair: _URGENCY[pair[1]],
    )
    for field, walk in WALKS.items()
}
"""For each field of a number: the lists that make a webhook urgent, the most urgent first."""

_LIST_NAMES: Final = sorted({name for lists in _URGENT_LISTS.values() for name, _ in lists})

_OTHER_NAMES: Final = ("field", "value", "entry", "event", "data")

_Value: Final = msgspec.defstruct(
    "_Value", [(name, _Items, ()) for name in _LIST_NAMES], gc=False, module=__name__
)
"""The lists whose items make a webhook urgent."""


class _Change(msgspec.Struct, gc=False):
    value: _Value  # type: ignore[valid-type]  # made from the walks, above
    field: str = ""


class _Entry(msgspec.Struct, gc=False):
    changes: tuple[_Change, ...]


class _Body(msgspec.Struct, gc=False):
    entry: tuple[_Entry, ...]


_DECODE: Final = msgspec.json.Decoder(_Body).decode
_DECODE_ANY: Final = msgspec.json.Decoder(msgspec.Raw).decode

_LIVE: Final = Lane.LIVE
_BULK: Final = Lane.BULK
_INVALID: Final = Lane.INVALID
"""Looking up an enumeration's member takes as long as looking up four of these."""

_UNSEARCHED: Final = ("history", "errors")
"""A field and a list that also stands inside its items: in a search it says nothing."""

_NAMES: Final = re.compile(
    rb'"(?<!\\")(?=[%b])(?:'
    rb'(?P<field>field)"\s{0,16}:\s{0,16}"(?P<of>[a-z_]{1,64})"'
    rb'|(?P<value>value)"\s{0,16}:\s{0,16}\{'
    rb'|(?P<entry>entry)"\s{0,16}:\s{0,16}\[\s{0,16}[^\]\s]'
    rb'|(?P<event>event)"\s{0,16}:\s{0,16}"'
    rb'|(?P<data>data)"\s{0,16}:'
    rb'|(?P<list>%b)"\s{0,16}:\s{0,16}\[\s{0,16}[^\]\s])'
    % (
        "".join(sorted({name[0] for name in (*_OTHER_NAMES, *_LIST_NAMES)})).encode(),
        "|".join(_LIST_NAMES).encode(),
    )
)
"""A name that matters, with as much of its value as says whether it does. It begins with a quote,
for which Python looks fastest, and what is seldom comes last."""

_MARK: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\n\r"
_PAIRS: Final = frozenset({b"{}", b"[]", b'""'})
"""What a large JSON value begins and ends with."""


def lane_of(provider: ProviderName, body: bytes, encoding: bytes | None = None) -> Lane:
    """Return the lane of a body; never raises: what cannot be read is `invalid`.

    Args:
        provider: Whose envelope to expect.
        body: The bytes as they came.
        encoding: The value of `Content-Encoding`.
    """
    if encoding:
        return _lane_of_encoded(provider, body, encoding.decode("latin-1"))
    if len(body) > SMALL_BODY:
        return _at_once(finding_lane(provider, body, _NAMES_IN_ONE_PIECE))
    try:
        if provider == "generic":
            _DECODE_ANY(body)
            return _LIVE
        document = _DECODE(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lane_of_oddity(provider, body)
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


def finding_lane(
    provider: ProviderName, body: bytes, names_limit: int = _NAMES_LIMIT
) -> Generator[None, None, Lane]:
    """Find the lane of a large body, piece by piece; see `lane_of`."""
    pair = _first_and_last(body)
    if provider == "generic":
        # Nothing else of this size is one value.
        return _LIVE if pair in _PAIRS else _INVALID
    if pair != b"{}":
        return _INVALID
    return (yield from _Search().through(body, names_limit))


def _first_and_last(body: bytes) -> bytes:
    """Return the first and the last byte that are no space; nothing where all of it is."""
    first = last = b""
    for start in range(0, len(body), _PIECE):
        if first := body[start : start + _PIECE].removeprefix(_MARK).lstrip(_SPACE)[:1]:
            break
    for end in range(len(body), 0, -_PIECE):
        if last := body[max(0, end - _PIECE) : end].rstrip(_SPACE)[-1:]:
            break
    return first + last


class _Search:
    """Goes through the names of a body that matter, and knows what was found so far.

    `field` and `value` of a change come in either order, but in the same one throughout a body. So
    a list belongs to the field before it, or, where a value came before the first field, to the
    next one.
    """

    def __init__(self) -> None:
        self._is_field_first: bool | None = None
        self._field = ""
        self._waiting: set[str] = set()
        """Lists whose field has not come yet."""

        self._seen: set[str] = set()
        self._lane = _BULK

    def through(self, body: bytes, names_limit: int) -> Generator[None, None, Lane]:
        """Search a body, up to some number of names (and less than `_NAMES_AT_ONCE` more)."""
        found = 0
        for start in range(0, len(body), _PIECE):
            end = start + _PIECE
            for name in _NAMES.finditer(body, start, end + _OVERLAP):
                if name.start() >= end:
                    break  # the next piece's
                self._take(name)
                if self._lane is _LIVE:
                    return _LIVE
                found += 1
                if found % _NAMES_AT_ONCE == 0:
                    if found >= names_limit:
                        return self._known_lane()
                    yield
            yield
        return self._known_lane()

    def _known_lane(self) -> Lane:
        is_known = "entry" in self._seen or {"event", "data"} <= self._seen
        return self._lane if is_known else _INVALID

    def _take(self, name: re.Match[bytes]) -> None:
        kind = name.lastgroup or ""
        if kind == "list":
            text = name["list"].decode()
            if self._is_field_first:
                self._count(self._field, text)
            else:
                self._waiting.add(text)
        elif kind == "of":
            self._field = name["of"].decode()
            if self._is_field_first is None:
                self._is_field_first = True
            for text in self._waiting:
                self._count(self._field, text)
            self._waiting.clear()
        elif kind == "value":
            if self._is_field_first is None:
                self._is_field_first = False
        else:
            self._seen.add(kind)

    def _count(self, field: str, list_name: str) -> None:
        if (field, list_name) == _UNSEARCHED:
            return
        for name, lane in _URGENT_LISTS.get(field, ()):
            if name == list_name and _URGENCY[lane] < _URGENCY[self._lane]:
                self._lane = lane


def _lane_of_change(change: "_Change") -> Lane:
    for name, lane in _URGENT_LISTS.get(change.field, ()):
        if getattr(change.value, name):
            return lane
    return _BULK


def _lane_of_encoded(provider: ProviderName, body: bytes, encoding: str) -> Lane:
    """Return the lane of a compressed body, by its beginning."""
    try:
        content, is_whole = beginning(body, encoding, _BEGINNING)
    except UnreadableBody:
        return _INVALID
    if provider == "generic":
        return _LIVE
    if is_whole:
        return lane_of(provider, content)
    lane = _at_once(_Search().through(content, _NAMES_IN_ONE_PIECE))
    return _BULK if lane is _INVALID else lane


def _at_once(search: Generator[None, None, Lane]) -> Lane:
    while True:
        try:
            next(search)
        except StopIteration as end:
            lane: Lane = end.value
            return lane


def _lane_of_oddity(provider: ProviderName, body: bytes) -> Lane:
    """Return the lane of a small body that is not of the usual shape, or not readable at once."""
    try:
        document = read_json(body).document
    except UnreadableBody:
        return _INVALID
    if provider == "generic":
        return _LIVE
    envelope = as_dict(document)
    if entries := as_list(envelope.get("entry")):
        return min(map(_lane_of_odd_entry, entries), key=_URGENCY.__getitem__)
    is_partner_event = isinstance(envelope.get("event"), str) and "data" in envelope
    return _BULK if is_partner_event else _INVALID


def _lane_of_odd_entry(entry: Json) -> Lane:
    found = _BULK
    for change in as_list(as_dict(entry).get("changes")):
        value = as_dict(as_dict(change).get("value"))
        if not value:
            continue
        for name, lane in _URGENT_LISTS.get(as_text(change.get("field")), ()):
            is_held = any(isinstance(part, dict) for part in as_list(value.get(name)))
            if is_held and _URGENCY[lane] < _URGENCY[found]:
                found = lane
    return found
