"""A body cut into its items in one call: what a processor does in turns, beside others."""

import hashlib

from forebay.core.item import Item
from forebay.core.providers.names import ProviderName
from forebay.core.providers.registry import provider_of
from forebay.core.tolerant_json import read_json

__all__ = ["split"]


def split(
    provider: ProviderName, body: bytes, received_at: float, event_id: str | None = None
) -> list[Item]:
    """Cut a body into its items; see `BodyFormat.cut`.

    Raises:
        UnreadableBody: where the body is not JSON, or of no envelope known for this provider.
    """
    document, repaired = read_json(body)
    return list(
        provider_of(provider).body_format.cut(
            document,
            body_sha256=hashlib.sha256(body).hexdigest(),
            received_at=received_at,
            event_id=event_id,
            repaired=repaired,
        )
    )
