"""Who an item is of: the person whose conversation it belongs to, and whose contact goes with it.

For `item_cutter` and `item_context`. A person is named by a user id, a number or both; which of
them a provider sends varies, so all spellings stand here, in one place.
"""

from typing import Final

from forebay.core.identity_keys import PARTICIPANT_NAMES
from forebay.core.json_values import Json, as_dict, as_text, first_text

__all__ = ["IDENTITY_NAMES", "names_of_contact", "person_of"]

_SENDER: Final = ("from_user_id", "from")
_ADDRESSEE: Final = ("to_user_id", "to")
_RECIPIENT: Final = ("recipient_user_id", "recipient_id")
_PERSON: Final = ("user_id", "wa_id")
_PARENTS: Final = (
    "from_parent_user_id",
    "to_parent_user_id",
    "recipient_parent_user_id",
    "parent_user_id",
)

IDENTITY_NAMES: Final = (
    *_SENDER,
    *_ADDRESSEE,
    *_RECIPIENT,
    *PARTICIPANT_NAMES,
    *_PERSON,
    *_PARENTS,
)
"""Every property of an item that names a person or a group."""

_CONTACT_NAMES: Final = ("wa_id", "user_id", "parent_user_id")


def person_of(kind: str, part: dict[str, Json]) -> str:
    """Return whose conversation an item belongs to: a group, else the user id, else the number."""
    match kind:
        case "messages" | "history-media":
            return first_text(part, ("group_id", *_SENDER))
        case "statuses" if part.get("recipient_type") == "group":
            return first_text(part, ("recipient_id", "group_id"))
        case "statuses" | "call-statuses":
            return first_text(part, _RECIPIENT)
        case "calls" if part.get("direction") == "BUSINESS_INITIATED":
            return first_text(part, _ADDRESSEE)
        case "calls":
            return first_text(part, _SENDER)
        case "echoes":
            return first_text(part, ("group_id", *_ADDRESSEE))
        case "contacts":
            return first_text(as_dict(part.get("contact")), ("user_id", "phone_number"))
        case "preferences":
            return first_text(part, _PERSON)
        case _:
            return ""


def names_of_contact(contact: dict[str, Json]) -> list[str]:
    """Return all ids by which an item may name the person of a contact."""
    return [text for name in _CONTACT_NAMES if (text := as_text(contact.get(name)))]
