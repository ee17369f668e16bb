"""360dialog, which passes the Cloud API's webhooks on and has partner events of its own.

For the registry only. Source: 360dialog's webhook reference.
"""

from typing import Final

from forebay.core.providers.cloud_api_format import CLOUD_API
from forebay.core.providers.hub_schemes import HUB_CHALLENGE
from forebay.core.providers.provider import Provider, SignatureScheme

__all__ = ["DIALOG360"]

DIALOG360: Final = Provider(
    name="360dialog",
    # Partner webhooks carry it as bare hex; its reference shows it with the prefix as well.
    signature=SignatureScheme(
        header="x-360dialog-signature", prefix="optional", sends_prefix=False
    ),
    body_format=CLOUD_API,
    event_ids="body",
    # It sends none; an endpoint that has a verify token answers Meta's all the same.
    challenge=HUB_CHALLENGE,
    is_simulated=True,
)
