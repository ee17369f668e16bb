"""The dashboard *Overview*: is a promise in danger, and whose number is it?"""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from support.dashboards.frame import OVERVIEW, TO_ENDPOINT, Sized, frame
from support.dashboards.kit import (
    ANSWER,
    BUDGET_LEFT,
    EXPIRES,
    NOT_ZERO,
    RATE,
    REQUESTS,
    bars,
    grown,
    lines,
    number,
    quantiles,
)
from support.dashboards.tables import Column, rows

__all__ = ["overview"]

DANGERS: Final = {
    "unavailable": "webhooks answered 503",
    "silent": "no webhook for long",
    "credentials": "credentials refused",
    "destination_down": "destination down",
    "destination_failing": "destination fails",
    "expiring": "items near expiry",
    "dead_letters": "dead letters",
}
"""What `forebay:endpoint_danger:ratio` means, by its label `danger`."""


def _budget(title: str, objective: str, says: str) -> Sized:
    return (
        number(
            title,
            f"{says} What is left of the budget of 30 days: 100 % is untouched, at 0 % the objective is "
            "missed; below it, by how much, to ten times. Grey: nothing was measured, which is no good sign.",
            f'clamp_min(min(forebay:objective_budget_left:ratio30d{{objective="{objective}"}}), -10)',
            unit="percentunit",
            steps=BUDGET_LEFT,
            decimals=1,
        ),
        4,
        4,
    )


def _alerts(title: str, severity: str, says: str) -> Sized:
    return (
        number(
            title,
            f"{says} Grey: Prometheus evaluates no rules of Forebay.",
            f'count(ALERTS{{alertname=~"Forebay.+",alertstate="firing",severity="{severity}"}})'
            ' or 0 * sum(forebay:objective_target:ratio{objective="latency"})',
            steps=NOT_ZERO if severity == "page" else ((0.000001, "orange"),),
            none="no rules",
        ),
        4,
        4,
    )


def _state() -> list[Sized]:
    return [
        _budget(
            "Answered 200: budget left",
            "availability",
            "Well-formed and authorised requests that were stored and answered 200.",
        ),
        _budget(
            "Within 250 ms: budget left", "latency", "Answers within 250 ms, of the worst pool."
        ),
        _budget(
            "Within 1 s (providers): budget left",
            "one_second",
            "Answers within 1 s, what providers ask for, of the worst pool.",
        ),
        _budget(
            "Delivered in 5 s: budget left",
            "freshness",
            "Items delivered within 5 s of their receipt, at destinations that are up.",
        ),
        _alerts("Pages firing", "page", "Alerts for which somebody is woken."),
        _alerts("Tickets firing", "ticket", "Alerts that can wait until the morning."),
        (
            rows(
                "Endpoints at risk, the worst first",
                "How near an endpoint is to the limit of an alert: at 100 % the alert comes, unless it is over in "
                "five minutes. A click opens the endpoint. Empty: no endpoint is near a limit.",
                [
                    Column(title="namespace", label="namespace"),
                    Column(title="endpoint", label="endpoint", link=TO_ENDPOINT),
                    Column(title="in danger of", label="danger", words=DANGERS),
                    Column(
                        title="of the limit",
                        expr="topk(20, forebay:endpoint_danger:ratio > 0.1)",
                        unit="percentunit",
                        steps=((0.5, "orange"), (1, "red")),
                        decimals=0,
                        width=110,
                    ),
                ],
                none="no endpoint is near a limit",
                sort_by=["-of the limit"],
            ),
            13,
            9,
        ),
        (
            rows(
                "Alerts",
                "What fires, and what will unless it ends (pending). The runbook of each is linked in the alert.",
                [
                    Column(title="severity", label="severity", width=80),
                    Column(title="alert", label="alertname"),
                    Column(title="state", label="alertstate", width=80),
                    Column(title="namespace", label="namespace"),
                    Column(title="endpoint", label="endpoint", link=TO_ENDPOINT),
                    Column(title="destination", label="destination"),
                    Column(
                        title="number",
                        expr="topk(30, count by (severity, alertname, alertstate, namespace, endpoint, "
                        'destination) (ALERTS{alertname=~"Forebay.+"}))',
                        width=70,
                    ),
                ],
                none="no alert",
                sort_by=["state", "severity"],
            ),
            11,
            9,
        ),
    ]


def _objectives() -> list[Sized]:
    left = "forebay:objective_misses:ratio"
    over = "/ on (objective) group_left () (1 - forebay:objective_target:ratio)"
    chosen = '{objective!="endpoint_availability"}'
    return [
        (
            lines(
                "Burn rate of the budgets (1 h)",
                "How many times faster than the objective allows. At 1 the budget of 30 days lasts 30 days; at "
                "14.4 it is gone in 2 days, and somebody is woken.",
                {f"max by (objective) ({left}1h{chosen} {over})": "{{objective}}"},
                steps=((1, "orange"), (14.4, "red")),
            ),
            8,
            8,
        ),
        (
            lines(
                "Time to the answer 200",
                "From a request's first byte to its answer, by pool. Lines: 250 ms is the objective (99.9 %) and "
                "providers' median, 1 s the providers' standard (99 %), 5 s their limit, after which an answer "
                "counts as none.",
                quantiles("forebay_receiver_ack_seconds"),
                unit="s",
                steps=ANSWER,
                logarithmic=True,
            ),
            8,
            8,
        ),
        (
            lines(
                "From receipt to delivery",
                "All items that were delivered, with those that waited for a destination. Line: 5 s, the "
                "objective (99 %) for destinations that are up.",
                quantiles("forebay_processor_end_to_end_seconds"),
                unit="s",
                steps=((5, "red"),),
                logarithmic=True,
            ),
            8,
            8,
        ),
    ]


def _flow() -> list[Sized]:
    return [
        (
            lines(
                "Requests by outcome",
                "stored and duplicate are answered 200, unavailable 503: the provider sends those again. refused is "
                "the sender's fault.",
                {f"sum by (outcome) (rate(forebay_receiver_requests_total{RATE}))": "{{outcome}}"},
                unit="reqps",
                stacked=True,
                colours=REQUESTS,
            ),
            6,
            8,
        ),
        (
            lines(
                "Items by what became of them",
                "At all destinations. parked wait in RETRY for another attempt; dead need somebody.",
                {
                    f"sum by (outcome) (rate(forebay_processor_deliveries_total{RATE}))": "{{outcome}}"
                },
                unit="ops",
                stacked=True,
                colours={"delivered": "green", "parked": "orange", "dead": "red"},
            ),
            6,
            8,
        ),
        (
            lines(
                "What waits",
                "Before the first attempt, by lane: processors are too few or too slow. In RETRY: destinations do "
                "not take it.",
                {
                    "sum by (lane) (forebay_processor_lag_items)": "first attempt, {{lane}}",
                    "sum(forebay_processor_parked_items)": "RETRY",
                },
                colours={"RETRY": "red"},
            ),
            6,
            8,
        ),
        (
            bars(
                "Streams, how full",
                "Bytes to the limit. RAW and EVENTS are purged of what is processed at 80 %, so above it they are "
                "full of what waits; nothing purges RETRY and DEAD, where half full is early enough.",
                "topk(16, max by (stream) (forebay_stream_fill_ratio))",
                "{{stream}}",
                unit="percentunit",
                steps=((0.5, "orange"), (0.85, "red")),
            ),
            6,
            8,
        ),
    ]


def _endpoints() -> list[Sized]:
    busiest = "topk(25, forebay:endpoint_webhooks:increase1h)"
    of = f"and on (namespace, endpoint) {busiest}"
    waiting = (
        "topk(25, sum by (namespace, endpoint, destination) (forebay_processor_parked_items) > 0)"
    )
    there = f"and on (namespace, endpoint, destination) {waiting}"
    destination = "namespace, endpoint, destination"
    failed = grown('forebay_processor_attempts_total{result=~"failed|rejected"}', "15m")
    return [
        (
            rows(
                "Busiest endpoints",
                "The 25 with most webhooks in the last hour. Those in danger are in the table above, however "
                "little they get.",
                [
                    Column(title="namespace", label="namespace"),
                    Column(title="endpoint", label="endpoint", link=TO_ENDPOINT),
                    Column(title="webhooks in 1 h", expr=busiest, decimals=0),
                    Column(
                        title="answered 503",
                        expr=f'sum by (namespace, endpoint) (forebay:objective_misses:ratio1h{{objective="endpoint_availability"}} {of})',
                        unit="percentunit",
                        steps=((0.001, "orange"), (0.0144, "red")),
                    ),
                    Column(
                        title="last one",
                        expr=f"time() - max by (namespace, endpoint) (forebay_receiver_last_webhook_timestamp_seconds) {of}",
                        unit="s",
                    ),
                    Column(
                        title="waiting",
                        expr=f"sum by (namespace, endpoint) (forebay_processor_parked_items) {of}",
                        steps=((1, "orange"),),
                    ),
                ],
                none="no webhook in the last hour",
                sort_by=["-webhooks in 1 h"],
            ),
            12,
            10,
        ),
        (
            rows(
                "Destinations for which most waits",
                "The 25 destinations with most items in RETRY. Expiry is when the oldest of them becomes a dead "
                "letter. Empty: nothing waits.",
                [
                    Column(title="namespace", label="namespace"),
                    Column(title="endpoint", label="endpoint", link=TO_ENDPOINT),
                    Column(title="destination", label="destination"),
                    Column(title="waiting", expr=waiting, decimals=0),
                    Column(
                        title="oldest",
                        expr=f"max by ({destination}) (forebay_processor_oldest_parked_seconds) {there}",
                        unit="s",
                    ),
                    Column(
                        title="expires in",
                        expr=f"min by ({destination}) (forebay_processor_oldest_parked_expires_seconds) {there}",
                        unit="s",
                        steps=EXPIRES,
                    ),
                    Column(
                        title="breaker",
                        expr=f"max by ({destination}) (forebay_processor_breaker_open) {there}",
                        names={0: ("closed", "green"), 1: ("open", "red")},
                    ),
                    Column(
                        title="failed in 15 min",
                        expr=f"sum by ({destination}) ({failed}) {there}",
                        decimals=0,
                    ),
                ],
                none="nothing waits",
                sort_by=["-waiting"],
            ),
            12,
            10,
        ),
    ]


def overview() -> Dashboard:
    """Return the dashboard."""
    return frame(
        OVERVIEW,
        "Forebay / Overview",
        "Is a promise to the providers or to users in danger, and whose number is it? Begin at the top left.",
        [
            ("Is a number in danger?", _state(), False),
            ("Objectives", _objectives(), False),
            ("What flows, and what waits", _flow(), False),
            ("Endpoints and destinations", _endpoints(), False),
        ],
        since="6h",
    )
