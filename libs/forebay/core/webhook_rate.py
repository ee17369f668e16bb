"""How many webhooks messages bring: the formula by which the providers size an endpoint."""

from typing import Final

__all__ = ["STATUSES_PER_MESSAGE", "webhook_rate"]

STATUSES_PER_MESSAGE: Final = 3
"""Webhooks that one sent message brings: sent, delivered, read. Source: 360dialog's sizing rule,
`3 x outgoing + incoming`."""


def webhook_rate(outgoing: float, incoming: float) -> float:
    """Return the webhooks/s of so many messages/s sent and received."""
    return STATUSES_PER_MESSAGE * outgoing + incoming
