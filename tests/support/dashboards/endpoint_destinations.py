"""The dashboard *Endpoint*: how each destination is."""

from collections.abc import Mapping
from typing import Final

from support.dashboards.frame import Sized
from support.dashboards.kit import RATE, grown, lines, states

__all__ = ["AT", "BREAKER", "OF", "POOL", "breaker", "destinations"]

OF: Final = 'namespace="$namespace",endpoint="$endpoint"'
AT: Final = f'{OF},destination=~"$destination"'

BREAKER: Final[Mapping[float, tuple[str, str]]] = {
    0: ("closed", "green"),
    1: ("probing", "orange"),
    2: ("open", "red"),
    3: ("refused", "purple"),
}
"""The states of a breaker, by how much they are in need of somebody."""

POOL: Final = (
    " Histograms have no label of an endpoint, for a bounded number of series: this is of ALL endpoints of "
    "the pool, and says whether it is slow by itself or with all."
)


def breaker() -> str:
    """Return the state of each destination's breaker as a number of `BREAKER`; the worst of all pods."""
    series = f"forebay_processor_breaker_state{{{AT},"
    return (
        f'max by (destination) (0 * {series}state="Closed"}} or 1 * {series}state="Probing"}}'
        f' or 2 * {series}state="Open"}} or 3 * {series}state="Refused"}})'
    )


def destinations() -> list[Sized]:
    by = "sum by (destination, {0}) (rate({1}{{" + AT + "}}" + RATE + "))"
    full = " / ".join(
        f"sum by (destination) (rate(forebay_processor_{name}_total{{{AT}}}{RATE}))"
        for name in ("batch_items", "batches")
    )
    dead = grown(f"forebay_processor_dead_letters_total{{{AT}}}", "15m")
    replayed = grown(f"forebay_processor_replayed_items_total{{{AT}}}", "15m")
    return [
        (
            states(
                "Breakers",
                "After failures in a row nothing is sent to a destination but probes, until one succeeds.",
                breaker(),
                "{{destination}}",
                BREAKER,
            ),
            8,
            6,
        ),
        (
            lines(
                "Until the next probe",
                "Of an open breaker: a minute at most, hours where the destination refuses us. 0: the next item is the probe. "
                "No line: closed.",
                {
                    f"min by (destination) (forebay_processor_breaker_next_attempt_seconds{{{AT}}})": "{{destination}}"
                },
                unit="s",
            ),
            4,
            6,
        ),
        (
            lines(
                "Items by what became of them",
                "delivered, parked (waits for another attempt) or dead (given up), at each destination.",
                {
                    by.format(
                        "outcome", "forebay_processor_deliveries_total"
                    ): "{{destination}} {{outcome}}"
                },
                unit="ops",
            ),
            12,
            6,
        ),
        (
            lines(
                "Attempts by result",
                "failed are tried again; rejected are not: the destination said that it will never take them.",
                {
                    by.format(
                        "result", "forebay_processor_attempts_total"
                    ): "{{destination}} {{result}}"
                },
                unit="ops",
            ),
            8,
            8,
        ),
        (
            lines(
                "Attempts by answer",
                "4xx: credentials or items. 5xx and timeout: the destination. connection: its network or TLS. other: "
                "another status, or an attempt that never left.",
                {
                    by.format(
                        "result", "forebay_processor_answers_total"
                    ): "{{destination}} {{result}}"
                },
                unit="ops",
            ),
            8,
            8,
        ),
        (
            lines(
                "Time of an attempt, all destinations of the pool",
                f"How quick destinations answer.{POOL}",
                {
                    f"histogram_quantile({share}, sum by (le) (rate(forebay_processor_delivery_seconds_bucket{RATE})))": title
                    for share, title in ((0.5, "50 %"), (0.99, "99 %"))
                },
                unit="s",
                logarithmic=True,
            ),
            8,
            8,
        ),
        (
            lines(
                "Items waiting",
                "In RETRY. What waits at a destination that is up drains; else it is down, over its limit, or paused.",
                {
                    f"sum by (destination) (forebay_processor_parked_items{{{AT}}})": "{{destination}}"
                },
            ),
            6,
            8,
        ),
        (
            lines(
                "Age of the oldest that waits",
                "Since it was received. No line: nothing waits.",
                {
                    f"max by (destination) (forebay_processor_oldest_parked_seconds{{{AT}}})": "{{destination}}"
                },
                unit="s",
            ),
            6,
            8,
        ),
        (
            lines(
                "Time until it expires",
                "Until the oldest item is given up (`retry.maxAge`). Line: an hour. No line: nothing waits.",
                {
                    f"min by (destination) (forebay_processor_oldest_parked_expires_seconds{{{AT}}})": "{{destination}}"
                },
                unit="s",
                steps=((3600, "orange"),),
            ),
            6,
            8,
        ),
        (
            lines(
                "Conversations blocked",
                "They wait because one of their items failed, in order. Few while others are delivered: single items "
                "fail, look at their answers. Many: the destination is down.",
                {
                    f"sum by (destination) (forebay_processor_blocked_conversations{{{AT}}})": "{{destination}}"
                },
            ),
            6,
            8,
        ),
        (
            lines(
                "Share of RETRY that is used",
                "Of what a destination, or its namespace, may have. Line: from 1 on what comes becomes dead letters NoRoom.",
                {
                    f"max by (destination) (forebay_processor_backlog_share_ratio{{{AT}}})": "{{destination}}"
                },
                unit="percentunit",
                steps=((0.8, "orange"), (1, "red")),
            ),
            12,
            8,
        ),
        (
            lines(
                "Bytes waiting",
                "What the items that wait take of RETRY, about.",
                {
                    f"sum by (destination) (forebay_processor_parked_bytes{{{AT}}})": "{{destination}}"
                },
                unit="bytes",
            ),
            12,
            8,
        ),
        (
            lines(
                "Dead letters, by reason (15 min)",
                "Items that were given up: docs/dead-letters.md says what each reason means.",
                {f"sum by (destination, reason) ({dead})": "{{destination}} {{reason}}"},
            ),
            8,
            8,
        ),
        (
            lines(
                "Replayed items (15 min)",
                "Dead letters that somebody replayed; what became of them is in the panels above.",
                {f"sum by (destination) ({replayed})": "{{destination}}"},
            ),
            8,
            8,
        ),
        (
            lines(
                "Items in a batch",
                "How full batches are, of destinations that take several items in one request. No line: none does.",
                {full: "{{destination}}"},
            ),
            8,
            8,
        ),
        (
            lines(
                "Filters",
                "Items that a destination's filter kept back, and those on which it failed, by reason, which were let "
                "through. No line: it has none.",
                {
                    f"sum by (destination) (rate(forebay_processor_filtered_items_total{{{AT}}}{RATE}))": (
                        "{{destination}} kept back"
                    ),
                    by.format("reason", "forebay_processor_filter_failures_total"): (
                        "{{destination}} failed: {{reason}}"
                    ),
                },
                unit="ops",
            ),
            8,
            8,
        ),
    ]
