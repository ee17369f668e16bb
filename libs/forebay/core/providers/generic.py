"""Any sender of JSON: what it sends is its own affair, and each body is one item.

For the registry only.
"""

from typing import Final

from forebay.core.providers.any_json_format import ANY_JSON
from forebay.core.providers.hub_schemes import HUB_CHALLENGE, HUB_SIGNATURE
from forebay.core.providers.provider import Provider

__all__ = ["GENERIC"]

GENERIC: Final = Provider(
    name="generic",
    # Senders of all kinds have copied Meta's way, so it is the one that is offered.
    signature=HUB_SIGNATURE,
    body_format=ANY_JSON,
    event_ids="headers",
    challenge=HUB_CHALLENGE,
    is_simulated=False,
)
