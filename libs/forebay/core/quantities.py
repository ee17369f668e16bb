"""Kubernetes quantities, such as `500m` or `256Mi`, as numbers that can be compared."""

import re
from typing import Final

__all__ = ["QUANTITY", "amount"]

QUANTITY: Final = r"[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?"
"""The forms that we take, as in the CRD and the chart's schema: less than Kubernetes does."""

_QUANTITY: Final = re.compile(QUANTITY)
_UNITS: Final = {
    "": 1.0,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def amount(text: str) -> float | None:
    """Return what a quantity comes to; None where the text is none."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    unit = match[2] or ""
    return round(float(text.removesuffix(unit)) * _UNITS[unit], 6)
