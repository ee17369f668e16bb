"""Exemplars: OpenMetrics where there are traces and it is asked for, read by another's code."""

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from forebay.core.endpoint_name import EndpointName
from forebay.runtime.metrics import CONTENT_TYPE, OPENMETRICS_TYPE
from forebay_processor.metrics import ProcessorMetrics
from forebay_receiver.metrics import ReceiverMetrics
from support.traces.recorded import recording_tracer

ASKED = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4"
TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_the_latency_names_a_trace_of_its_bucket() -> None:
    metrics = ReceiverMetrics("receiver")
    metrics.follow_spans(recording_tracer()[0].counts)
    metrics.of(EndpointName("demo", "meta")).stored(duplicate=False, at=1.0)
    metrics.stored(0.003, 0.3, 512)
    metrics.traced(0.003, 0.3, TRACE, 1_767_225_600.5)
    shown = await metrics.exposition(ASKED)
    assert shown.content_type == OPENMETRICS_TYPE
    read = {family.name: family for family in opened_of(shown.content)}
    (exemplar,) = (
        (sample.labels["le"], sample.exemplar)
        for sample in read["forebay_receiver_ack_seconds"].samples
        if sample.exemplar is not None
    )
    assert exemplar[0] == "0.5"
    assert exemplar[1].labels == {"trace_id": TRACE}
    assert (exemplar[1].value, float(exemplar[1].timestamp or 0)) == (0.3, 1_767_225_600.5)
    (stored,) = (
        sample
        for sample in read["forebay_receiver_requests"].samples
        if sample.labels.get("outcome") == "stored" and sample.labels["endpoint"] == "meta"
    )
    assert (stored.name, stored.value) == ("forebay_receiver_requests_total", 1)


async def test_both_formats_have_the_same_samples() -> None:
    metrics = ProcessorMetrics("processor", recording_tracer()[0])
    name = EndpointName("demo", "meta")
    metrics.attempt(name, "crm", "delivered", "2xx", 0.2)
    metrics.delivered(name, "crm", 0.4)
    metrics.traced(0.2, 0.4, TRACE, 5.0)
    plain = await metrics.exposition("text/plain")
    assert plain.content_type == CONTENT_TYPE
    assert TRACE not in plain.content.decode()
    opened = (await metrics.exposition(ASKED)).content.decode()
    assert opened.count(TRACE) == 2
    assert samples(opened_of(opened.encode())) == samples(families(plain.content.decode()))


async def test_without_traces_the_format_is_prometheus_own() -> None:
    shown = await ReceiverMetrics("receiver").exposition(ASKED)
    assert shown.content_type == CONTENT_TYPE
    assert b"# EOF" not in shown.content


def opened_of(content: bytes) -> Iterator[Metric]:
    found: Iterator[Metric] = open_families(content.decode())  # type: ignore[no-untyped-call]
    return found


def samples(found: Iterable[Metric]) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
    return sorted(
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in found
        for sample in family.samples
    )
