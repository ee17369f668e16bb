"""What somebody sees who opens the dashboards: each figure that is orange or red."""

import json
from typing import Any, Final

from support.dashboards.files import FOLDER, panels
from support.dashboards.filled import filled
from support.incidents.incident import Place
from support.observability.prometheus_api import PrometheusApi
from support.pictures.values import colour_of, legend_of, written

__all__ = ["alarming"]

_ALARMING: Final = {"orange", "red"}

_EACH: Final = 6
"""Figures of one panel."""

_DANGER: Final = "forebay:endpoint_danger:ratio"


async def alarming(prometheus: PrometheusApi, place: Place | None) -> list[str]:
    """Return each figure beyond a threshold now, with its dashboard and panel.

    Args:
        prometheus: Whom dashboards ask.
        place: The endpoint that the dashboard *Endpoint* shows; it is left out where there is none.
    """
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        if file.stem == "endpoint" and place is None:
            continue
        for panel in panels(json.loads(file.read_text())):
            lines = sorted(await _beyond(prometheus, panel, place))[:_EACH]
            if lines:
                found.append(f"{file.stem}: {panel['title']}: {', '.join(lines)}")
    return found


async def _beyond(
    prometheus: PrometheusApi, panel: dict[str, Any], place: Place | None
) -> list[str]:
    """Return a panel's figures beyond a threshold; of tables the endpoints at risk."""
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    found = []
    for target in panel["targets"]:
        is_danger = _DANGER in target["expr"]
        if panel["type"] == "table" and not is_danger:
            continue
        for each in await prometheus.query(_of(target["expr"], place)):
            value, labels = float(each["value"][1]), each["metric"]
            if is_danger:
                who = f"{labels['namespace']}/{labels['endpoint']}"
                found += [f"{who} {labels['danger']} {value:.3g}"] if value >= 1 else []
            elif colour_of(value, defaults.get("thresholds")) in _ALARMING:
                name = legend_of(target.get("legendFormat", ""), labels)
                found.append(f"{name} {written(value, defaults.get('unit', ''))}".strip())
    return found


def _of(expr: str, place: Place | None) -> str:
    if place is None:
        return filled(expr)
    return filled(expr, namespace=place.namespace, endpoint=place.endpoint)
