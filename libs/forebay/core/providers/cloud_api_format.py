"""The Cloud API's webhooks: `entry x change x item`, and the partner events beside them.

For the modules of `providers` only. Which lists of a change hold items is in `core.item_kinds`, how
they are cut in `core.item_cutter`; a large or compressed body is searched within
`core.priority_search_limits`.
"""

from collections.abc import Generator, Iterator
from typing import Final

import msgspec

from forebay.core.content_encoding import beginning
from forebay.core.errors import UnreadableBody
from forebay.core.item import Item
from forebay.core.item_cutter import ItemCutter
from forebay.core.json_values import Json, as_dict, as_list, as_text
from forebay.core.priority_search_limits import (
    BEGINNING,
    BULK,
    INVALID,
    LIVE,
    SMALL_BODY,
    first_and_last,
)
from forebay.core.providers.cloud_api_priority_search import (
    LIST_NAMES,
    URGENCY,
    URGENT_LISTS,
    LaneSearch,
)
from forebay.core.subjects import Lane
from forebay.core.tolerant_json import read_json

__all__ = ["CLOUD_API", "CloudApi"]

_NAMES_LIMIT: Final = 20_000
"""Names that are found before the search ends. A webhook of 1,000 changes holds 3,000."""

_NAMES_IN_ONE_PIECE: Final = 4_096
"""The same where nobody gets a turn meanwhile: 2 to 3 ms. 128 KiB of changes hold 1,500."""


class _Anything(msgspec.Struct, gc=False):
    """An object whose members are skipped."""


_Items = tuple[_Anything, ...]

_Value: Final = msgspec.defstruct(
    "_Value", [(name, _Items, ()) for name in LIST_NAMES], gc=False, module=__name__
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


class CloudApi:
    """The format of the Cloud API's bodies, as Meta sends them and others pass them on."""

    is_one_item: Final = False

    def lane_of(self, body: bytes, encoding: bytes | None = None) -> Lane:
        """Return the lane of a body; see `BodyFormat`."""
        if encoding:
            return self._lane_of_encoded(body, encoding.decode("latin-1"))
        if len(body) > SMALL_BODY:
            return _at_once(_searching(body, _NAMES_IN_ONE_PIECE))
        try:
            document = _DECODE(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _lane_of_oddity(body)
        found = INVALID
        for entry in document.entry:
            if not entry.changes and found is INVALID:
                found = BULK  # the splitter keeps it, as an item of kind `unknown`
            for change in entry.changes:
                lane = _lane_of_change(change)
                if lane is LIVE:
                    return lane
                if URGENCY[lane] < URGENCY[found]:
                    found = lane
        return found

    def finding_lane(self, body: bytes) -> Generator[None, None, Lane]:
        """Find the lane of a large body, piece by piece; see `BodyFormat`."""
        return (yield from _searching(body, _NAMES_LIMIT))

    def cut(  # what a body is, and what is known of its receipt
        self,
        document: Json,
        *,
        body_sha256: str,  # noqa: ARG002  # an item's key is of the item
        received_at: float,
        event_id: str | None = None,  # noqa: ARG002  # ids stand in the items
        repaired: bool = False,
    ) -> Iterator[Item]:
        """Cut a body that was read into its items; see `BodyFormat`."""
        cutter = ItemCutter(received_at, repaired=repaired)
        if not isinstance(document, dict):
            message = "the body is not a JSON object"
            raise UnreadableBody(message)
        if isinstance(document.get("entry"), list) and document["entry"]:
            return cutter.entries(document)
        if isinstance(document.get("event"), str) and "data" in document:
            return cutter.partner_event(document)
        message = "the body has neither entries nor a partner event"
        raise UnreadableBody(message)

    def sample(self, *, mark: str, time: int, channel: str) -> Json:
        """Return a webhook with one text message; see `BodyFormat`."""
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"phone_number_id": channel},
            "messages": [
                {
                    "from": "15550001234",
                    "id": f"wamid.try-{mark}",
                    "timestamp": str(time),
                    "type": "text",
                    "text": {"body": "Hello from curl"},
                },
            ],
        }
        entry = {"id": "104700000000701", "changes": [{"field": "messages", "value": value}]}
        return {"object": "whatsapp_business_account", "entry": [entry]}

    def _lane_of_encoded(self, body: bytes, encoding: str) -> Lane:
        """Return the lane of a compressed body, by its beginning."""
        try:
            content, is_whole = beginning(body, encoding, BEGINNING)
        except UnreadableBody:
            return INVALID
        if is_whole:
            return self.lane_of(content)
        lane = _at_once(LaneSearch().through(content, _NAMES_IN_ONE_PIECE))
        return BULK if lane is INVALID else lane


CLOUD_API: Final = CloudApi()


def _searching(body: bytes, names_limit: int) -> Generator[None, None, Lane]:
    if first_and_last(body) != b"{}":
        return INVALID
    return (yield from LaneSearch().through(body, names_limit))


def _lane_of_change(change: "_Change") -> Lane:
    for name, lane in URGENT_LISTS.get(change.field, ()):
        if getattr(change.value, name):
            return lane
    return BULK


def _at_once(search: Generator[None, None, Lane]) -> Lane:
    while True:
        try:
            next(search)
        except StopIteration as end:
            lane: Lane = end.value
            return lane


def _lane_of_oddity(body: bytes) -> Lane:
    """Return the lane of a small body that is not of the usual shape, or not readable at once."""
    try:
        document = read_json(body).document
    except UnreadableBody:
        return INVALID
    envelope = as_dict(document)
    if entries := as_list(envelope.get("entry")):
        return min(map(_lane_of_odd_entry, entries), key=URGENCY.__getitem__)
    is_partner_event = isinstance(envelope.get("event"), str) and "data" in envelope
    return BULK if is_partner_event else INVALID


def _lane_of_odd_entry(entry: Json) -> Lane:
    found = BULK
    for change in as_list(as_dict(entry).get("changes")):
        value = as_dict(as_dict(change).get("value"))
        if not value:
            continue
        for name, lane in URGENT_LISTS.get(as_text(change.get("field")), ()):
            is_held = any(isinstance(part, dict) for part in as_list(value.get(name)))
            if is_held and URGENCY[lane] < URGENCY[found]:
                found = lane
    return found
