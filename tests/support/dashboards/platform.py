"""The dashboard *Platform*: receivers, processors, streams, the operator, and what scales them."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from support.dashboards.frame import PLATFORM, Sized, frame
from support.dashboards.kit import LAG, RATE, at_least, bars, grown, lines, number, quantiles
from support.dashboards.platform_processors import processors
from support.dashboards.platform_receivers import receivers

__all__ = ["platform"]

_HPA: Final = 'horizontalpodautoscaler=~".*(forebay|receiver|processors).*"'


DROPPED: Final = 'forebay_processor_index_records_total{outcome="dropped"}'


def _state() -> list[Sized]:
    return [
        (
            number(
                "Receivers connected to NATS",
                "The share of receivers that have a connection. Below 100 % some answer every webhook 503.",
                "avg(forebay_receiver_nats_connected)",
                unit="percentunit",
                steps=at_least(1, 0.5),
                none="none seen",
                decimals=0,
            ),
            3,
            4,
        ),
        (
            number(
                "Processors",
                "Processes that show their metrics.",
                "count(forebay_processor_endpoints)",
                steps=at_least(2, 1),
                none="none seen",
            ),
            3,
            4,
        ),
        (
            number(
                "Partitions without a processor",
                "Of 16 a shard and kind; webhooks and items in them stand still.",
                '16 * count(count by (shard) (forebay_processor_unsplit_age_ratio{pool="processor"})) - '
                'min(sum by (kind) (forebay_processor_partitions_owned{pool="processor"}))',
                steps=((0.5, "red"),),
                none="none seen",
            ),
            4,
            4,
        ),
        (
            number(
                "Oldest item before its first attempt",
                "Of lanes live and status. Above 5 s the objective of freshness is missed, above 60 s somebody is woken.",
                'max(forebay_processor_oldest_item_seconds{lane=~"live|status"})',
                unit="s",
                steps=((5, "orange"), (60, "red")),
                decimals=1,
            ),
            4,
            4,
        ),
        (
            number(
                "Fullest stream",
                "Bytes to the limit; RAW at 100 % means that every webhook is answered 503.",
                "max(forebay_stream_fill_ratio)",
                unit="percentunit",
                steps=((0.8, "orange"), (0.9, "red")),
                decimals=0,
            ),
            3,
            4,
        ),
        (
            number(
                "Servers of NATS missing",
                "That should hold a stream and are away, or behind. Of three one may; with two away no webhook is taken.",
                "max(forebay_stream_missing_replicas)",
                steps=((1, "orange"), (2, "red")),
                none="none seen",
            ),
            4,
            4,
        ),
        (
            number(
                "Endpoints not ready",
                "Accepted endpoints or new ones that the operator has not made ready: `kubectl describe` says why.",
                'sum(forebay_operator_endpoints{condition="Ready",status!="True"})'
                " or 0 * max(forebay_operator_watch_age_seconds)",
                steps=((1, "orange"),),
                none="no operator seen",
            ),
            3,
            4,
        ),
    ]


def _streams() -> list[Sized]:
    return [
        (
            bars(
                "How full",
                "RAW and EVENTS are purged of what is processed at 80 %: above it they are full of what waits. Nothing "
                "purges RETRY and DEAD.",
                "topk(16, max by (stream) (forebay_stream_fill_ratio))",
                "{{stream}}",
                unit="percentunit",
                steps=((0.5, "orange"), (0.85, "red")),
            ),
            6,
            8,
        ),
        (
            lines(
                "Fill, and where it will be in 4 hours",
                "The trend of half an hour. Line: 98 %, where the alert ForebayStreamFillsUp sees it full.",
                {
                    "topk(8, max by (stream) (forebay_stream_fill_ratio))": "{{stream}}",
                    "topk(8, max by (stream) (clamp(predict_linear(forebay_stream_fill_ratio[30m], 4 * 3600), 0, 1.5)))": "{{stream}} in 4 h",
                },
                unit="percentunit",
                steps=((0.98, "red"),),
            ),
            6,
            8,
        ),
        (
            lines(
                "Bytes",
                "Of the largest streams.",
                {"topk(16, max by (stream) (forebay_stream_bytes))": "{{stream}}"},
                unit="bytes",
            ),
            6,
            8,
        ),
        (
            lines(
                "Trouble with streams (5 min)",
                "Processed messages purged for room (of EVENTS: repeats are recognised for a shorter time), requests "
                "for messages that came to nothing, consumers that somebody deleted and that were put right, records "
                "of the index that were not stored (`forebay events` has gaps).",
                {
                    f"sum by (stream) ({grown('forebay_processor_purged_messages_total', '5m')})": "{{stream}} purged",
                    f"sum by (stream, reason) ({grown('forebay_processor_pulls_refused_total', '5m')})": "{{stream}} {{reason}}",
                    f"sum by (stream) ({grown('forebay_processor_consumers_restored_total', '5m')})": "{{stream}} restored",
                    f"sum by (outcome) ({grown(DROPPED, '5m')})": "index {{outcome}}",
                },
            ),
            6,
            8,
        ),
    ]


def _operator() -> list[Sized]:
    return [
        (
            lines(
                "Reconciles by result",
                "failed that goes on: read the operator's log. refused: the endpoint's conditions say why.",
                {f"sum by (result) (rate(forebay_operator_reconciles_total{RATE}))": "{{result}}"},
                unit="ops",
                stacked=True,
                colours={
                    "ok": "green",
                    "waiting": "blue",
                    "gone": "purple",
                    "refused": "orange",
                    "failed": "red",
                },
            ),
            6,
            8,
        ),
        (
            lines(
                "Time of a reconcile",
                "Above a second the API server is slow.",
                quantiles("forebay_operator_reconcile_seconds"),
                unit="s",
                steps=((1, "red"),),
                logarithmic=True,
            ),
            6,
            8,
        ),
        (
            lines(
                "Queue, and silence of the watches",
                "Endpoints that wait for a worker: 0 within minutes of a start. Seconds since a watch asked "
                "the API server: above 600 it is dead, or the server away.",
                {
                    "sum(forebay_operator_queue_items)": "endpoints in the queue",
                    "max(forebay_operator_watch_age_seconds)": "seconds since a request",
                },
                steps=((600, "red"),),
            ),
            6,
            8,
        ),
        (
            lines(
                "Endpoints by condition",
                "Ready that is not True for minutes: `kubectl describe` says why.",
                {
                    "sum by (condition, status) (forebay_operator_endpoints)": "{{condition}} {{status}}"
                },
            ),
            6,
            8,
        ),
        (
            lines(
                "Writes to the API server (5 min)",
                "By kind. At rest there are none; some without end: somebody else writes the same objects.",
                {f"sum by (kind) ({grown('forebay_operator_writes_total', '5m')})": "{{kind}}"},
            ),
            6,
            7,
        ),
        (
            lines(
                "Objects put right (15 min)",
                "Somebody changed or deleted what the operator made: its log names the objects.",
                {f"sum({grown('forebay_operator_drift_repairs_total', '15m')})": "objects"},
            ),
            6,
            7,
        ),
        (
            lines(
                "Event loop lag",
                "How late the operator's loop wakes.",
                quantiles("forebay_operator_loop_lag_seconds"),
                unit="s",
                steps=LAG,
                logarithmic=True,
            ),
            6,
            7,
        ),
        (
            lines(
                "Restarts of processes (10 min)",
                "Of pods that stay: a process ended and was started again, for want of memory or by its probe. Its "
                "counters began at 0.",
                {
                    f"sum(changes(forebay_{part}_start_time_seconds[10m]))": f"{part}s"
                    for part in ("receiver", "processor", "operator")
                },
            ),
            6,
            7,
        ),
        (
            lines(
                "Round trip to NATS, without storing",
                "From the operator's questions to NATS' answers. Where this rises as the times to store do, it is the "
                "network or NATS' CPU; where only those do, its disk.",
                quantiles("forebay_operator_nats_seconds"),
                unit="s",
                steps=((1, "red"),),
                logarithmic=True,
            ),
            8,
            7,
        ),
        (
            lines(
                "Until certificates end",
                "Of NATS, and of the authorities that destinations name, the first five. At 0 nothing connects there "
                "any more.",
                {
                    "min(forebay_operator_nats_certificate_end_timestamp_seconds) - time()": "NATS",
                    "0 - topk(5, time() - min by (namespace, endpoint) (forebay_operator_certificate_end_timestamp_seconds))": "{{namespace}}/{{endpoint}}",
                },
                unit="s",
            ),
            8,
            7,
        ),
        (
            lines(
                "Age of Secrets",
                "Since the Secret of an endpoint that was not changed for longest was written; the oldest five.",
                {
                    "topk(5, time() - min by (namespace, endpoint) (forebay_operator_secret_changed_timestamp_seconds))": "{{namespace}}/{{endpoint}}",
                },
                unit="s",
            ),
            8,
            7,
        ),
    ]


def _scaling() -> list[Sized]:
    by = "sum by (horizontalpodautoscaler)"
    return [
        (
            lines(
                "Pods by autoscaler",
                "Needs kube-state-metrics. Of HorizontalPodAutoscalers, those that KEDA makes too. At the most for "
                "long: raise it.",
                {
                    f"topk(10, {by} (kube_horizontalpodautoscaler_status_current_replicas{{{_HPA}}}))": "{{horizontalpodautoscaler}}",
                    f"topk(10, {by} (kube_horizontalpodautoscaler_status_desired_replicas{{{_HPA}}}))": "{{horizontalpodautoscaler}} wanted",
                    f"topk(10, {by} (kube_horizontalpodautoscaler_spec_max_replicas{{{_HPA}}}))": "{{horizontalpodautoscaler}} at most",
                },
            ),
            12,
            8,
        ),
        (
            lines(
                "KEDA: what its scalers read",
                "Where KEDA scales processors by forebay_processor_lag_items: the value that it compares.",
                {
                    'topk(10, max by (scaledObject) (keda_scaler_metrics_value{scaledObject=~".*(forebay|receiver|processors).*"}))': "{{scaledObject}}"
                },
            ),
            12,
            8,
        ),
    ]


def platform() -> Dashboard:
    """Return the dashboard."""
    return frame(
        PLATFORM,
        "Forebay / Platform",
        "The parts of Forebay: which of them is the cause?",
        [
            ("Does every part do its work?", _state(), False),
            ("Receivers", receivers(), False),
            ("Processors", processors(), False),
            ("Streams in NATS", _streams(), False),
            ("Operator", _operator(), False),
            ("Autoscaling (kube-state-metrics, KEDA)", _scaling(), True),
        ],
        since="6h",
    )
