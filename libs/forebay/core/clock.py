"""The two clocks of a process, as what works with time gets them; tests turn their own by hand."""

from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Reads both clocks, in seconds."""

    def wall(self) -> float:
        """Return the time since the epoch, as this machine has it: people and machines set it."""

    def monotonic(self) -> float:
        """Return seconds that only grow, also while the machine sleeps; from where says nothing."""
