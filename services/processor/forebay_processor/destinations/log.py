"""Destination `log`: a line in the processor's log for each item, without its content."""

from collections.abc import Callable

import structlog

from forebay.core.provider_vocabulary import known_word
from forebay_processor.destinations.port import Attempt, Delivered, Result

__all__ = ["LogDestination"]

_log = structlog.get_logger("forebay.item")


class LogDestination:
    """Says that an item came, and nothing of what is in it.

    Its type is a text of the provider's body: only known ones are said.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    async def deliver(self, attempt: Attempt) -> Result:
        """Write the line."""
        _log.info(
            "item",
            namespace=attempt.endpoint.namespace,
            endpoint=attempt.endpoint.name,
            destination=attempt.destination,
            kind=attempt.item.kind,
            type=known_word(attempt.item.type),
            key=attempt.token,
            lane=attempt.lane,
            attempt=attempt.number,
            latency_ms=round(max(0.0, self._now() - attempt.received_at) * 1000, 1),
        )
        return Delivered()

    def close(self) -> None:
        """Nothing to close."""
