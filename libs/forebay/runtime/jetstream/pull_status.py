"""What the server says of a pull request: statuses and descriptions of ADR-9 and ADR-37 of NATS.

For `puller`, which asks, and for whoever is notified that a request failed.
"""

import enum
from collections.abc import Callable
from typing import Final

from nats.aio.msg import Msg

__all__ = ["COMPLETED", "FULL", "OnRefused", "PullRefusal", "refusal_of", "says"]

FULL: Final = "Message Size Exceeds MaxBytes"
COMPLETED: Final = "Batch Completed"
"""What the server says (with 409) of a request with such a bound, when it brought that much or all
that was asked for."""

_DELETED: Final = "Consumer Deleted"
_MOVED: Final = "Leadership Change"
_LEAVING: Final = "Server Shutdown"


class PullRefusal(enum.StrEnum):
    """Why a request for messages failed; the values stand in logs and metrics."""

    CONSUMER_DELETED = "consumer_deleted"
    """The server says so, to whoever had a request open."""

    NO_CONSUMER = "no_consumer"
    """Nobody listens for requests: the consumer or its stream is gone, or has no leader."""

    LEADER_MOVED = "leader_moved"
    """The consumer is led by another server from now on, or this one is leaving."""

    REFUSED = "refused"
    """The consumer does not take such a request: its settings are not ours."""

    UNANSWERED = "unanswered"
    """Not even the end of the request was answered: NATS stands still, or the user may not ask."""


OnRefused = Callable[[str, str, PullRefusal], None]
"""Takes a stream, a consumer and the reason."""


def refusal_of(message: Msg, status: str | None) -> PullRefusal:
    """Return why a request was refused, by what came in the place of a message."""
    if status == "503":
        return PullRefusal.NO_CONSUMER
    if says(message, _DELETED):
        return PullRefusal.CONSUMER_DELETED
    if says(message, _MOVED) or says(message, _LEAVING):
        return PullRefusal.LEADER_MOVED
    return PullRefusal.REFUSED


def says(message: Msg, description: str) -> bool:
    """Say whether this is what the server says of a request, in words that may go on."""
    return (message.headers or {}).get("Description", "").startswith(description)
