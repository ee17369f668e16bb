"""What CPU a receiver uses by its load: for the operator and for `forebay size`.

Of it follows what each asks for: as much that a scaler on CPU leaves it alone at that load.
"""

from typing import Final

__all__ = ["AT_REST_MILLICORES", "CORE_MILLICORES", "used_millicores"]

AT_REST_MILLICORES: Final = 6
"""What a receiver takes that gets nothing: probes, scrapes, its connection (5m to 6m on the test
cluster: `tests/e2e/test_autoscaling.py`)."""

CORE_MILLICORES: Final = 1000
"""What a process of ours can use: it has one thread that works."""


def used_millicores(webhooks: float, microseconds: float) -> float:
    """Return what a receiver uses that gets so many webhooks a second, each at so much CPU."""
    return AT_REST_MILLICORES + webhooks * microseconds / 1000
