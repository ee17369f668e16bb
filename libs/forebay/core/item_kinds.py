"""The kinds of items: which there are, how urgent each is, and where in a webhook they stand.

For `items`, and for whoever has to know a kind by its name.
"""

from typing import Final

from forebay.core.subjects import Lane

__all__ = ["ACCOUNT_FIELDS", "KINDS", "KIND_LANES", "WALKS"]

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
    "unknown": Lane.BULK,
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
