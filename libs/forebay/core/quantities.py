"""Kubernetes quantities, such as `500m` or `256Mi`, as numbers that can be compared."""

import re
from typing import Final

__all__ = ["amount"]

_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?")
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
    return None if match is None else round(float(match[1]) * _UNITS[match[2] or ""], 6)
