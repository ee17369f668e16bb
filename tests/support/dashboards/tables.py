"""Tables on dashboards: columns of labels and of queries, joined by their labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, table
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from support.dashboards.kit import DATASOURCE, Steps, names_of, query, ref, thresholds

__all__ = ["Column", "rows"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table: a query for an instant, or a label."""

    title: str
    expr: str = ""
    label: str = ""
    """Of a column that shows a label: its name."""

    unit: str = "short"
    steps: Steps = ()
    width: int | None = None
    names: Mapping[float, tuple[str, str]] | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    """Of a label: text by value."""

    link: str = ""
    """Where a click leads, with Grafana's `${__data.fields...}`."""

    decimals: int | None = None


def rows(
    title: str,
    says: str,
    columns: Sequence[Column],
    *,
    none: str = "none",
    sort_by: Sequence[str] = (),
) -> table.Panel:
    """Return a table: what the first query returns, with what the others know of the same labels.

    Args:
        title: Of the panel.
        says: What it shows, and what to do.
        columns: From left to right.
        none: What stands there instead of an empty table.
        sort_by: Titles of columns, the more important one first; `-` before it: the greatest first.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(says)
        .datasource(DATASOURCE)
        .no_value(none)
        .show_header(show_header=True)
        .cell_height(words.TableCellHeight.SM)
    )
    asked = [column for column in columns if column.expr]
    for number_, column in enumerate(asked):
        panel = panel.with_target(
            query(column.expr, "", ref(number_)).instant().format(PromQueryFormat.TABLE)
        )
    keys = [
        column.label or ("Value" if len(asked) == 1 else f"Value #{ref(asked.index(column))}")
        for column in columns
    ]
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(
        DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": keys}})
    ).with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "indexByName": {key: place for place, key in enumerate(keys)},
                "renameByName": {
                    key: column.title for key, column in zip(keys, columns, strict=True)
                },
            },
        )
    )
    for column in columns:
        if properties := list(_properties(column)):
            panel = panel.override_by_name(column.title, properties)
    return panel.sort_by(
        [
            common.TableSortByFieldState()
            .display_name(each.removeprefix("-"))
            .desc(desc=each.startswith("-"))
            for each in sort_by
        ]
    )


def _properties(column: Column) -> list[DynamicConfigValue]:
    found: list[tuple[str, object]] = []
    if column.expr:
        found.append(("unit", column.unit))
    if column.decimals is not None:
        found.append(("decimals", column.decimals))
    if column.steps or column.names:
        found.append(("custom.cellOptions", {"type": "color-background", "mode": "basic"}))
    if column.steps:
        found.append(("thresholds", thresholds(column.steps).build()))
    if column.names:
        found.append(("mappings", [names_of(column.names)]))
    if column.words:
        texts = {
            value: ValueMappingResult(text=text, index=place)
            for place, (value, text) in enumerate(column.words.items())
        }
        found.append(("mappings", [ValueMap(options=texts)]))
    if column.width:
        found.append(("custom.width", column.width))
    if column.link:
        found.append(("links", [{"title": "Open the endpoint", "url": column.link}]))
    return [DynamicConfigValue(id_val=name, value=value) for name, value in found]
