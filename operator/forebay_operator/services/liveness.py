"""Whether the operator still works, for the kubelet's probe: a process that does not is restarted.

Two things can stand still while the port answers: the workers, and a watch. What is away does not
count: with the API server or NATS gone passes fail and are tried again, and watches ask again every
few seconds; a restart would mend nothing and cost the state of the caches.
"""

from collections.abc import Callable
from typing import Final

__all__ = ["Liveness"]

STUCK_SECONDS: Final = 300.0
"""Without the end of any pass while keys are due. A pass is made of requests of 10 s each; the
longest, with all of them silent, takes a minute or two."""

SILENT_SECONDS: Final = 900.0
"""Without a request of a watch. The API server ends each after 300 s, and one that brings nothing
for 70 s, not even a bookmark, is begun anew."""


class Liveness:
    """Judges by the ages of the queue and of the watches."""

    def __init__(
        self,
        clock: Callable[[], float],
        waiting_keys: Callable[[], int],
        passed_at: Callable[[], float],
        silence: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            clock: Seconds that never go back, as the event loop's.
            waiting_keys: How many keys are due and wait for a worker.
            passed_at: When a pass ended last, by that clock.
            silence: Seconds since the watch tried to ask for something that is silent longest.
        """
        self._clock = clock
        self._waiting_keys = waiting_keys
        self._passed_at = passed_at
        self._silence = silence
        self._idle_at = clock()
        """When nobody was seen to wait."""

    def troubles(self) -> list[str]:
        """Return why the process should be restarted; nothing where it works."""
        found = []
        if not self._waiting_keys():
            self._idle_at = self._clock()
        stuck = self._clock() - max(self._idle_at, self._passed_at())
        if stuck > STUCK_SECONDS:
            found.append(f"no endpoint was handled for {stuck:.0f} s, though some wait")
        silent = self._silence()
        if silent > SILENT_SECONDS:
            found.append(f"a watch of the API server did nothing for {silent:.0f} s")
        return found
