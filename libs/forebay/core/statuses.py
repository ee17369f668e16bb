"""Statuses of one message: which is higher, and where a higher one would be claimed.

A message's statuses say how far it has come; the highest one seen is where it is. Ranks are those
of tests/data/payloads. A key ends in the status (`items`), so the keys of all others of the same
message follow from one: `st:<channel>:<message>:<status>`, in a group with `:<participant>` behind.
"""

from typing import Final

from forebay.core.envelope import StoredItem
from forebay.core.subjects import EventSubject, key_token

__all__ = ["STATUS_KIND", "higher_claims"]

STATUS_KIND: Final = "statuses"
"""The kind of items that have ranks."""

_ASCENDING: Final = ("sent", "failed", "delivered", "read", "played")
_RANKS: Final = {status: rank for rank, status in enumerate(_ASCENDING)}
_PREFIX: Final = "st:"


def higher_claims(subject: EventSubject, item: StoredItem) -> list[str]:
    """Return the subjects of EVENTS under which higher statuses of the same message are claimed.

    None for the highest one, for a status that has no rank, and for one without an id.
    """
    rank = _RANKS.get(item.type)
    if rank is None or subject.kind != STATUS_KIND or not item.key.startswith(_PREFIX):
        return []
    before, participant = _around(item.key, item.type)
    return [
        str(subject._replace(key=key_token(f"{before}:{higher}{participant}")))
        for higher in _ASCENDING[rank + 1 :]
    ]


def _around(key: str, status: str) -> tuple[str, str]:
    """Return what stands before the status in a key, and what stands behind it."""
    alone = f":{status}"
    if key.endswith(alone):
        return key.removesuffix(alone), ""
    before, _, participant = key.rpartition(f"{alone}:")
    return before, f":{participant}"
