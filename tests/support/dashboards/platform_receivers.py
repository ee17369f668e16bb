"""The dashboard *Platform*: receivers."""

from support.dashboards.frame import Sized
from support.dashboards.kit import ANSWER, LAG, RATE, grown, lines, quantiles
from support.dashboards.tables import Column, rows

__all__ = ["receivers"]


def receivers() -> list[Sized]:
    return [
        (
            lines(
                "Requests by receiver",
                "The ten busiest. One that gets far more than the others: connections stick to it.",
                {
                    f"topk(10, sum by (pod) (rate(forebay_receiver_requests_total{RATE})))": "{{pod}}"
                },
                unit="reqps",
            ),
            8,
            8,
        ),
        (
            lines(
                "Time to the answer 200",
                "By pool. Lines: 250 ms, 1 s and 5 s. Where it rises and the round trip to NATS does, it is NATS; "
                "where that does not, it is CPU.",
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
                "Time to store a webhook in NATS",
                "From the publish to JetStream's answer, with its disk and quorum.",
                quantiles("forebay_receiver_publish_seconds"),
                unit="s",
                steps=((0.25, "red"),),
                logarithmic=True,
            ),
            8,
            8,
        ),
        (
            lines(
                "Webhooks that are being stored",
                "The ten receivers with most. Near the limit of requests in flight: more receivers, or a NATS that "
                "is slow.",
                {"topk(10, sum by (pod) (forebay_receiver_in_flight))": "{{pod}}"},
            ),
            6,
            7,
        ),
        (
            lines(
                "Bytes that are being read or stored",
                "The ten receivers with most: large bodies, or slow senders.",
                {"topk(10, sum by (pod) (forebay_receiver_in_flight_bytes))": "{{pod}}"},
                unit="bytes",
            ),
            6,
            7,
        ),
        (
            lines(
                "Connections",
                "The ten receivers with most. Near the limit new ones are turned away.",
                {"topk(10, sum by (pod) (forebay_receiver_connections))": "{{pod}}"},
            ),
            6,
            7,
        ),
        (
            lines(
                "Sizes of bodies",
                "Of stored webhooks, for sizing streams.",
                {
                    f"histogram_quantile({share}, sum by (le) (rate(forebay_receiver_body_bytes_bucket{RATE})))": title
                    for share, title in ((0.5, "50 %"), (0.99, "99 %"))
                },
                unit="bytes",
            ),
            6,
            7,
        ),
        (
            lines(
                "Event loop lag",
                "How late the loop wakes. Above 100 ms the process gets too little CPU, or something holds its loop.",
                quantiles("forebay_receiver_loop_lag_seconds"),
                unit="s",
                steps=LAG,
                logarithmic=True,
            ),
            6,
            7,
        ),
        (
            lines(
                "Stored late, or after a wait (5 min)",
                "Stored after they were answered 503: they come again and are recognised; a rise says that NATS is slower "
                "than the budget of a request. And what waited for a leader or a server of NATS, by what came of it.",
                {
                    f"sum({grown('forebay_receiver_late_stored_total', '5m')})": "after 503",
                    f"sum by (outcome) ({grown('forebay_receiver_waited_total', '5m')})": "waited: {{outcome}}",
                },
            ),
            6,
            7,
        ),
        (
            lines(
                "Tasks of the loop",
                "The ten receivers with most. Rises without end where something leaks.",
                {"topk(10, sum by (pod) (forebay_receiver_tasks))": "{{pod}}"},
            ),
            6,
            7,
        ),
        (
            lines(
                "Spans of traces",
                "Of receivers and processors, by what became of them; nothing where traces are off. Where failed rises, "
                "look at the collector; where dropped does, lower the ratio.",
                {
                    f"sum by (outcome) (rate(forebay_receiver_spans_total{RATE}))": "receivers {{outcome}}",
                    f"sum by (outcome) (rate(forebay_processor_spans_total{RATE}))": "processors {{outcome}}",
                },
                unit="ops",
            ),
            6,
            7,
        ),
        (
            rows(
                "Tables of receivers",
                "Age is since the newest change came into force. One pod with another number of endpoints, or a much "
                "older table, does not follow. NATS' largest message is to be above the body limit.",
                [
                    Column(title="pod", label="pod"),
                    Column(
                        title="endpoints",
                        expr="topk(25, max by (pod) (forebay_receiver_endpoints))",
                        decimals=0,
                    ),
                    Column(
                        title="table age",
                        expr="max by (pod) (forebay_receiver_table_age_seconds)"
                        " and on (pod) topk(25, max by (pod) (forebay_receiver_endpoints))",
                        unit="s",
                    ),
                    Column(
                        title="NATS",
                        expr="min by (pod) (forebay_receiver_nats_connected)"
                        " and on (pod) topk(25, max by (pod) (forebay_receiver_endpoints))",
                        names={0: ("away", "red"), 1: ("connected", "green")},
                    ),
                    Column(
                        title="largest message",
                        expr="min by (pod) (forebay_receiver_nats_max_payload_bytes)"
                        " and on (pod) topk(25, max by (pod) (forebay_receiver_endpoints))",
                        unit="bytes",
                    ),
                ],
                none="no receiver is seen",
                sort_by=["-table age"],
            ),
            6,
            7,
        ),
    ]
