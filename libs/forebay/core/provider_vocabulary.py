"""What providers call things: the words of theirs that may be shown to anyone.

A type, a status or a field comes out of a body, so it can be anything, at any length: text that
somebody wrote, a phone number, three megabytes. Logs, screens and lists show it where it is one of
the words below and say `other` where it is not.
"""

from typing import Final

from forebay.core.item_kinds import ACCOUNT_FIELDS, KINDS, WALKS

__all__ = ["OTHER", "WORDS", "is_known", "known_word"]

OTHER: Final = "other"
"""Stands for what is none of our words."""

_MESSAGE_TYPES: Final = (
    "audio button contact_request contacts conversation document edit ephemeral errors gif image "
    "interactive list location media_placeholder native_flow order pin poll product "
    "product_list reaction request_welcome revoke sticker system template text "
    "unsupported video voice"
)

_STATUSES: Final = (
    "accepted captured deleted delivered error failed payment pending played read rejected "
    "ringing sent success warning"
)

_EVENTS: Final = (
    "add connect declined progress remove resume stop terminate update "
    "channel_running channel_blocked channel_deleted channel_created channel_live "
    "client_created client_updated clients_created number_banned phone_number_quality_changed "
    "waba_update partner_permission_granted partner_permission_revoked"
)

_FIELDS: Final = (
    "account_settings_update automatic_events business_status_update group_lifecycle_update "
    "group_participants_update group_settings_update group_status_update groups message_echoes "
    "messaging_handovers standby statuses tracking_events user_actions user_id_update"
)

_WORDS_WITHIN: Final = (
    "business_initiated button_reply call cell completed contact disabled_update "
    "flow_status_change free_entry_point free_customer_service group_participants_add home "
    "individual group list_reply nfm_reply partner_removed pin_reset_request poll_creation "
    "referral_conversion regular running throughput_upgrade upi user_changed_number "
    "user_initiated whatsapp whatsapp_business_account work"
)
"""Values of `type`, `object`, `direction` and their like deeper in an item."""

_OWN: Final = "body change entry envelope generic unknown webhook value"
"""What Forebay itself calls things whose shape it does not know."""

WORDS: Final = (
    frozenset(f"{_MESSAGE_TYPES} {_STATUSES} {_EVENTS} {_FIELDS} {_WORDS_WITHIN} {_OWN}".split())
    | ACCOUNT_FIELDS
    | frozenset(KINDS)
    | frozenset(WALKS)
    | frozenset(name for walk in WALKS.values() for name in walk)
)
"""The providers' documented words, and our own."""


def known_word(text: str) -> str:
    """Return a type, a status or a field as it may be shown: itself where it is known."""
    return text if is_known(text) else OTHER


def is_known(text: str) -> bool:
    """Say whether a text is one of the words, in letters of either case."""
    return len(text) <= _LONGEST and text.isascii() and text.lower() in WORDS


_LONGEST: Final = max(map(len, WORDS))
