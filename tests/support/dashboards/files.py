"""The dashboards as the chart ships them, `charts/forebay/files/dashboards`; `make generate`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from typing_extensions import override

from support.cluster.chart import CHART
from support.dashboards.endpoint import endpoint
from support.dashboards.frame import text
from support.dashboards.overview import overview
from support.dashboards.platform import platform

__all__ = ["FOLDER", "Query", "built", "queries", "variables"]

FOLDER: Final = CHART / "files" / "dashboards"

_MADE: Final = {"overview": overview, "endpoint": endpoint, "platform": platform}


@cache
def built() -> Mapping[Path, str]:
    """Return the text of each file."""
    return {FOLDER / f"{name}.json": text(make()) for name, make in _MADE.items()}


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query of a panel, with Grafana's variables still in it."""

    dashboard: str
    panel: str
    expr: str
    legend: str
    is_range: bool

    @override
    def __str__(self) -> str:
        """Say where it stands."""
        return f"{self.dashboard}: {self.panel}: {self.expr}"


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every panel of a dashboard that shows something, those of folded rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def queries() -> Iterator[Query]:
    """Yield every query of every panel, as it stands in the files."""
    for file in sorted(FOLDER.glob("*.json")):
        for panel in panels(json.loads(file.read_text())):
            for target in panel["targets"]:
                yield Query(
                    dashboard=file.stem,
                    panel=panel["title"],
                    expr=target["expr"],
                    legend=target.get("legendFormat", ""),
                    is_range=bool(target.get("range")),
                )


def variables() -> Iterator[str]:
    """Yield the queries by which variables get their values."""
    for file in sorted(FOLDER.glob("*.json")):
        for each in json.loads(file.read_text())["templating"]["list"]:
            if each["type"] == "query":
                yield each["query"]["query"]
