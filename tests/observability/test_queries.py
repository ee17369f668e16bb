"""Every query of every panel and rule, asked of a real Prometheus that read a real run.

What has no series is a dashboard's worst fault: it looks like health.
"""

from typing import Final

import pytest

from support.cluster.rules import check, groups, rules
from support.dashboards.declared import FOREIGN, metrics_of
from support.dashboards.files import Query, queries, variables
from support.dashboards.filled import filled
from support.docs.metrics_page import METRICS, MOST_RECORDS, OPTIONAL, sample_names
from support.incidents.incident import Place
from support.incidents.panels import alarming
from support.observability.eventful_run import BUSY, PAUSED, SHOP, EventfulRun
from support.timing.wait import eventually

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # The first test starts everything: half a minute on a free machine.
    pytest.mark.timeout(150),
]

NAMESPACE, _, ENDPOINT = SHOP.partition("/")

ON_A_CLUSTER: Final = {name for name, why in FOREIGN.items() if "cluster" in why or "KEDA" in why}
"""Series of others than Forebay and Prometheus: nobody here shows them."""

EMPTY: Final = {
    "forebay_operator_drift_repairs_total": "nobody edits objects on a cluster that is played",
    "forebay_receiver_waited_total": "a stream in one copy has no leader that moves",
}
"""Metrics of ours that this run has no data of, each with the reason."""

NEVER_HERE: Final = {"forebay_receiver_waited_total"}
"""Of those, the ones with a label: there is no series of 0 either."""


def on_shop(expr: str) -> str:
    return filled(expr, namespace=NAMESPACE, endpoint=ENDPOINT)


async def test_the_rules_are_taken_and_evaluated_without_an_error(run: EventfulRun) -> None:
    async def all_evaluated() -> bool:
        return all(each["health"] != "unknown" for each in await run.prometheus.rules())

    await eventually(all_evaluated, within=30, saying="every rule to be evaluated")
    found = await run.prometheus.rules()
    assert len(found) == len(rules())
    assert not [each for each in found if each["health"] != "ok" or each.get("lastError")]


async def test_all_parts_are_scraped(run: EventfulRun) -> None:
    found = await run.prometheus.targets()
    assert len(found) == len(run.targets)
    assert not [each for each in found if each["health"] != "up" or each["lastError"]]


async def test_every_query_of_every_panel_returns_data(run: EventfulRun) -> None:
    async def without_data() -> list[str]:
        return [
            str(query)
            for query in queries()
            if not metrics_of(query.expr) & (ON_A_CLUSTER | NEVER_HERE)
            and not await run.prometheus.query(on_shop(query.expr))
        ]

    async def nothing_without_data() -> bool:
        await run.traffic(seconds=1)
        return not await without_data()

    try:
        await eventually(nothing_without_data, within=20, saying="every panel to have data")
    except AssertionError:
        assert await without_data() == []  # says which


async def test_a_tile_that_shows_0_for_nothing_has_a_figure_of_its_own_here(
    run: EventfulRun,
) -> None:
    """A wrong label in front of `or 0 * ...` would make the tile 0, and green, for ever."""
    asked = {
        str(query): query.expr.split(" or 0 * ")[0]
        for query in queries()
        if " or 0 * " in query.expr
    }
    assert asked

    async def without() -> list[str]:
        return [
            name for name, expr in asked.items() if not await run.prometheus.query(on_shop(expr))
        ]

    async def all_have() -> bool:
        await run.traffic(seconds=1)
        return not await without()

    try:
        await eventually(all_have, within=20, saying="every tile to have a figure")
    except AssertionError:
        assert await without() == []  # says which


async def test_every_query_that_only_a_cluster_answers_is_one_that_prometheus_reads(
    run: EventfulRun,
) -> None:
    asked = [query for query in queries() if metrics_of(query.expr) & ON_A_CLUSTER]
    assert asked
    for query in asked:
        await run.prometheus.query(on_shop(query.expr))


async def test_every_record_has_data(run: EventfulRun) -> None:
    async def without_data() -> set[str]:
        return {
            f"{rule['record']} {rule.get('labels')}"
            for rule in rules()
            if "record" in rule and not await run.prometheus.query(rule["expr"])
        }

    async def nothing_without_data() -> bool:
        await run.traffic(seconds=1)
        return not await without_data()

    try:
        await eventually(nothing_without_data, within=20, saying="every record to have data")
    except AssertionError:
        assert await without_data() == set()  # says which


async def test_every_series_that_an_alert_looks_at_is_there(run: EventfulRun) -> None:
    for rule in rules():
        for name in metrics_of(rule["expr"]):
            assert await run.prometheus.query(name), (rule.get("alert"), name)


async def test_what_went_wrong_is_what_alerts_report(run: EventfulRun) -> None:
    async def firing() -> set[str]:
        found = await run.prometheus.query('ALERTS{alertname=~"Forebay.+"}')
        return {each["metric"]["alertname"] for each in found}

    expected = {"ForebayDeadLetters", "ForebayDestinationDown"}

    async def have_fired() -> bool:
        return expected <= await firing()

    await eventually(have_fired, within=20, saying=f"alerts {sorted(expected)}")
    # Parts are there, partitions have processors: nothing of that is reported.
    assert not {"ForebayMetricsMissing", "ForebayPartitionsUnowned"} & await firing()


async def test_endpoints_in_danger_are_listed_with_what_they_are_in_danger_of(
    run: EventfulRun,
) -> None:
    (query,) = [query for query in queries() if "endpoint_danger" in query.expr]

    async def listed() -> set[tuple[str, str]]:
        found = [
            each for each in await run.prometheus.query(query.expr) if float(each["value"][1]) >= 1
        ]
        return {
            (
                f"{each['metric']['namespace']}/{each['metric']['endpoint']}",
                each["metric"]["danger"],
            )
            for each in found
        }

    expected = {(SHOP, "destination_down"), (SHOP, "dead_letters"), (BUSY, "unavailable")}

    async def are_listed() -> bool:
        return expected <= await listed()

    await eventually(are_listed, within=20, saying=f"{expected} in the list")
    assert PAUSED not in {name for name, _ in await listed()}, "it was paused on purpose"


async def test_what_went_wrong_is_orange_or_red_on_each_dashboard(run: EventfulRun) -> None:
    async def shown() -> bool:
        found = await alarming(run.prometheus, Place(namespace=NAMESPACE, endpoint=ENDPOINT))
        at_risk = [each for each in found if f"{SHOP} destination_down" in each]
        return bool(at_risk) and {each.partition(":")[0] for each in found} == {
            "endpoint",
            "overview",
            "platform",
        }

    await eventually(shown, within=20, saying="figures beyond their limits")


async def test_every_metric_that_is_declared_is_seen_or_said_to_be_missing(
    run: EventfulRun,
) -> None:
    own = (metrics for part, metrics in METRICS.items() if part not in OPTIONAL)
    for metric in (metric for metrics in own for metric in metrics):
        name = f"{metric.name}_bucket" if metric.buckets else metric.name
        assert await run.prometheus.query(name) or metric.name in EMPTY, metric.name


async def test_every_metric_that_is_seen_is_declared_with_its_labels(run: EventfulRun) -> None:
    known = sample_names()
    labels = {metric.name: set(metric.labels) for each in METRICS.values() for metric in each}
    of_scrapes = {"__name__", "job", "instance", "pod", "le"}
    found = await run.prometheus.query('{__name__=~"forebay_.+"}')
    assert found
    for each in found:
        name = each["metric"]["__name__"]
        assert name in known
        bare = name if name in labels else name.rpartition("_")[0]
        assert each["metric"].keys() <= labels[bare] | of_scrapes, each["metric"]


async def test_variables_offer_the_endpoints_that_there_are(run: EventfulRun) -> None:
    offered = {}
    for text in variables():
        series, _, label = text.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        found = await run.prometheus.query(on_shop(series))
        offered[label] = {each["metric"][label] for each in found}
    assert offered["namespace"] == {"acme", "demo"}
    assert ENDPOINT in offered["endpoint"]
    assert offered["destination"] == {"crm", "erp", "archive", "lake", "stops", "odd"}


async def test_lines_stay_few_on_each_panel(run: EventfulRun) -> None:
    def most(query: Query) -> int:
        return 60 if query.dashboard == "endpoint" else 32

    for query in queries():
        found = await run.prometheus.query(on_shop(query.expr))
        assert len(found) <= most(query), str(query)


async def test_records_of_an_endpoint_are_as_many_as_the_page_says(run: EventfulRun) -> None:
    found = await run.prometheus.query(
        'count by (namespace, endpoint) ({__name__=~"forebay:.+",endpoint!=""})'
    )
    assert found
    assert max(int(each["value"][1]) for each in found) <= MOST_RECORDS
    (bare,) = await run.prometheus.query('count({__name__=~"forebay:.+",endpoint=""})')
    assert int(bare["value"][1]) < 150


async def test_promtool_finds_nothing_to_mend(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert "SUCCESS" in check(groups(), tmp_path_factory.mktemp("rules"))
