"""The checks of Meta's webhooks, named after WebSub's hub. Other senders use them as well.

Source: Meta's webhook reference. For the providers' own modules only.
"""

from typing import Final

from forebay.core.providers.provider import Challenge, SignatureScheme

__all__ = ["HUB_CHALLENGE", "HUB_SIGNATURE"]

HUB_SIGNATURE: Final = SignatureScheme(
    header="X-Hub-Signature-256", prefix="required", sends_prefix=True
)
"""`X-Hub-Signature-256: sha256=<hex>`."""

HUB_CHALLENGE: Final = Challenge(
    mode=("hub.mode", "subscribe"), verified_by="hub.verify_token", answered_with="hub.challenge"
)
"""`GET ?hub.mode=subscribe&hub.verify_token=..&hub.challenge=..`."""
