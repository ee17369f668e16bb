"""The kinds of items: which there are, how urgent each is, and where in a webhook they stand.

For `item_cutter`, and for whoever has to know a kind by its name.
"""

from typing import Final

from forebay.core.identity_keys import is_reaction
from forebay.core.json_values import Json, as_list, as_text
from forebay.core.subjects import Lane

__all__ = [
    "ACCOUNT_FIELDS",
    "KINDS",
    "KIND_LANES",
    "UNKNOWN",
    "WALKS",
    "lists_of",
    "type_of",
]

UNKNOWN: Final = "unknown"
"""The kind, and the type, of what no reference of the provider's knows."""

KIND_LANES: Final[dict[str, Lane]] = {
    "messages": Lane.LIVE,
    "calls": Lane.LIVE,
    "call-statuses": Lane.LIVE,
    "echoes": Lane.LIVE,  # a colleague wrote from the app: part of the talk that goes on now
    "preferences": Lane.LIVE,  # a person said stop: it has to hold before the next message leaves
    "generic": Lane.LIVE,
    "statuses": Lane.STATUS,
    "errors": Lane.STATUS,
    "contacts": Lane.BULK,
    "history": Lane.BULK,
    "history-media": Lane.BULK,
    "account": Lane.BULK,
    "partner": Lane.BULK,
    UNKNOWN: Lane.BULK,
}
"""Every kind of item and the lane it is in. A kind is a token of the EVENTS subject and what a
destination's `events` lists."""

KINDS: Final = tuple(KIND_LANES)
"""Every kind of item."""

ACCOUNT_FIELDS: Final = frozenset(
    {
        "account_alerts",
        "account_review_update",
        "account_update",
        "business_capability_update",
        "flows",
        "message_template_components_update",
        "message_template_quality_update",
        "message_template_status_update",
        "partner_solutions",
        "payment_configuration_update",
        "phone_number_name_update",
        "phone_number_quality_update",
        "security",
        "template_category_update",
    },
)
"""Fields that belong to a WhatsApp Business Account, not to a number. Source: the Cloud API's
webhook reference. A field that is in no list here is kind `unknown`."""

WALKS: Final[dict[str, dict[str, str]]] = {
    "messages": {"messages": "messages", "statuses": "statuses", "errors": "errors"},
    "calls": {"calls": "calls", "statuses": "call-statuses", "errors": "errors"},
    "smb_message_echoes": {"message_echoes": "echoes", "errors": "errors"},
    "message_echoes": {"message_echoes": "echoes", "errors": "errors"},
    "smb_app_state_sync": {"state_sync": "contacts", "errors": "errors"},
    "user_preferences": {"user_preferences": "preferences", "errors": "errors"},
    "history": {"history": "history", "messages": "history-media", "errors": "errors"},
}
"""For each field of a number: the lists in its value that hold items, and the items' kind. Lists of
objects that stand beside them, and those of fields that are not here, are cut by element, as kind
`unknown`: `user_actions`, `groups`, `automatic_events`, `user_id_update`, the messages of `standby`
(which are another application's to answer), and all that is still to come."""


def lists_of(field: str, value: dict[str, Json]) -> dict[str, str]:
    """Return the lists of a change's value that are cut, each with the kind of what is in it.

    An account's event is one, whatever lists it holds. So is that of an unknown field, unless it
    names a channel: then its lists of objects hold what happened there, one by one.
    """
    walk = WALKS.get(field)
    if walk is None and not isinstance(value.get("metadata"), dict):
        return {}
    if field in ACCOUNT_FIELDS:
        return {}
    known = walk or {}
    lists = {name: kind for name, kind in known.items() if as_list(value.get(name))}
    for name, part in value.items():
        if name in lists or name == "contacts" or not isinstance(part, list):
            continue
        if any(isinstance(each, dict) for each in part):
            lists[name] = UNKNOWN
    return lists


def type_of(kind: str, part: dict[str, Json]) -> str:
    """Return what a provider calls an item within its kind."""
    own = as_text(part.get("type"))
    match kind:
        case "messages" if is_reaction(part):
            text = "reaction"
        case "statuses":
            # A payment's status is not the message's: it is reported as what it is about.
            text = own if own not in {"", "message"} else as_text(part.get("status"))
        case "call-statuses":
            text = as_text(part.get("status")).lower()
        case "calls":
            text = as_text(part.get("event"))
        case "contacts":
            text = as_text(part.get("action"))
        case "preferences":
            text = as_text(part.get("value"))
        case _:
            text = own
    return text or UNKNOWN
