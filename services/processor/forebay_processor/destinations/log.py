"""Destination `log`: a line in the processor's log for each item, without its content."""

import time

import structlog

from forebay_processor.destinations.port import Attempt, Delivered, Result

__all__ = ["LogDestination"]

_log = structlog.get_logger("forebay.item")


class LogDestination:
    """Says that an item came, and nothing of what is in it."""

    async def deliver(self, attempt: Attempt) -> Result:
        """Write the line."""
        _log.info(
            "item",
            namespace=attempt.endpoint.namespace,
            endpoint=attempt.endpoint.name,
            destination=attempt.destination,
            kind=attempt.item.kind,
            type=attempt.item.type,
            key=attempt.token,
            lane=attempt.lane,
            attempt=attempt.number,
            latency_ms=round((time.time() - attempt.received_at) * 1000, 1),
        )
        return Delivered()

    async def close(self) -> None:
        """Nothing to let go of."""
