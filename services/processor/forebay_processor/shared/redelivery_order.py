"""Keeps order among messages that were sent back for a while.

A message of an endpoint that the table does not know yet is sent back to JetStream with a delay.
When the table comes meanwhile, newer messages of the endpoint would overtake those that are still
out; so they are sent back, too, until the older ones have come again.
"""

from bisect import insort
from typing import Final

from forebay.core.endpoint_name import EndpointName

__all__ = ["DELAY_SECONDS", "RedeliveryOrder"]

DELAY_SECONDS: Final = 2.0
"""After this a message comes again: the table of the processor is older than the receiver's, and
follows within seconds."""

BEHIND_SECONDS: Final = 0.5
"""The same for one that only waits for an older one. They come in any order, so at worst one gets
through at a time: with the other delay 60 of them take two minutes. A thousand are 2,000 messages
a second meanwhile."""

FORGOTTEN_SECONDS: Final = DELAY_SECONDS + 20.0
"""A message that did not come again within this time was removed from its stream."""


class RedeliveryOrder:
    """The messages of one consumer that were sent back, by endpoint."""

    def __init__(self) -> None:
        self._out: dict[EndpointName, list[int]] = {}
        self._since: dict[int, float] = {}

    @property
    def is_any_out(self) -> bool:
        """Whether any message is out."""
        return bool(self._since)

    def is_behind(self, endpoint: EndpointName, sequence: int, now: float) -> bool:
        """Say whether an older message of the endpoint is still out."""
        out = self._out.get(endpoint, [])
        while out and now - self._since[out[0]] > FORGOTTEN_SECONDS:
            self.back(endpoint, out[0])
        return bool(out) and out[0] < sequence

    def send_back(
        self, endpoint: EndpointName, sequence: int, now: float, *, is_known: bool
    ) -> float:
        """Note that a message is sent back, and return for how many seconds.

        Args:
            endpoint: Whose it is.
            sequence: The message's.
            now: The loop's clock.
            is_known: Whether tables name the endpoint, so that it waits for an older message only.
        """
        if sequence not in self._since:
            insort(self._out.setdefault(endpoint, []), sequence)
        self._since[sequence] = now
        return BEHIND_SECONDS if is_known else DELAY_SECONDS

    def back(self, endpoint: EndpointName, sequence: int) -> None:
        """Note that a message is taken."""
        if self._since.pop(sequence, None) is None:
            return
        out = self._out[endpoint]
        out.remove(sequence)
        if not out:
            del self._out[endpoint]
