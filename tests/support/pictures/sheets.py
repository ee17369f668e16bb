"""A dashboard as a picture: its panels where they stand, with what a Prometheus says."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from support.dashboards.files import FOLDER
from support.observability.prometheus import Prometheus
from support.pictures.asked import Shown, ask
from support.pictures.drawing import GROUNDS, draw

__all__ = ["MOST_BYTES", "ask_all", "save"]

MOST_BYTES: Final = 250_000
"""Of a picture in the repository."""

_WIDTH: Final = 1600
"""Pixels."""

_UNIT: Final = 26
"""Pixels of a unit of a panel's height."""

_GAP: Final = 4
_DPI: Final = 100
_HEAD: Final = 40

mpl.use("Agg")


async def ask_all(
    prometheus: Prometheus, name: str, *, since: float, to: float, **values: str
) -> tuple[dict[str, Any], list[Shown]]:
    """Return a dashboard, and its panels and rows with what they show."""
    dashboard: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    shown = [
        Shown(panel=panel)
        if panel["type"] == "row"
        else await ask(prometheus, panel, since=since, to=to, **values)
        for panel in dashboard["panels"]
    ]
    return dashboard, shown


def save(
    file: Path,
    title: str,
    shown: Sequence[Shown],
    theme: str,
    span: tuple[float, float],
    **values: str,
) -> None:
    """Draw a dashboard into a PNG file of `MOST_BYTES` at most; `values` are of variables."""
    ground = GROUNDS[theme]
    high = _HEAD + _UNIT * max(_bottom(each.panel) for each in shown)
    figure = Figure(figsize=(_WIDTH / _DPI, high / _DPI), dpi=_DPI, facecolor=ground["page"])
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set_xlim(0, _WIDTH)
    page.set_ylim(high, 0)
    page.text(12, _HEAD / 2, title, fontsize=13, color=ground["text"], va="center", weight="bold")
    for each in shown:
        place = each.panel["gridPos"]
        left, width = place["x"] * _WIDTH / 24 + _GAP, place["w"] * _WIDTH / 24 - 2 * _GAP
        top, height = _HEAD + place["y"] * _UNIT + _GAP, place["h"] * _UNIT - 2 * _GAP
        if each.panel["type"] == "row":
            mark = "+" if each.panel.get("collapsed") else "-"
            heading = f"{mark}  {_row(each.panel, values)}"
            page.text(left + 4, top + height / 2, heading, fontsize=10, va="center",
                      color=ground["text"], weight="bold")  # fmt: skip
            continue
        page.add_patch(
            FancyBboxPatch(
                (left, top),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=3",
                facecolor=ground["panel"],
                edgecolor=ground["faint"],
                linewidth=0.8,
            )
        )
        is_chart = each.panel["type"] in {"timeseries", "heatmap", "state-timeline"}
        inset = (
            (58, 30, 12, 22 if each.panel["type"] == "heatmap" else 46)
            if is_chart
            else (10, 24, 10, 6)
        )
        axes = figure.add_axes(
            (
                (left + inset[0]) / _WIDTH,
                1 - (top + height - inset[3]) / high,
                (width - inset[0] - inset[2]) / _WIDTH,
                (height - inset[1] - inset[3]) / high,
            ),
            facecolor="none",
        )
        draw(axes, each, theme, *span)
        is_filled = each.panel["type"] == "stat" and each.panel["options"]["colorMode"] != "none"
        page.text(left + 8, top + 12, each.panel["title"], fontsize=8.5, va="center",
                  color="#ffffff" if is_filled else ground["text"])  # fmt: skip
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", facecolor=ground["page"])
    picture = Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(file, optimize=True)
    assert file.stat().st_size < MOST_BYTES, f"{file.name}: {file.stat().st_size} bytes"


def _row(panel: dict[str, Any], values: dict[str, str]) -> str:
    """Return a row's title with variables filled in."""
    title: str = panel["title"]
    for name, value in values.items():
        title = title.replace(f"${name}", value)
    return title


def _bottom(panel: dict[str, Any]) -> int:
    place = panel["gridPos"]
    return int(place["y"] + place["h"])
