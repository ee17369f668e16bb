"""Who waits for a place of an `AttemptLimiter`."""

from collections.abc import Callable

from forebay_processor.delivery.attempt_limiter import AttemptLimiter

__all__ = ["taker"]


def taker(limiter: AttemptLimiter, name: str, served: list[str]) -> Callable[[], None]:
    """Return what takes a place when it is called, and notes that it has."""

    def call() -> None:
        if limiter.try_take():
            served.append(name)

    return call
