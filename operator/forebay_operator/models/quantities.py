"""Kubernetes quantities, such as `500m` or `256Mi`, as numbers that can be compared."""

import re
from decimal import Decimal
from typing import Final

from lightkube.utils.quantity import parse_quantity

from forebay.core.quantity_pattern import QUANTITY

__all__ = ["amount"]

_QUANTITY: Final = re.compile(QUANTITY)


def amount(text: str) -> Decimal | None:
    """Return what a quantity comes to; None for text of another form.

    What has more digits than lightkube counts (28, with three behind the point) is beyond all
    limits: it must not pass for none.
    """
    if _QUANTITY.fullmatch(text) is None:
        return None
    try:
        return parse_quantity(text)
    except ValueError:
        return Decimal("Infinity")
