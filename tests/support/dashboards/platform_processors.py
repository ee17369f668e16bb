"""The dashboard *Platform*: processors."""

from support.dashboards.frame import Sized
from support.dashboards.kit import LAG, RATE, grown, lines, quantiles
from support.dashboards.tables import Column, rows

__all__ = ["processors"]


def processors() -> list[Sized]:
    return [
        (
            lines(
                "What waits for a split or a first attempt",
                "By lane. Rises while processors are too few or too slow: it is what scales them.",
                {"sum by (lane) (forebay_processor_lag_items)": "{{lane}}"},
                stacked=True,
            ),
            8,
            8,
        ),
        (
            lines(
                "Age of the oldest of them",
                "By lane. Line: 5 s, the objective of freshness.",
                {"max by (lane) (forebay_processor_oldest_item_seconds)": "{{lane}}"},
                unit="s",
                steps=((5, "red"),),
            ),
            8,
            8,
        ),
        (
            lines(
                "Oldest webhook that is not split",
                "As a share of the age at which RAW forgets it: at 100 % webhooks are lost. Most likely no table "
                "names their endpoint any more.",
                {"max by (shard) (forebay_processor_unsplit_age_ratio)": "shard {{shard}}"},
                unit="percentunit",
                steps=((0.5, "red"),),
            ),
            8,
            8,
        ),
        (
            lines(
                "Partitions by processor",
                "RAW's (raw) and EVENTS' (event). The sum is 16 of each a shard, shared evenly; more processors than "
                "partitions have nothing to do.",
                {
                    "topk(32, sum by (pod, kind) (forebay_processor_partitions_owned))": "{{pod}} {{kind}}"
                },
                stacked=True,
            ),
            8,
            8,
        ),
        (
            lines(
                "Partitions taken and lost (5 min)",
                "A rise without a roll-out: processors die, or lose their leases, as they stood still for longer.",
                {
                    f"sum by (kind) ({grown('forebay_processor_takeovers_total', '5m')})": "taken, {{kind}}",
                    f"sum by (kind) ({grown('forebay_processor_partitions_lost_total', '5m')})": "lost, {{kind}}",
                },
            ),
            8,
            8,
        ),
        (
            lines(
                "Time to store a heartbeat in NATS",
                "Heartbeats, about one a second. Where items are late and this rises, it is NATS; where it does not, "
                "look at the event loop.",
                quantiles("forebay_processor_heartbeat_seconds"),
                unit="s",
                steps=((0.25, "orange"), (1, "red")),
                logarithmic=True,
            ),
            8,
            8,
        ),
        (
            lines(
                "Time of an attempt",
                "How quick destinations are, over all of them.",
                quantiles("forebay_processor_delivery_seconds"),
                unit="s",
                logarithmic=True,
            ),
            6,
            7,
        ),
        (
            lines(
                "Event loop lag",
                "How late the loop wakes. Above 100 ms the process gets too little CPU, or something holds its loop.",
                quantiles("forebay_processor_loop_lag_seconds"),
                unit="s",
                steps=LAG,
                logarithmic=True,
            ),
            6,
            7,
        ),
        (
            lines(
                "Messages handed out again",
                "By JetStream, after they were finished here. Some after a restart of NATS; always: acks get lost.",
                {f"sum(rate(forebay_processor_redeliveries_total{RATE}))": "messages"},
                unit="ops",
            ),
            6,
            7,
        ),
        (
            rows(
                "Tables of processors",
                "As at receivers: one pod that differs does not follow the tables.",
                [
                    Column(title="pod", label="pod"),
                    Column(
                        title="endpoints",
                        expr="topk(25, max by (pod) (forebay_processor_endpoints))",
                        decimals=0,
                    ),
                    Column(
                        title="table age",
                        expr="max by (pod) (forebay_processor_table_age_seconds)"
                        " and on (pod) topk(25, max by (pod) (forebay_processor_endpoints))",
                        unit="s",
                    ),
                ],
                none="no processor is seen",
                sort_by=["-table age"],
            ),
            6,
            7,
        ),
    ]
