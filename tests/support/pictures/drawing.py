"""Panels drawn with matplotlib, near to how Grafana shows them."""

import time
from collections.abc import Callable
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator, NullLocator

from support.pictures.asked import Line, Shown, table_rows
from support.pictures.values import colour_of, mapped, written

__all__ = ["COLOURS", "GROUNDS", "draw"]

COLOURS: Final = {
    "green": "#56a64b",
    "orange": "#ff780a",
    "yellow": "#e0b400",
    "red": "#e02f44",
    "blue": "#3274d9",
    "purple": "#a352cc",
    "": "#8e8e8e",
}
"""Grafana's, by name; others are what they say."""

_LINES: Final = (
    *("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0"),
    *("#508642", "#cca300", "#447ebc", "#c15c17", "#890f02", "#0a437c", "#6d1f62", "#584477"),
)

GROUNDS: Final = {
    "light": {"page": "#f4f5f5", "panel": "#ffffff", "text": "#24292e", "faint": "#d8dadd"},
    "dark": {"page": "#111217", "panel": "#181b1f", "text": "#ccccdc", "faint": "#33363d"},
}

_LEGENDS: Final = 6
"""Entries of a legend; Grafana scrolls to the others."""

_STEPS: Final = (60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds between two ticks."""

_TICKS: Final = 6
_SMALL: Final = 7
_BIG: Final = 20


def draw(axes: Axes, shown: Shown, theme: str, since: float, to: float) -> None:
    """Draw a panel's content into axes that are as large as its room.

    Args:
        axes: Empty.
        shown: The panel with its data.
        theme: `light` or `dark`.
        since: Left end of the time, in seconds since 1970.
        to: Right end.
    """
    ground = GROUNDS[theme]
    _DRAWN[shown.panel["type"]](axes, shown, ground)
    if shown.panel["type"] in {"timeseries", "heatmap", "state-timeline"} and shown.all():
        axes.set_xlim(since, to)
        step = next(each for each in _STEPS if (to - since) / each <= _TICKS)
        axes.xaxis.set_major_locator(MultipleLocator(step))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda at, _: time.strftime("%H:%M", time.gmtime(at)))
        )
        axes.tick_params(labelsize=_SMALL, colors=ground["text"], length=0)
        for side in axes.spines.values():
            side.set_visible(False)


def _number(axes: Axes, shown: Shown, ground: dict[str, str]) -> None:
    axes.set_axis_off()
    defaults = shown.panel["fieldConfig"]["defaults"]
    lines = shown.all()
    text, colour = defaults.get("noValue", "No data"), _first(defaults)
    if lines:
        value = lines[0].values[-1]
        colour = colour_of(value, defaults.get("thresholds"))
        text = written(value, defaults["unit"], defaults.get("decimals"))
        if named := mapped(value, defaults.get("mappings", [])):
            text, colour = named[0], named[1] or colour
    if shown.panel["options"]["colorMode"] != "none":
        axes.figure.axes[0].patches[-1].set_facecolor(_colour(colour))
        ink = "#ffffff"
    else:
        ink = ground["text"]
    size = _BIG if len(text) < 10 else _BIG * 0.6
    axes.text(0.5, 0.45, text, ha="center", va="center", fontsize=size, color=ink, weight="bold")


def _lines(axes: Axes, shown: Shown, ground: dict[str, str]) -> None:
    defaults = shown.panel["fieldConfig"]["defaults"]
    custom = defaults.get("custom", {})
    lines = shown.all()
    if not lines:
        _nothing(axes, shown, ground)
        return
    colours = [_of_line(shown.panel, line, place) for place, line in enumerate(lines)]
    if custom.get("stacking", {}).get("mode") == "normal":
        times = sorted({at for line in lines for at in line.times})
        heights = [
            [dict(zip(line.times, line.values, strict=True)).get(at, 0.0) for at in times]
            for line in lines
        ]
        axes.stackplot(times, heights, colors=colours, alpha=0.75)
    else:
        for line, colour in zip(lines, colours, strict=True):
            axes.plot(line.times, line.values, color=colour, linewidth=1.3)
    if custom.get("scaleDistribution", {}).get("type") == "log":
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_ylim(bottom=0)
        if axes.get_ylim()[1] <= 0.05:  # of zeros only
            axes.set_ylim(0, 1)
    _limits(axes, defaults, custom)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value, defaults["unit"])))
    axes.grid(visible=True, color=ground["faint"], linewidth=0.5)
    axes.set_axisbelow(True)
    _legend(
        axes, [(line.name, colour) for line, colour in zip(lines, colours, strict=True)], ground
    )


def _limits(axes: Axes, defaults: dict[str, Any], custom: dict[str, Any]) -> None:
    if custom.get("thresholdsStyle", {}).get("mode") != "dashed":
        return
    low, high = axes.get_ylim()
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is not None and step["value"] <= max(high * 3, 1e-9):
            axes.axhline(step["value"], color=_colour(step["color"]), linewidth=1, linestyle="--")
            high = max(high, step["value"] * 1.15)
    axes.set_ylim(low, high)


def _legend(axes: Axes, entries: list[tuple[str, str]], ground: dict[str, str]) -> None:
    kept = entries[:_LEGENDS]
    handles = [axes.plot([], [], color=colour, linewidth=3)[0] for _, colour in kept]
    axes.legend(
        handles,
        [name[:26] for name, _ in kept],
        loc="upper left",
        bbox_to_anchor=(-0.08, -0.12),
        ncol=4 if max((len(name) for name, _ in kept), default=0) < 12 else 3,
        fontsize=5.5,
        frameon=False,
        labelcolor=ground["text"],
        handlelength=1,
        columnspacing=1,
        borderaxespad=0,
    )


def _heat(axes: Axes, shown: Shown, ground: dict[str, str]) -> None:
    lines = sorted(shown.all(), key=lambda line: float(line.labels["le"]))
    if not lines:
        _nothing(axes, shown, ground)
        return
    times = sorted({at for line in lines for at in line.times})
    below = [0.0] * len(times)
    rows = []
    for line in lines:
        values = dict(zip(line.times, line.values, strict=True))
        own = [values.get(at, 0.0) for at in times]
        # What never came has no colour.
        rows.append(
            [
                one - less if one - less > 0 else float("nan")
                for one, less in zip(own, below, strict=True)
            ]
        )
        below = own
    axes.pcolormesh(
        times,
        range(len(rows)),
        rows,
        cmap="Spectral_r",
        norm=PowerNorm(0.5),
        shading="nearest",
    )
    edges = [line.labels["le"] for line in lines]
    axes.set_yticks(range(len(edges)))
    axes.set_yticklabels(
        [edge if edge == "+Inf" else written(float(edge), "s") for edge in edges], fontsize=6
    )


def _bars(axes: Axes, shown: Shown, ground: dict[str, str]) -> None:
    defaults = shown.panel["fieldConfig"]["defaults"]
    lines = list(reversed(shown.all()))
    if not lines:
        _nothing(axes, shown, ground)
        return
    most = defaults.get("max") or max(line.values[-1] for line in lines)
    axes.barh(range(len(lines)), [most] * len(lines), color=ground["faint"], height=0.6)
    for place, line in enumerate(lines):
        value = line.values[-1]
        colour = _colour(colour_of(value, defaults["thresholds"]))
        axes.barh(place, value, color=colour, height=0.6)
        text = f"{line.name}   {written(value, defaults['unit'])}"
        axes.text(0, place + 0.4, text, fontsize=_SMALL, color=ground["text"], va="bottom")
    axes.set_xlim(0, most)
    axes.set_ylim(-0.6, len(lines))
    axes.set_axis_off()


def _states(axes: Axes, shown: Shown, ground: dict[str, str]) -> None:
    lines = shown.all()
    if not lines:
        _nothing(axes, shown, ground)
        return
    mappings = shown.panel["fieldConfig"]["defaults"]["mappings"]
    for place, line in enumerate(reversed(lines)):
        for (begin, value), end in zip(
            zip(line.times, line.values, strict=True),
            [*line.times[1:], line.times[-1]],
            strict=True,
        ):
            _, colour = mapped(value, mappings) or ("", "")
            axes.broken_barh([(begin, end - begin)], (place - 0.35, 0.7), color=_colour(colour))
    axes.set_yticks(range(len(lines)))
    axes.set_yticklabels([line.name for line in reversed(lines)])
    names = [result for mapping in mappings for result in mapping["options"].values()]
    _legend(axes, [(each["text"], _colour(each["color"])) for each in names], ground)


def _table(axes: Axes, shown: Shown, ground: dict[str, str]) -> None:
    titles, rows = table_rows(shown)
    axes.set_axis_off()
    if not rows:
        _nothing(axes, shown, ground)
        return
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    room = axes.get_window_extent().height / axes.figure.dpi * 72
    height = 15 / room
    looks = {
        each["matcher"]["options"]: {one["id"]: one["value"] for one in each["properties"]}
        for each in shown.panel["fieldConfig"]["overrides"]
    }
    texts = [
        [_cell(cell, looks.get(title, {})) for title, cell in zip(titles, row, strict=True)]
        for row in rows
    ]
    widths = [
        max(len(title), *(len(text) for text, _ in column)) + 2
        for title, column in zip(titles, zip(*texts, strict=True), strict=True)
    ]
    total = sum(widths)
    for line, row in enumerate([[(title, "") for title in titles], *texts]):
        top, left = 1 - height * line, 0.0
        if top - height < 0:
            break
        for (text, colour), width in zip(row, widths, strict=True):
            ink = ground["text"]
            if colour:
                box = (left, top - height * 0.95)
                size = (width / total * 0.97, height * 0.9)
                axes.add_patch(Rectangle(box, *size, facecolor=_colour(colour), edgecolor="none"))
                ink = "#ffffff"
            axes.text(
                left + 0.004,
                top - height / 2,
                text,
                fontsize=_SMALL,
                color=ink,
                va="center",
                weight="bold" if line == 0 else "normal",
            )
            left += width / total


def _cell(cell: float | str, look: dict[str, Any]) -> tuple[str, str]:
    """Return text and colour of a cell."""
    mappings = look.get("mappings", [])
    if isinstance(cell, str):
        for mapping in mappings:
            if cell in mapping["options"]:
                return mapping["options"][cell]["text"], ""
        return cell, ""
    if named := mapped(cell, mappings):
        return named
    text = written(cell, look.get("unit", "short"), look.get("decimals"))
    return text, colour_of(cell, look["thresholds"]) if "thresholds" in look else ""


def _nothing(axes: Axes, shown: Shown, ground: dict[str, str]) -> None:
    axes.set_axis_off()
    text = shown.panel["fieldConfig"]["defaults"].get("noValue", "No data")
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=9, color=ground["text"])


def _first(defaults: dict[str, Any]) -> str:
    steps = defaults.get("thresholds", {}).get("steps") or [{"color": ""}]
    return str(steps[0]["color"])


def _of_line(panel: dict[str, Any], line: Line, place: int) -> str:
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == line.name:
            for each in override["properties"]:
                if each["id"] == "color":
                    return _colour(each["value"]["fixedColor"])
    return _LINES[place % len(_LINES)]


def _colour(name: str) -> str:
    return COLOURS.get(name, name)


_DRAWN: Final[dict[str, Callable[[Axes, Shown, dict[str, str]], None]]] = {
    "stat": _number,
    "timeseries": _lines,
    "heatmap": _heat,
    "bargauge": _bars,
    "state-timeline": _states,
    "table": _table,
}
