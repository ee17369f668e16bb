"""The frame of each dashboard: variables, links to the others, to traces and to logs."""

import json
from collections.abc import Sequence
from typing import Final, Protocol, Self, cast
from urllib.parse import quote

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from support.dashboards.kit import DATASOURCE

__all__ = [
    "ENDPOINT",
    "OVERVIEW",
    "PLATFORM",
    "TO_ENDPOINT",
    "Sized",
    "endpoint_variables",
    "frame",
    "text",
]

OVERVIEW: Final = "forebay-overview"
ENDPOINT: Final = "forebay-endpoint"
PLATFORM: Final = "forebay-platform"

_TAG: Final = "forebay"

TO_ENDPOINT: Final = (
    f"/d/{ENDPOINT}?var-namespace=${{__data.fields.namespace}}&var-endpoint=${{__data.fields.endpoint}}"
    "&${datasource:queryparam}&${__url_time_range}"
)
"""From a row of a table that has the columns `namespace` and `endpoint`."""


class Sizeable(Protocol):
    """A builder of a panel, of any type: all have these, and no class in common that says so."""

    def span(self, w: int) -> Self:
        """Set the width."""

    def height(self, h: int) -> Self:
        """Set the height."""


Sized = tuple[Sizeable, int, int]
"""A panel, its width in columns (24 are a line), its height in units of 30 pixels."""


def frame(
    uid: str,
    title: str,
    says: str,
    rows: Sequence[tuple[str, Sequence[Sized], bool]],
    *,
    since: str,
) -> Dashboard:
    """Return a dashboard.

    Args:
        uid: Its name in links.
        title: What people see.
        says: What it is for.
        rows: Title, panels, and whether it is folded.
        since: How far back it shows at first, such as `6h`.
    """
    made = (
        Dashboard(title)
        .uid(uid)
        .description(says)
        .tags([_TAG])
        .time(f"now-{since}", "now")
        .refresh("1m")
        .timezone("browser")
        .editable()
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_optional("loki", "Logs"))
        .with_variable(_optional("tempo", "Traces"))
        .link(
            DashboardLink("Forebay")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
    )
    for name, source, query in _explored(uid):
        made = made.link(
            DashboardLink(name)
            .type(models.DashboardLinkType.LINK)
            .icon("external link")
            .tooltip(f"In Explore, where Grafana has a data source of type {source}")
            .url(_explore(source, query))
            .target_blank(target_blank=True)
        )
    for heading, panels, is_folded in rows:
        row = Row(heading)
        if is_folded:
            row = row.collapsed(collapsed=True)
            for panel in panels:
                row = row.with_panel(_sized(panel))
            made = made.with_row(row)
        else:
            made = made.with_row(row)
            for panel in panels:
                made = made.with_panel(_sized(panel))
    return made


def endpoint_variables(made: Dashboard) -> Dashboard:
    """Add the choice of a namespace, an endpoint, and destinations of it."""
    return (
        made.with_variable(
            _choice("namespace", 'forebay_receiver_requests_total{endpoint!=""}', "namespace")
        )
        .with_variable(
            _choice(
                "endpoint",
                'forebay_receiver_requests_total{namespace="$namespace",endpoint!=""}',
                "endpoint",
            )
        )
        .with_variable(
            _choice(
                "destination",
                'forebay_processor_breaker_open{namespace="$namespace",endpoint="$endpoint"}',
                "destination",
            )
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .current(models.VariableOption(text="All", value="$__all"))
        )
    )


def text(made: Dashboard) -> str:
    """Return a dashboard as Grafana reads it, the same in each run."""
    built = json.loads(json.dumps(made.build(), cls=JSONEncoder))
    number = 0
    for panel in built["panels"]:
        for each in (panel, *panel.get("panels", ())):
            number += 1
            each["id"] = number
    return json.dumps(built, indent=1, sort_keys=True) + "\n"


def _sized(sized: Sized) -> Builder[models.Panel]:
    panel, width, height = sized
    return cast("Builder[models.Panel]", panel.span(width).height(height))


def _optional(kind: str, label: str) -> DatasourceVariable:
    """Return the choice of a data source that there may be."""
    return (
        DatasourceVariable(kind)
        .label(label)
        .type(kind)
        .description(f"For the link to {label.lower()}; empty where Grafana has no {kind}.")
        .hide(models.VariableHide.HIDE_VARIABLE)
    )


def _choice(name: str, series: str, label: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(name.capitalize())
        .datasource(DATASOURCE)
        .query({"query": f"label_values({series}, {label})", "refId": "StandardVariableQuery"})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def _explored(uid: str) -> Sequence[tuple[str, str, str]]:
    """Return what the links to logs and traces ask for: title, type of data source, query.

    A line of the log names an endpoint as `namespace/name`, spans have attributes (docs/traces.md).
    """
    logs = '{pod=~".*(receiver|processor|operator).*"}'
    spans = 'resource.service.name =~ "forebay.*"'
    if uid == ENDPOINT:
        logs += ' |= "$namespace/$endpoint"'
        spans += ' && .forebay.namespace = "$namespace" && .forebay.endpoint = "$endpoint"'
    return (("Logs", "loki", logs), ("Traces", "tempo", f"{{ {spans} }}"))


def _explore(source: str, query: str) -> str:
    """Return Grafana's address for one query of a data source of this kind."""
    asked = {"refId": "A", "datasource": {"type": source, "uid": f"${{{source}}}"}}
    asked |= {"expr": query} if source == "loki" else {"query": query, "queryType": "traceql"}
    pane = {
        "a": {
            "datasource": f"${{{source}}}",
            "queries": [asked],
            "range": {"from": "${__from}", "to": "${__to}"},
        }
    }
    # `${` and `}` stay as they are: Grafana puts the variables in.
    return f"/explore?schemaVersion=1&panes={quote(json.dumps(pane), safe='${}')}"
