"""PodMonitors and rules where their APIs are, else annotations; the values in them."""

from typing import Any

import pytest
import yaml

from forebay_operator.builders.names import RECEIVER_COMPONENT
from support.cluster.chart import NAMESPACE, RELEASE, Manifest, Rendered, render, render_set

PARTS = ("operator", "processors", "receivers")
SCRAPE = "prometheus.io/scrape"


def rendered_with(**monitoring: object) -> Rendered:
    return render({"host": "hooks.example.com", "monitoring": monitoring})


def annotations(rendered: Rendered) -> dict[str, dict[str, str]]:
    """Return the annotations of the pods of each part; those of dedicated receivers too."""
    found = {
        part: rendered.one("Deployment", f"{RELEASE}-forebay-{part}")["spec"]["template"]
        for part in PARTS
    }
    config = yaml.safe_load(
        rendered.one("ConfigMap", f"{RELEASE}-forebay-operator")["data"]["operator.yaml"]
    )
    return {part: each["metadata"].get("annotations") or {} for part, each in found.items()} | {
        "dedicated": config["receiver"]["podAnnotations"]
    }


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in selector["matchLabels"].items()) and all(
        labels.get(each["key"]) in each["values"] for each in selector["matchExpressions"]
    )


def test_as_shipped_nothing_is_made_that_a_cluster_might_not_know() -> None:
    rendered = render({"host": "hooks.example.com"})
    kinds = {each["kind"] for each in rendered.objects}
    assert not {"PrometheusRule", "PodMonitor"} & kinds
    for part, found in annotations(rendered).items():
        assert found[SCRAPE] == "true", part
        assert found["prometheus.io/port"] == "9090"


def test_where_pod_monitors_are_made_pods_have_no_annotations() -> None:
    rendered = rendered_with(podMonitors={"create": "Always"})
    assert all(SCRAPE not in found for found in annotations(rendered).values())
    assert len(rendered.of_kind("PodMonitor")) == len(PARTS)


def test_annotations_of_ones_own_go_before() -> None:
    own = {"podAnnotations": {SCRAPE: "false", "example.com/note": "mine"}}
    rendered = render({"host": "hooks.example.com", "receivers": own})
    assert annotations(rendered)["receivers"]["example.com/note"] == "mine"
    assert annotations(rendered)["receivers"][SCRAPE] == "false"
    assert annotations(rendered)["dedicated"][SCRAPE] == "false"


def test_every_pod_with_metrics_is_selected_by_one_monitor() -> None:
    rendered = rendered_with(podMonitors={"create": "Always"})
    monitors = rendered.of_kind("PodMonitor")
    pods = [
        (name, labels, pod)
        for name, labels, pod in rendered.pods()
        if name.startswith(("Deployment", "StatefulSet"))
    ]
    dedicated = {
        "app.kubernetes.io/instance": RELEASE,
        "app.kubernetes.io/part-of": "forebay",
        "app.kubernetes.io/component": RECEIVER_COMPONENT,
    }
    assert sum(selects(each["spec"]["selector"], dedicated) for each in monitors) == 1
    for name, labels, pod in pods:
        ports = {port["name"] for each in pod["containers"] for port in each["ports"]}
        found = sum(selects(each["spec"]["selector"], labels) for each in monitors)
        assert found == ("admin" in ports), name


def test_the_labels_of_endpoints_are_not_replaced_by_those_of_pods() -> None:
    for monitor in render_set("everything").of_kind("PodMonitor"):
        (way,) = monitor["spec"]["podMetricsEndpoints"]
        assert way == {
            "port": "admin",
            "path": "/metrics",
            "interval": "15s",
            "honorLabels": True,
            # What is of no endpoint stays without one.
            "relabelings": [{"action": "labeldrop", "regex": "namespace|endpoint|container"}],
        }
        assert monitor["metadata"]["labels"]["release"] == "prometheus"


def rule(rendered: Rendered, alert: str, **labels: str) -> dict[str, Any]:
    (made,) = rendered.of_kind("PrometheusRule")
    (found,) = [
        each
        for group in made["spec"]["groups"]
        for each in group["rules"]
        if each.get("alert") == alert and labels.items() <= each["labels"].items()
    ]
    return dict(found)


def test_values_are_in_the_rules() -> None:
    rendered = render_set("everything")
    burns = rule(rendered, "ForebayAvailabilityBudgetBurns", window="1h")
    assert "14.4 * (1 - 0.9995)" in burns["expr"]
    assert ">= 5" in burns["expr"]
    url = "https://git.example.com/forebay/docs/runbooks/ForebayAvailabilityBudgetBurns.md"
    assert burns["annotations"]["runbook_url"] == url
    assert "< 32" in rule(rendered, "ForebayPartitionsUnowned")["expr"], "two shards"
    assert "12 * 3600" in rule(rendered, "ForebayStreamFillsUp")["expr"]
    assert "> 0.5" in rule(rendered, "ForebayItemsNearExpiry")["expr"]
    pods = rule(rendered, "ForebayMetricsMissing", part="pod")["expr"]
    assert f'"{NAMESPACE}/whatsapp-(receivers|processors|operator)"' in pods


def test_no_word_of_the_files_is_left_in_what_is_rendered() -> None:
    (made,) = render_set("everything").of_kind("PrometheusRule")
    assert "__" not in yaml.safe_dump(made)


def test_without_shared_receivers_none_are_missed_while_there_is_no_endpoint() -> None:
    rendered = render(
        {
            "host": "hooks.example.com",
            "receivers": {"shared": {"enabled": False}},
            "monitoring": {"rules": {"create": "Always"}},
        }
    )
    expr = rule(rendered, "ForebayMetricsMissing", part="receivers")["expr"]
    assert "vector(0) > 0" in expr


@pytest.mark.parametrize("name", ["minimal"])
def test_all_of_it_can_be_turned_off(name: str) -> None:
    rendered = render_set(name)
    assert not rendered.of_kind("PodMonitor")
    assert not rendered.of_kind("PrometheusRule")
    assert all(SCRAPE not in found for found in annotations(rendered).values())
