"""What the dashboards are made of: Grafana's own builders, with the choices that all panels share.

A panel has a title, a sentence that says what it shows and what to do, and queries with `$` variables.
Colours say one thing everywhere: green is well, orange is near a limit, red is beyond it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    timeseries,
)
from grafana_foundation_sdk.builders.dashboard import (
    FieldColor,
    ThresholdsConfig,
)
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "ANSWER",
    "BUDGET_LEFT",
    "DATASOURCE",
    "EXPIRES",
    "LAG",
    "NOT_ZERO",
    "RATE",
    "REQUESTS",
    "Steps",
    "at_least",
    "bars",
    "grown",
    "heat",
    "lines",
    "names_of",
    "number",
    "quantiles",
    "query",
    "ref",
    "states",
    "thresholds",
]

DATASOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

NOTHING: Final = "#6e7178"
"""The colour of a number that is not there."""

REQUESTS: Final[Mapping[str, str]] = {
    "stored": "green",
    "duplicate": "blue",
    "challenge": "purple",
    "refused": "orange",
    "unavailable": "red",
}
"""Colours of requests by their outcome."""

Steps = Sequence[tuple[float, str]]
"""Colours by the value at which they begin; what is below the first is green."""

NOT_ZERO: Final[Steps] = ((0.000001, "red"),)
"""Of a number that is 0 on a good day."""

RATE: Final = "[$__rate_interval]"

LAG: Final[Steps] = ((0.1, "red"),)
"""Seconds. Above it a process gets too little CPU (alert ForebayLoopLag)."""

ANSWER: Final[Steps] = ((0.25, "yellow"), (1, "orange"), (5, "red"))
"""Seconds to the answer 200: the objective, the providers' standard, their limit."""


def at_least(good: float, fair: float) -> Steps:
    """Return the colours of a number that is good from a value on, and bad below another."""
    return ((float("-inf"), "red"), (fair, "orange"), (good, "green"))


BUDGET_LEFT: Final = at_least(0.5, 0.0001)

EXPIRES: Final = at_least(6 * 3600, 3600)
"""Seconds until an item that waits is given up."""


def grown(selector: str, window: str) -> str:
    """Return by how much a counter grew, a series that began within the window with all it counts.

    `increase` alone does not see the first event of a series (docs/design/0025).
    """
    return (
        f"(({selector} unless last_over_time({selector}[1h] offset {window}))"
        f" or increase({selector}[{window}]))"
    )


def quantiles(name: str, selector: str = "", by: str = "pool") -> dict[str, str]:
    """Return queries for the median, 99 % and 99.9 % of a histogram of times."""
    rate = f"sum by (le, {by}) (rate({name}_bucket{selector}{RATE}))"
    return {
        f"histogram_quantile({share}, {rate})": f"{{{{{by}}}}} {title}"
        for share, title in ((0.5, "50 %"), (0.99, "99 %"), (0.999, "99.9 %"))
    }


def number(
    title: str,
    says: str,
    expr: str,
    *,
    unit: str = "short",
    steps: Steps = (),
    none: str = "no data",
    decimals: int | None = None,
    names: Mapping[float, tuple[str, str]] | None = None,
) -> stat.Panel:
    """Return one number on a ground of its colour: what is seen from across the room.

    Where there is none its ground is grey: no figure is no good figure.
    """
    if steps and steps[0][0] != float("-inf"):
        steps = ((float("-inf"), NOTHING), (0, "green"), *steps)
    panel = (
        stat.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .with_target(query(expr, "", "A").instant())
        .unit(unit)
        .thresholds(thresholds(steps))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(
            words.BigValueColorMode.BACKGROUND_SOLID if steps else words.BigValueColorMode.NONE
        )
        .graph_mode(words.BigValueGraphMode.NONE)
        .text_mode(words.BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value(none)
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    if names:
        panel = panel.mappings([names_of(names)])
    return panel


def lines(
    title: str,
    says: str,
    queries: Mapping[str, str],
    *,
    unit: str = "short",
    steps: Steps = (),
    stacked: bool = False,
    logarithmic: bool = False,
    colours: Mapping[str, str] | None = None,
    most: float | None = None,
) -> timeseries.Panel:
    """Return lines over time.

    Args:
        title: Of the panel.
        says: What it shows, and what to do.
        queries: Legends by query.
        unit: Grafana's name of it.
        steps: Limits, drawn as dashed lines.
        stacked: As areas, one on the other: of what has a sum.
        logarithmic: For times, of which short ones matter as much as long ones.
        colours: By legend.
        most: The end of the axis.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .unit(unit)
        .line_width(2)
        .fill_opacity(25 if stacked else 0)
        .show_points(words.VisibilityMode.NEVER)
        .span_nulls(120_000.0)  # milliseconds: a scrape that failed is no gap
        .legend(
            common.VizLegendOptions()
            .display_mode(words.LegendDisplayMode.LIST)
            .placement(words.LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(words.TooltipDisplayMode.MULTI)
            .sort(words.SortOrder.DESCENDING)
        )
    )
    if not logarithmic:
        panel = panel.min(0)
    if most is not None:
        panel = panel.max(most)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(words.StackingMode.NORMAL))
    if logarithmic:
        panel = panel.scale_distribution(
            common.ScaleDistributionConfig().type(words.ScaleDistribution.LOG).log(10)
        )
    if steps:
        panel = panel.thresholds(thresholds(steps)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(words.GraphThresholdsStyleMode.DASHED)
        )
    for number_, (expr, legend) in enumerate(queries.items()):
        panel = panel.with_target(query(expr, legend, ref(number_)).range())
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [_fixed(colour)])
    return panel


def heat(title: str, says: str, expr: str) -> heatmap.Panel:
    """Return how a histogram of times is spread, over time; `expr` gives buckets by `le`."""
    return (
        heatmap.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .with_target(query(expr, "{{le}}", "A").range().format(PromQueryFormat.HEATMAP))
        .calculate(calculate=False)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Spectral")
            .scale(HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .reverse(reverse=True)
        )
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(words.AxisPlacement.LEFT))
        .cell_values(heatmap.CellValues().unit("reqps"))
    )


def bars(
    title: str,
    says: str,
    expr: str,
    legend: str,
    *,
    unit: str,
    steps: Steps,
    most: float | None = 1,
) -> bargauge.Panel:
    """Return a bar for each series, as it is now."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .with_target(query(expr, legend, "A").instant())
        .unit(unit)
        .min(0)
        .thresholds(thresholds(steps))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .orientation(words.VizOrientation.HORIZONTAL)
        .display_mode(words.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return panel if most is None else panel.max(most)


def states(
    title: str, says: str, expr: str, legend: str, names: Mapping[float, tuple[str, str]]
) -> statetimeline.Panel:
    """Return which state each series was in, over time; `names` are text and colour of values."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .with_target(query(expr, legend, "A").range())
        .mappings([names_of(names)])
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .fill_opacity(80)
        .show_value(words.VisibilityMode.AUTO)
        .merge_values(merge_values=True)
    )


def query(expr: str, legend: str, ref: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .expr(" ".join(expr.split()))
        .legend_format(legend)
        .ref_id(ref)
        .datasource(DATASOURCE)
    )


def ref(place: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[place]


def thresholds(steps: Steps) -> ThresholdsConfig:
    given = list(steps)
    first = "green"
    if given and given[0][0] == float("-inf"):
        first = given.pop(0)[1]
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps(
            [
                Threshold(value=None, color=first),
                *(Threshold(value=value, color=colour) for value, colour in given),
            ]
        )
    )


def names_of(names: Mapping[float, tuple[str, str]]) -> ValueMapping:
    return ValueMap(
        options={
            # As JavaScript writes it: `Infinity`.
            ("Infinity" if value == float("inf") else f"{value:g}"): ValueMappingResult(
                text=text, color=colour, index=place
            )
            for place, (value, (text, colour)) in enumerate(names.items())
        }
    )


def _fixed(colour: str) -> DynamicConfigValue:
    value: dict[str, Any] = {"mode": "fixed", "fixedColor": colour}
    return DynamicConfigValue(id_val="color", value=value)
