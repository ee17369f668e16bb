"""A load as a person says it, for `forebay.core.sizing`: what comes in at the busiest time."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from forebay.core.errors import ConfigurationError
from forebay.core.webhook_rate import webhook_rate

__all__ = [
    "BODY_BYTES",
    "CHANNELS",
    "DAY_MINUTES",
    "OUTAGE_MINUTES",
    "RETENTION_HOURS",
    "ExpectedLoad",
    "Isolation",
]

DAY_MINUTES: Final = 24 * 60
OUTAGE_MINUTES: Final = 72 * 60
"""`retry.maxAge` as endpoints have it by default: what waits longer is a dead letter."""

NUMBER_RATE: Final = 1000
"""Messages/s that one number can send at most, by the providers."""

CHANNELS: Final = 10_000
MESSAGES: Final = 1_000_000
"""More than that, in a second, is a typing error."""

BODY_BYTES: Final = (100, 100_000)
"""What was measured ends at 100 KB."""

RETENTION_HOURS: Final = (1, 24 * 90)


class Isolation(StrEnum):
    """Who receives an endpoint's webhooks, as in the chart's `isolation`."""

    SHARED = "Shared"
    DEDICATED = "Dedicated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedLoad:
    """What comes in at the busiest time, of all channels together."""

    outgoing: int
    """Messages/s that the business sends."""

    incoming: int
    """Messages/s that it receives."""

    channels: int = 1
    """Numbers, each with an endpoint."""

    retention_hours: int = 168
    """How long webhooks are kept: providers repeat them for 7 days."""

    busy_minutes: int = 60
    """Minutes of a day at that rate, all in all; what is kept follows from them."""

    outage_minutes: int = 60
    """How long destinations may be down at that rate until new items have to wait elsewhere."""

    body_bytes: int = 1000
    """Of a webhook."""

    isolation: Isolation = Isolation.SHARED
    servers: int = 3
    """Of NATS, 1 or 3; each holds everything."""

    def check(self) -> None:
        """See that it can be.

        Raises:
            ConfigurationError: says what to give instead.
        """
        for what, value, low, high in (
            ("--outgoing", self.outgoing, 0, MESSAGES),
            ("--incoming", self.incoming, 0, MESSAGES),
            ("--channels", self.channels, 1, CHANNELS),
            ("--retention, in hours,", self.retention_hours, *RETENTION_HOURS),
            ("--busy, in minutes,", self.busy_minutes, 1, DAY_MINUTES),
            ("--outage, in minutes,", self.outage_minutes, 0, OUTAGE_MINUTES),
            ("--body", self.body_bytes, *BODY_BYTES),
        ):
            if not low <= value <= high:
                message = f"{what} is {value:,}: give {low:,} to {high:,}"
                raise ConfigurationError(message)
        if self.servers not in {1, 3}:
            message = f"--servers is {self.servers}: the chart's NATS has 1 or 3"
            raise ConfigurationError(message)
        if self.outgoing > self.channels * NUMBER_RATE:
            least = math.ceil(self.outgoing / NUMBER_RATE)
            message = (
                f"a number sends {NUMBER_RATE:,} messages/s at most: give --channels {least:,} or "
                "more"
            )
            raise ConfigurationError(message)

    @property
    def webhooks(self) -> int:
        """Webhooks/s, by the provider's formula; 1 at least."""
        return max(1, math.ceil(webhook_rate(self.outgoing, self.incoming)))
