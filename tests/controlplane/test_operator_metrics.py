"""The operator's /metrics: what it does is counted, and deleted endpoints leave nothing there."""

from prometheus_client.parser import text_string_to_metric_families

from forebay_operator.metrics import CERTIFICATE, DECLARED, SECRET
from support.operator.operator_process import Forebay, Operator, manifest
from support.timing.wait import eventually


async def read(operator: Operator) -> dict[tuple[str, ...], float]:
    """Return all samples, by name and the values of their labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(await operator.metrics())
        for sample in family.samples
    }


async def test_endpoints_that_come_and_go_leave_no_series(forebay: Forebay) -> None:
    forebay.secret()
    operator = forebay.operator()
    await operator.start()

    async def accepted(count: int) -> bool:
        shown = await read(operator)
        return shown.get(("forebay_operator_endpoints", "Accepted", "True"), 0) == count

    shown = await read(operator)
    before: set[tuple[str, ...]] = set()
    for number in range(3):
        name = f"sales-{number}"
        forebay.apply(manifest(forebay.tenant, name))
        await eventually(lambda: accepted(1), within=20, saying="the endpoint to be counted")
        text = await operator.metrics()
        # Its Secret may be among the oldest; that it goes again is asserted below.
        named = {line.partition("{")[0] for line in text.splitlines() if name in line}
        assert named <= {SECRET.name, CERTIFICATE.name}
        assert all(f"# TYPE {metric.name} {metric.kind}\n" in text for metric in DECLARED)
        forebay.delete(name)
        await eventually(lambda: accepted(0), within=20, saying="it to be counted no more")
        shown = await read(operator)
        # A look may fail once where somebody else wrote first, and then has a result of its own.
        series = {labels for labels in shown if labels[0] != "forebay_operator_reconciles_total"}
        # In the first round each kind of object is written for the first time.
        assert series == before or not number
        before = series
    assert shown["forebay_operator_queue_items",] >= 0
    assert shown["forebay_operator_watch_age_seconds",] < 60
    assert shown["forebay_operator_loop_lag_seconds_count", "operator"] > 0
    assert shown["forebay_operator_reconciles_total", "gone"] >= 3
    assert 0 <= shown["forebay_stream_fill_ratio", "FOREBAY_RAW_0"] < 1
