"""How long to wait before an item is tried again: exponential, with jitter."""

from random import Random

from forebay.core.tables import Retry

__all__ = ["attempts_by_age", "backoff_seconds"]


def backoff_seconds(retry: Retry, attempts: int, random: Random) -> float:
    """Return the seconds to wait after so many failed attempts (1 or more).

    `initialDelay x 2^(attempts - 1)`, at most `maxDelay`, then drawn evenly from its upper half:
    "equal jitter", which keeps those that failed together from coming back together and still
    never tries again at once.
    """
    exponent = min(attempts - 1, 62)
    full = min(retry.initial_delay_seconds * 2.0**exponent, retry.max_delay_seconds)
    return full / 2 + random.random() * full / 2


def attempts_by_age(retry: Retry, age: float, recorded: int) -> int:
    """Return how often an item of some age was tried that failed again and again.

    A row says only whether the first attempt failed; what came after it is known to whoever owned
    the partition. Pauses go on about where they were.

    Args:
        retry: The destination's pauses.
        age: Seconds since the first attempt.
        recorded: What the row says.
    """
    if recorded < 1:
        return recorded
    attempts, pause = recorded, retry.initial_delay_seconds * 2.0 ** min(recorded - 1, 62)
    while pause < retry.max_delay_seconds and age >= pause:
        age -= pause
        pause *= 2
        attempts += 1
    if pause >= retry.max_delay_seconds > 0:
        attempts += int(age / retry.max_delay_seconds)
    return attempts
