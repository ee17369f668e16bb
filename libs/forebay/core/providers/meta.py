"""Meta's Cloud API, which sends its webhooks by itself. For the registry only."""

from typing import Final

from forebay.core.providers.cloud_api_format import CLOUD_API
from forebay.core.providers.hub_schemes import HUB_CHALLENGE, HUB_SIGNATURE
from forebay.core.providers.provider import Provider

__all__ = ["META"]

META: Final = Provider(
    name="meta",
    signature=HUB_SIGNATURE,
    body_format=CLOUD_API,
    event_ids="body",
    challenge=HUB_CHALLENGE,
    is_simulated=True,
)
