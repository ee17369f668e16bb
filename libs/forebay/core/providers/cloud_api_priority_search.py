"""Searching a large body of the Cloud API for what makes it urgent, without making objects of it.

For `cloud_api_format`. In JSON a quote inside a string has a backslash before it, so `"messages"`
without one is a whole string, and with `:` behind it a name. Whether it stands where it should is
not searched: the provider's own bodies say so by the field of their change, which is.
"""

import re
from collections.abc import Generator
from typing import Final

from forebay.core.item_kinds import KIND_LANES, WALKS
from forebay.core.priority_search_limits import BULK, INVALID, LIVE, PIECE
from forebay.core.subjects import Lane

__all__ = ["LIST_NAMES", "URGENCY", "URGENT_LISTS", "LaneSearch"]

_OVERLAP: Final = 256
"""Bytes that are read beyond a piece, to see the end of what begins in it."""

_NAMES_AT_ONCE: Final = 512
"""Names that are found before others get their turn."""

URGENCY: Final = {lane: rank for rank, lane in enumerate(Lane)}
URGENT_LISTS: Final = {
    field: sorted(
        ((name, KIND_LANES[kind]) for name, kind in walk.items() if KIND_LANES[kind] != Lane.BULK),
        key=lambda pair: URGENCY[pair[1]],
    )
    for field, walk in WALKS.items()
}
"""For each field of a number: the lists that make a webhook urgent, the most urgent first."""

LIST_NAMES: Final = sorted({name for lists in URGENT_LISTS.values() for name, _ in lists})

_OTHER_NAMES: Final = ("field", "value", "entry", "event", "data")

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
        "".join(sorted({name[0] for name in (*_OTHER_NAMES, *LIST_NAMES)})).encode(),
        "|".join(LIST_NAMES).encode(),
    )
)
"""A name that matters, with as much of its value as says whether it does. It begins with a quote,
which Python finds fastest, and what is seldom comes last."""


class LaneSearch:
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
        self._lane = BULK

    def through(self, body: bytes, names_limit: int) -> Generator[None, None, Lane]:
        """Search a body, up to some number of names (and less than `_NAMES_AT_ONCE` more)."""
        found = 0
        for start in range(0, len(body), PIECE):
            end = start + PIECE
            for name in _NAMES.finditer(body, start, end + _OVERLAP):
                if name.start() >= end:
                    break  # the next piece's
                self._take(name)
                if self._lane is LIVE:
                    return LIVE
                found += 1
                if found % _NAMES_AT_ONCE == 0:
                    if found >= names_limit:
                        return self._known_lane()
                    yield
            yield
        return self._known_lane()

    def _known_lane(self) -> Lane:
        is_known = "entry" in self._seen or {"event", "data"} <= self._seen
        return self._lane if is_known else INVALID

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
        for name, lane in URGENT_LISTS.get(field, ()):
            if name == list_name and URGENCY[lane] < URGENCY[self._lane]:
                self._lane = lane
