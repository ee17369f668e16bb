"""Processors share their shards: how many there are, how they change, and what holds them up."""

from pathlib import Path
from typing import Any

import pytest

from forebay.core.subjects import PARTITIONS
from forebay.runtime.settings import load_settings
from forebay_operator.adapters.pod_reports import ADMIN_PORT
from forebay_processor.main import STORE_SECONDS
from forebay_processor.settings import ProcessorSettings
from support.cluster.chart import Manifest, Rendered, operator_config, render, render_set

NAME = "acme-forebay-processors"


def rendered_with(**processors: object) -> Rendered:
    return render({"host": "hooks.example.com", "processors": processors})


def spec_of(rendered: Rendered, kind: str = "Deployment") -> Manifest:
    (found,) = [
        each for each in rendered.of_kind(kind) if each["metadata"]["name"].endswith("-processors")
    ]
    spec: Manifest = found["spec"]
    return spec


def policy_of(rendered: Rendered, component: str) -> Manifest:
    spec: Manifest = rendered.one("NetworkPolicy", f"acme-forebay-{component}")["spec"]
    return spec


def labels_of(rendered: Rendered, component: str) -> Manifest:
    name = f"Deployment/acme-forebay-{component}"
    return next(labels for each, labels, _ in rendered.pods() if each == name)


def test_as_shipped_one_may_be_lost() -> None:
    shipped = render_set("production")
    assert spec_of(shipped)["replicas"] == 2
    assert spec_of(shipped, "PodDisruptionBudget")["maxUnavailable"] == 1
    assert shipped.names("HorizontalPodAutoscaler") == set(), "scalers are the operator's"


def test_a_new_one_works_before_an_old_one_leaves(rendered: Rendered) -> None:
    for each in rendered.of_kind("Deployment"):
        if each["metadata"]["labels"]["app.kubernetes.io/component"] == "operator":
            continue  # one writes
        assert each["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }


def test_one_alone_holds_up_no_drain() -> None:
    alone = rendered_with(replicas=1)
    assert spec_of(alone)["replicas"] == 1
    assert NAME not in alone.names("PodDisruptionBudget")
    growing = rendered_with(autoscaling={"enabled": True, "min": 1})
    assert NAME not in growing.names("PodDisruptionBudget")


def test_the_scaler_has_the_number_to_itself(tmp_path: Path) -> None:
    scaled = rendered_with(
        replicas=5,
        autoscaling={"enabled": True, "min": 3, "max": 16, "targetCPUPercent": 55},
    )
    assert "replicas" not in spec_of(scaled)
    scaling = operator_config(scaled, tmp_path).processors.scaling
    assert scaling is not None
    assert scaling.deployment == NAME
    assert (scaling.min, scaling.max) == (3, 16)
    assert scaling.target_cpu_percent == 55
    assert spec_of(scaled, "PodDisruptionBudget")["maxUnavailable"] == 1
    (container,) = spec_of(scaled)["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"], "the percentage is of this"


@pytest.mark.parametrize("wanted", [{"replicas": PARTITIONS}, {"autoscaling": {"max": PARTITIONS}}])
def test_as_many_as_there_are_partitions(wanted: dict[str, Any]) -> None:
    assert rendered_with(**wanted).objects


@pytest.mark.parametrize("component", ["processors", "receivers"])
def test_the_operator_reaches_what_pods_say_of_themselves(component: str) -> None:
    shipped = render_set("production")
    served = labels_of(shipped, component)
    asking = labels_of(shipped, "operator")
    out = [rule for rule in policy_of(shipped, "operator")["egress"] if rule.get("to")]
    assert any(
        peer["podSelector"]["matchLabels"].items() <= served.items()
        and {"port": ADMIN_PORT, "protocol": "TCP"} in rule["ports"]
        for rule in out
        for peer in rule["to"]
    )
    within = [rule for rule in policy_of(shipped, component)["ingress"] if rule.get("from")]
    assert any(
        peer.get("podSelector", {"matchLabels": {"not": "a pod of ours"}})["matchLabels"].items()
        <= asking.items()
        and {"port": "admin", "protocol": "TCP"} in rule["ports"]
        for rule in within
        for peer in rule["from"]
    )


def test_the_kubelet_waits_for_the_hand_over(
    rendered: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = spec_of(rendered)["template"]["spec"]
    (container,) = pod["containers"]
    for variable in container["env"]:
        if "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])
    longest = load_settings(ProcessorSettings).stop_seconds + STORE_SECONDS
    # And some for connections to end and for Python to leave.
    assert pod["terminationGracePeriodSeconds"] >= longest + 5
