"""Inputs beyond those of the fast tests: the same test again, in `make properties` only."""

from collections.abc import Collection
from typing import Final, TypeVar

import pytest

__all__ = ["further", "one_in"]

Value = TypeVar("Value")

_FURTHER: Final = pytest.mark.further


def further(value: object) -> object:
    """Return a parameter that the fast tests leave out."""
    return pytest.param(value, marks=_FURTHER)


def one_in(share: int, values: Collection[Value]) -> list[object]:
    """Return parameters of which the fast tests take one of so many, beginning with the first."""
    return [value if number % share == 0 else further(value) for number, value in enumerate(values)]
