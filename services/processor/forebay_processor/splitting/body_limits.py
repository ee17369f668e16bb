"""What one body may hold and expand to, and why one is set aside that goes beyond."""

from typing import Final, NamedTuple

from forebay.core.errors import ForebayError
from forebay.core.invalid_reasons import InvalidReason
from forebay.core.item import Item

__all__ = ["BodyLimits", "BodySurvey", "CutFailed"]

MINIMUM_EXPANSION_BYTES: Final = 1024 * 1024
"""What any body may expand to: small ones hold few items, around each of which stands the rest."""

MOST_SAMPLES: Final = 1024
"""Kinds and channels of one body. Filters compare each of them, for each destination, in one step;
providers send at most 1,000 items in a body."""


class BodyLimits(NamedTuple):
    """What one body may hold and come to; see the settings."""

    items: int
    expansion: int
    values: int
    decoded_bytes: int


class CutFailed(ForebayError):  # noqa: N818  # what happened, not an error of the program
    """A body cannot be cut, or may not be: it is to be set aside."""

    def __init__(self, reason: InvalidReason, place: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place
        """Where a parser crashed: file and line."""


class BodySurvey:
    """What a body holds, and whether that is within its limits."""

    def __init__(self, size: int, limits: BodyLimits) -> None:
        self.items = 0
        self._bytes = 0
        self._max_items = limits.items
        self._max_bytes = max(limits.expansion * size, MINIMUM_EXPANSION_BYTES)
        self._is_bounded = limits.expansion > 0
        self._samples: dict[tuple[str, str, bool], Item] = {}

    @property
    def samples(self) -> list[Item]:
        """The first item of each kind and channel, dated or not: what filters ask for."""
        return list(self._samples.values())

    def count(self, item: Item, size: int = 0) -> None:
        """Take notice of an item; raises CutFailed."""
        self.items += 1
        self._bytes += size
        if self.items > self._max_items:
            raise CutFailed(InvalidReason.TOO_MANY_ITEMS)
        if self._is_bounded and self._bytes > self._max_bytes:
            raise CutFailed(InvalidReason.EXPANDS_TOO_FAR)
        if self._is_bounded and len(self._samples) > MOST_SAMPLES:
            raise CutFailed(InvalidReason.TOO_MANY_ITEMS)
        self._samples.setdefault((item.kind, item.channel, item.is_dateless), item)
