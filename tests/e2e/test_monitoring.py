"""A real Prometheus takes what the chart brings: targets, rules, dashboards' queries, an alert.

Skipped where the cluster has no Prometheus Operator: `make e2e EXTRAS="netpol monitoring"`. What
goes wrong in earnest is in `make drill-incidents`.
"""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp
import pytest
import pytest_asyncio
import yaml

from support.cluster.chart import CHART
from support.cluster.cluster import Cluster, Helm
from support.cluster.monitoring import Monitoring, has_monitoring
from support.cluster.rules import rules
from support.cluster.tenant import Tenant
from support.dashboards.declared import metrics_of
from support.dashboards.files import queries, variables
from support.dashboards.filled import filled
from support.docs.metrics_page import METRICS
from support.incidents.incident import Place
from support.incidents.runbook import follow
from support.timing.wait import eventually

PAGE: Final = CHART.parents[1] / "docs" / "monitoring.md"

RATE: Final = 5.0
"""Webhooks a second."""

SEEN_SECONDS: Final = 90.0
"""Pods are scraped every 30 s, as shipped."""

WAITING: Final = "parked_items) > 0"
"""Asks for the destinations for which something waits: here there is none."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def monitoring(cluster: Cluster, release: Helm) -> AsyncIterator[Monitoring]:
    """Give the cluster's Prometheus as soon as it has all of the release."""
    if not await has_monitoring(cluster):
        pytest.skip(
            "NOT RUN: this cluster has no Prometheus Operator. Bring one up that has: "
            '`make e2e EXTRAS="netpol monitoring" E2E=tests/e2e/test_monitoring.py`.'
        )
    async with Monitoring.of(cluster, release.namespace) as own:
        yield own


def routes_of_alerts() -> dict[str, Any]:
    """Return the AlertmanagerConfig that docs/monitoring.md shows."""
    (found,) = (
        block
        for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if "kind: AlertmanagerConfig" in block
    )
    result: dict[str, Any] = yaml.safe_load(found)
    return result


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(cluster: Cluster, monitoring: Monitoring) -> AsyncIterator[Tenant]:
    """Give a tenant with traffic, a part of which its destination rejects."""
    async with Tenant.running(cluster, monitoring.namespace) as tenant:
        rejecting = {"name": "archive", "http": {"url": tenant.sink.path("archive")}}
        sink = {"name": "sink", "http": {"url": tenant.sink.url}}
        await tenant.sink.answer("archive", 422)
        await cluster.apply(tenant.secret(), tenant.endpoint(destinations=[sink, rejecting]))
        await cluster.wait_ready("meta", tenant.namespace, within=60)
        routes = routes_of_alerts()
        routes["metadata"]["namespace"] = tenant.namespace
        routes["spec"]["route"]["groupWait"] = "5s"  # nobody is woken here
        addresses = {name: tenant.sink.path(name) for name in ("pages", "tickets")}
        await cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "alerting", "namespace": tenant.namespace},
                "stringData": addresses,
            },
            routes,
        )
        traffic = await tenant.traffic()
        async with traffic.flowing(RATE):
            yield tenant


async def test_every_pod_of_every_part_is_scraped(monitoring: Monitoring) -> None:
    found = await monitoring.own_targets()
    assert {each["labels"]["pod"] for each in found} == await monitoring.pods()
    assert not [each for each in found if each["health"] != "up" or each["lastError"]]
    # What parts say of endpoints is not overwritten by where they run.
    assert {each["labels"]["job"].rpartition("-")[2] for each in found} == {
        "receivers",
        "processors",
        "operator",
    }


async def test_every_rule_is_taken_and_evaluated_without_an_error(monitoring: Monitoring) -> None:
    found = await monitoring.own_rules()
    assert len(found) == len(rules())
    # "unknown" is the health of what is evaluated every two minutes, and was not yet.
    assert {each["health"] for each in found} <= {"ok", "unknown"}
    assert not [each["name"] for each in found if each.get("lastError")]


async def test_an_alert_reaches_alertmanager_and_its_runbook_says_why(
    monitoring: Monitoring, shop: Tenant
) -> None:
    async def notified() -> list[str]:
        return [
            each["annotations"]["runbook_url"]
            for each in await monitoring.notified()
            if each["labels"].get("namespace") == shop.namespace
            and each["labels"]["alertname"] == "ForebayDeadLetters"
        ]

    (runbook,) = await eventually(notified, within=SEEN_SECONDS, saying="the alert")
    assert runbook.endswith("/ForebayDeadLetters.md")
    place = Place(namespace=shop.namespace, endpoint="meta", destination="archive")
    answers = await follow("ForebayDeadLetters", place, monitoring.namespace, monitoring)
    assert [each.text() for each in answers if not each.works] == []
    assert any("Rejected" in each.said for each in answers)


@pytest.mark.usefixtures("shop")
async def test_the_operators_figures_are_all_there(monitoring: Monitoring) -> None:
    rare = {
        "forebay_operator_drift_repairs_total",  # nobody edits its objects
        "forebay_operator_certificate_end_timestamp_seconds",  # no destination names an authority
    }
    declared = {
        f"{metric.name}_bucket" if metric.buckets else metric.name for metric in METRICS["Operator"]
    }

    async def missing() -> set[str]:
        return declared - await monitoring.seen(declared) - rare

    async def nothing_missing() -> bool:
        return not await missing()

    try:
        await eventually(nothing_missing, within=SEEN_SECONDS, saying="all figures")
    except AssertionError:
        assert await missing() == set()  # says which


async def test_every_query_of_every_panel_is_answered(monitoring: Monitoring, shop: Tenant) -> None:
    """And has data, unless it asks for what has not happened here."""

    async def asked() -> dict[str, bool]:
        return {
            str(query): bool(
                await monitoring.query(
                    filled(
                        query.expr,
                        namespace=shop.namespace,
                        endpoint="meta",
                        rate_interval="2m",
                    )
                )
            )
            for query in queries()
        }

    named = {name for query in queries() for name in metrics_of(query.expr)}

    async def without() -> list[str]:
        seen = await monitoring.seen(named)
        found = await asked()
        return [
            str(query)
            for query in queries()
            if not found[str(query)]
            and metrics_of(query.expr) <= seen
            and WAITING not in query.expr
        ]

    async def none_without() -> bool:
        return not await without()

    try:
        await eventually(none_without, within=SEEN_SECONDS, saying="every panel to have data")
    except AssertionError:
        assert await without() == []  # says which


async def test_a_ticket_comes_to_where_the_docs_say_that_tickets_go(shop: Tenant) -> None:
    async def came() -> bool:
        try:
            return "/tickets" in await shop.sink.arrivals()
        except aiohttp.ClientError:
            return False  # a new port is there a moment after its Service

    await eventually(came, within=SEEN_SECONDS, saying="a notification")


async def test_variables_offer_the_endpoint(monitoring: Monitoring, shop: Tenant) -> None:
    offered: dict[str, set[str]] = {}
    for text in variables():
        series, _, label = text.removeprefix("label_values(").removesuffix(")").rpartition(", ")
        found = await monitoring.query(filled(series, namespace=shop.namespace, endpoint="meta"))
        offered.setdefault(label, set()).update(each["metric"][label] for each in found)
    assert shop.namespace in offered["namespace"]
    assert "meta" in offered["endpoint"]
    assert {"sink", "archive"} <= offered["destination"]


async def test_a_figure_that_is_of_no_endpoint_stays_without_one(monitoring: Monitoring) -> None:
    async def shown() -> list[dict[str, str]]:
        return [each["metric"] for each in await monitoring.query("forebay_stream_fill_ratio")]

    found = await eventually(shown, within=SEEN_SECONDS, saying="how full streams are")
    assert {frozenset(each) for each in found} == {
        frozenset({"__name__", "instance", "job", "pod", "stream"})
    }
