"""What a dashboard's panels show: the answers of a Prometheus to their queries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from support.dashboards.filled import filled
from support.observability.prometheus import Prometheus
from support.pictures.values import legend_of

__all__ = ["Line", "Shown", "ask", "table_rows"]

POINTS: Final = 240
"""Of each line."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A series over time, or its last value alone."""

    name: str
    labels: Mapping[str, str]
    times: list[float]
    values: list[float]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A panel with its data."""

    panel: dict[str, Any]
    lines: Mapping[str, list[Line]] = field(default_factory=dict)
    """By the query's letter."""

    def all(self) -> list[Line]:
        """Return the lines of all queries."""
        return [line for lines in self.lines.values() for line in lines]


async def ask(
    prometheus: Prometheus, panel: dict[str, Any], *, since: float, to: float, **values: str
) -> Shown:
    """Ask for all that a panel shows from `since` to `to`, seconds since 1970."""
    found: dict[str, list[Line]] = {}
    for target in panel["targets"]:
        expr = filled(target["expr"], **values)
        if target.get("range"):
            answers = await prometheus.query_range(
                expr, since=since, to=to, step=max(1, round((to - since) / POINTS))
            )
        else:
            answers = [
                {**each, "values": [each["value"]]} for each in await prometheus.query(expr, at=to)
            ]
        found[target["refId"]] = [
            Line(
                name=legend_of(target.get("legendFormat", ""), each["metric"]),
                labels=each["metric"],
                times=[float(at) for at, _ in each["values"]],
                values=[float(value) for _, value in each["values"]],
            )
            for each in answers
        ]
    return Shown(panel=panel, lines=found)


def table_rows(shown: Shown) -> tuple[list[str], list[list[float | str]]]:
    """Return titles and rows of a table, as its transformations make them of the answers."""
    steps = {each["id"]: each["options"] for each in shown.panel["transformations"]}
    order: dict[str, int] = steps["organize"]["indexByName"]
    titles: dict[str, str] = steps["organize"]["renameByName"]
    keys = sorted(order, key=lambda key: order[key])
    labels = [key for key in keys if not key.startswith("Value")]
    rows: dict[tuple[str, ...], dict[str, float | str]] = {}
    for letter, lines in shown.lines.items():
        value = "Value" if "Value" in keys else f"Value #{letter}"
        for line in lines:
            own = tuple(line.labels.get(label, "") for label in labels)
            row = rows.setdefault(own, dict(zip(labels, own, strict=True)))
            row[value] = line.values[-1]
    made = [[row.get(key, "") for key in keys] for row in rows.values()]
    for sort in reversed(shown.panel["options"].get("sortBy", ())):
        place = [titles[key] for key in keys].index(sort["displayName"])
        made.sort(key=lambda row: (isinstance(row[place], str), row[place]), reverse=sort["desc"])
    return [titles[key] for key in keys], made
