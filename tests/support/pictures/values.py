"""Numbers as Grafana writes them, by the units that the dashboards use."""

import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["colour_of", "legend_of", "mapped", "written"]

_SECONDS: Final = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES: Final = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_SHORT: Final = ((1e9, " Bil"), (1e6, " Mil"), (1e3, " K"))
_RATES: Final = {"reqps": " req/s", "ops": " ops/s"}


def written(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value with its unit."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞"
    match unit:
        case "percentunit":
            digits = decimals if decimals is not None else (0 if abs(value) >= 0.1 else 1)
            return f"{100 * value:.{digits}f}%"
        case "s":
            return _scaled(value, _SECONDS, "s", decimals)
        case "bytes":
            return _scaled(value, _BYTES, "B", decimals)
        case _:
            return _scaled(value, _SHORT, "", decimals).rstrip() + _RATES.get(unit, "")


def _scaled(
    value: float, steps: tuple[tuple[float, str], ...], least: str, decimals: int | None
) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return f"{_short(value / size, decimals)} {name.strip()}"
    return f"{_short(value, decimals)} {least}"


def _short(value: float, decimals: int | None) -> str:
    digits = decimals if decimals is not None else (0 if abs(value) >= 100 else 2)
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text and decimals is None else text


def mapped(value: float, mappings: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Return text and colour that a panel has for a value; None where it has none."""
    for mapping in mappings:
        for key, result in mapping.get("options", {}).items():
            try:
                is_it = float(key) == value
            except ValueError:
                continue
            if is_it:
                return result.get("text", key), result.get("color", "")
    return None


def colour_of(value: float, thresholds: Mapping[str, Any] | None) -> str:
    """Return the name of the colour of a value; that of no value at all is the first step's."""
    colour = ""
    for step in (thresholds or {}).get("steps", ()):
        begins = step.get("value")
        if begins is None or value >= begins:
            colour = step["color"]
    return colour


def legend_of(pattern: str, labels: Mapping[str, str]) -> str:
    """Return a legend with the labels filled in."""
    for name, value in labels.items():
        pattern = pattern.replace(f"{{{{{name}}}}}", value)
    return pattern
