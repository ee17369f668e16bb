"""Inputs beyond those of the fast tests: the same test again, in `make properties` only."""

from collections.abc import Collection
from typing import TypeVar

import pytest

__all__ = ["one_in"]

Value = TypeVar("Value")


def one_in(share: int, values: Collection[Value]) -> list[object]:
    """Return parameters of which the fast tests take one of so many, beginning with the first."""
    return [
        value if number % share == 0 else pytest.param(value, marks=pytest.mark.further)
        for number, value in enumerate(values)
    ]
