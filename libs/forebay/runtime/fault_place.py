"""Faults of our own, as they may be reported: what and where, without anybody's data."""

import traceback

__all__ = ["place_of"]


def place_of(error: BaseException) -> str:
    """Return the kind of a fault and the line that raised it.

    The text of an exception, and a traceback with it, can hold a piece of a body.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
