"""The processor's own pages of the admin port, beside probes and metrics."""

from collections.abc import Callable

__all__ = ["admin_pages"]


def admin_pages(
    generations: Callable[[], dict[str, str]],
    load: Callable[[], dict[str, object]],
    open_breakers: Callable[[], list[dict[str, str | float | None]]],
    troubles: Callable[[], dict[str, object]],
    parked: Callable[[], dict[str, object]],
) -> dict[str, Callable[[], object]]:
    """Return what each path shows.

    Args:
        generations: The generation in force of each table file.
        load: What the processor owns and what waits there.
        open_breakers: What there is to know of each destination that nothing is sent to.
        troubles: The same, and of destinations that fail, and which endpoints are paused.
        parked: What waits in RETRY, by endpoint.
    """
    return {
        "/routes": lambda: {"generations": generations()},
        "/load": load,
        "/breakers": lambda: {"open": open_breakers()},
        "/destinations": troubles,
        "/parked": parked,
    }
