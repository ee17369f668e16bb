"""The dashboard *Endpoint*: one channel, from the edge to each of its destinations."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from support.dashboards.endpoint_destinations import AT, BREAKER, OF, POOL, breaker, destinations
from support.dashboards.frame import ENDPOINT, Sized, endpoint_variables, frame
from support.dashboards.kit import (
    BUDGET_LEFT,
    EXPIRES,
    NOT_ZERO,
    RATE,
    REQUESTS,
    grown,
    heat,
    lines,
    number,
)

__all__ = ["endpoint"]


def _state() -> list[Sized]:
    return [
        (
            number(
                "Answered 200: budget left",
                "What is left of 30 days' budget of requests answered 503. At 0 % the objective is missed.",
                f'clamp_min(min(forebay:objective_budget_left:ratio30d{{objective="endpoint_availability",{OF}}}), -10)',
                unit="percentunit",
                steps=BUDGET_LEFT,
                decimals=1,
            ),
            4,
            4,
        ),
        (
            number(
                "Last webhook",
                "How long ago the latest one was stored. What is long depends on the channel: compare with the "
                "usual below.",
                f"time() - max(forebay_receiver_last_webhook_timestamp_seconds{{{OF}}})",
                unit="s",
                none="none since the start",
                decimals=0,
            ),
            4,
            4,
        ),
        (
            number(
                "Items waiting",
                "In RETRY, for all destinations: after a failed attempt, behind one of the same conversation, or "
                "because the endpoint is paused.",
                f"sum(forebay_processor_parked_items{{{AT}}})",
                steps=((1, "orange"),),
                decimals=0,
            ),
            4,
            4,
        ),
        (
            number(
                "First expiry in",
                "When the oldest item that waits is given up and becomes a dead letter. Mend the destination "
                "before that, or pause the endpoint.",
                f"min(forebay_processor_oldest_parked_expires_seconds{{{AT}}})"
                f" or 0 * max(forebay_processor_breaker_open{{{AT}}}) + Inf",
                unit="s",
                steps=EXPIRES,
                names={float("inf"): ("nothing waits", "green")},
            ),
            4,
            4,
        ),
        (
            number(
                "Dead letters in 1 h",
                "Items that were given up. They are kept for 30 days: `forebay dead ls`, `forebay dead replay`.",
                f"sum({grown(f'forebay_processor_dead_letters_total{{{AT}}}', '1h')})"
                f" or 0 * max(forebay_processor_breaker_open{{{AT}}})",
                steps=NOT_ZERO,
                decimals=0,
            ),
            4,
            4,
        ),
        (
            number(
                "Worst breaker",
                "open: the destination is down, one probe at a time is let through. refused: it refuses our "
                "credentials, and is probed after pauses that grow to hours.",
                f"max({breaker()})",
                steps=((1, "orange"), (2, "red"), (3, "purple")),
                names=BREAKER,
            ),
            4,
            4,
        ),
    ]


def _edge() -> list[Sized]:
    return [
        (
            lines(
                "Requests by outcome",
                "stored and duplicate are answered 200, unavailable 503: the provider sends those again.",
                {
                    f"sum by (outcome) (rate(forebay_receiver_requests_total{{{OF}}}{RATE}))": "{{outcome}}"
                },
                unit="reqps",
                stacked=True,
                colours=REQUESTS,
            ),
            8,
            8,
        ),
        (
            lines(
                "Refused and unavailable, by reason (5 min)",
                "Requests that were not stored. signature_wrong and the like after a rotation: the secret of one side "
                "is an old one. nats_away, stream_full and overloaded are ours. All reasons: docs/receiver.md.",
                {
                    f"sum by (reason) ({grown(f'forebay_receiver_refused_total{{{OF}}}', '5m')})": "{{reason}}"
                },
            ),
            8,
            8,
        ),
        (
            lines(
                "Webhooks in an hour, and what is usual",
                "usual: the fewest in such an hour of yesterday and of a week ago; it begins after a day. Far below "
                "it, look at the registration at the provider.",
                {
                    f"forebay:endpoint_webhooks:increase1h{{{OF}}}": "now",
                    f"forebay:endpoint_webhooks_usual:increase1h{{{OF}}}": "usual",
                },
                colours={"now": "green", "usual": "blue"},
            ),
            8,
            8,
        ),
        (
            heat(
                "Time to the answer 200, all endpoints of the pool",
                "From a request's first byte to its answer. The objective is 99.9 % below 0.25 s; at 5 s a provider "
                f"gives up.{POOL}",
                f"sum by (le) (rate(forebay_receiver_ack_seconds_bucket{RATE}))",
            ),
            12,
            8,
        ),
        (
            heat(
                "From receipt to delivery, all endpoints of the pool",
                f"The objective is 99 % below 5 s, at destinations that are up.{POOL}",
                f"sum by (le) (rate(forebay_processor_end_to_end_seconds_bucket{RATE}))",
            ),
            12,
            8,
        ),
    ]


def _items() -> list[Sized]:
    unreadable = grown(f"forebay_processor_unreadable_bodies_total{{{OF}}}", "5m")
    return [
        (
            lines(
                "Items by kind",
                "What webhooks held: messages, statuses, calls and so on.",
                {
                    f"topk(12, sum by (kind) (rate(forebay_processor_items_total{{{OF}}}{RATE})))": "{{kind}}"
                },
                unit="ops",
                stacked=True,
            ),
            6,
            8,
        ),
        (
            lines(
                "New, repeats, variants",
                "repeat: an item that was seen before, as the provider sent a webhook again. variant: other content "
                "under a known key; it is stored beside the first.",
                {
                    f"sum by (outcome) (rate(forebay_processor_items_total{{{OF}}}{RATE}))": "{{outcome}}"
                },
                unit="ops",
                stacked=True,
                colours={"new": "green", "repeat": "blue", "variant": "purple"},
            ),
            6,
            8,
        ),
        (
            lines(
                "Webhooks by what the split made of them",
                "invalid are set aside (`forebay dead ls --invalid`), dropped were of an endpoint that is gone.",
                {
                    f"sum by (outcome) (rate(forebay_processor_webhooks_total{{{OF}}}{RATE}))": "{{outcome}}"
                },
                unit="ops",
                stacked=True,
                colours={"split": "green", "invalid": "red", "dropped": "orange"},
            ),
            6,
            8,
        ),
        (
            lines(
                "Unreadable bodies, by reason (5 min)",
                "NotJson and NoEnvelope: no webhook of this provider. TooMany..., ExpandsTooFar: beyond a limit; "
                "raise it if the sender is trusted, then replay. Crashed: a fault of Forebay, please report it.",
                {f"sum by (reason) ({unreadable})": "{{reason}}"},
            ),
            6,
            8,
        ),
    ]


def endpoint() -> Dashboard:
    """Return the dashboard."""
    return endpoint_variables(
        frame(
            ENDPOINT,
            "Forebay / Endpoint",
            "One endpoint, from the edge to each of its destinations.",
            [
                ("$namespace/$endpoint", _state(), False),
                ("Edge: what the provider sends, and what it is answered", _edge(), False),
                ("Items: what was in the webhooks", _items(), False),
                ("Destinations: where items go", destinations(), False),
            ],
            since="6h",
        )
    )
