"""What the log says of requests that are not stored: a line for each reason now and again, counted.

By endpoint where the reason is the sender's or the endpoint's business; by the reason alone where
it is the installation's, or there would be a line for each of ten thousand endpoints while NATS is
away. Nothing of the request is logged: what it is refused for may be a secret.
"""

from collections.abc import Callable
from typing import Final

import structlog

from forebay.runtime.log_once import LimitedLog
from forebay_receiver.outcomes import STATUS_OF, Reason

__all__ = ["RefusalLog"]

_log = structlog.get_logger(__name__)

OF_INSTALLATION: Final = frozenset(
    {
        Reason.TOO_MANY_CONNECTIONS,
        Reason.OVERLOADED,
        Reason.NATS_AWAY,
        Reason.NATS_SILENT,
        Reason.NO_STREAM,
        Reason.STREAM_FULL,
        Reason.ABOVE_MAX_PAYLOAD,
        Reason.STORE_REFUSED,
    }
)
"""Reasons that are no endpoint's."""


class RefusalLog:
    """All refusals of a process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Prepare.

        Args:
            clock: Seconds that never go back.
        """
        self._lines = LimitedLog(_write, clock)

    def note(self, endpoint: str, reason: Reason) -> None:
        """Note a refusal; half a microsecond, since it is called for each.

        Args:
            endpoint: Its name, `namespace/name`; empty where there is none.
            reason: Why.
        """
        self._lines.note(("" if reason in OF_INSTALLATION else endpoint, reason), None)

    def settle(self, *, everything: bool = False) -> None:
        """Log what is due though nothing else comes; at the process's end, everything."""
        self._lines.settle(everything=everything)


def _write(key: tuple[str, Reason], count: int, _latest: None) -> None:
    endpoint, reason = key
    if endpoint:
        _log.warning(
            "webhooks_refused",
            endpoint=endpoint,
            reason=reason,
            status=STATUS_OF[reason],
            count=count,
        )
    elif reason in OF_INSTALLATION:
        _log.warning("webhooks_unavailable", reason=reason, status=STATUS_OF[reason], count=count)
    else:
        # Scanners come by all the time, and there is nothing to mend.
        _log.info("strangers_refused", reason=reason, status=STATUS_OF[reason], count=count)
