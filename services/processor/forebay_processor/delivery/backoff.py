"""How long to wait before an item is tried again: exponential, with jitter."""

from random import Random

from forebay.core.tables import Retry

__all__ = ["backoff_seconds"]


def backoff_seconds(retry: Retry, attempts: int, random: Random) -> float:
    """Return the seconds to wait after so many failed attempts (1 or more).

    `initialDelay x 2^(attempts - 1)`, at most `maxDelay`, then drawn evenly from its upper half:
    "equal jitter", which keeps those that failed together from coming back together and still
    never tries again at once.
    """
    exponent = min(attempts - 1, 62)
    full = min(retry.initial_delay_seconds * 2.0**exponent, retry.max_delay_seconds)
    return full / 2 + random.random() * full / 2
