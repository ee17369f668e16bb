"""What processors get of a destination `python`: one kind of target in the tables."""

from collections.abc import Iterable

from forebay.core.table_records import TableRecord

__all__ = ["PythonTarget", "is_module_allowed"]


class PythonTarget(TableRecord, frozen=True, kw_only=True):
    """A function that is called with each item. Empty text where there is none."""

    handler: str
    """`module:function`."""

    start: str = ""
    stop: str = ""
    timeout_seconds: float = 30.0
    max_in_flight: int = 64
    rate_per_second: float = 0.0
    """0 for no limit."""


def is_module_allowed(module: str, allowed: Iterable[str]) -> bool:
    """Say whether an installation lets a module run: named, below a named one, or all by `*`."""
    return any(each in ("*", module) or module.startswith(f"{each}.") for each in allowed)
