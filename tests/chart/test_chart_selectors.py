"""Selectors find the pods that they mean, and no others."""

from pathlib import Path

import pytest

from forebay_operator.builders.dedicated_receivers import ADMIN_PORT
from support.cluster.chart import Manifest, Rendered, operator_config


def matching(rendered: Rendered, selector: Manifest) -> list[str]:
    return [name for name, labels, _ in rendered.pods() if selector.items() <= labels.items()]


def test_every_workload_selects_its_own_pods_only(rendered: Rendered) -> None:
    for kind in ("Deployment", "StatefulSet"):
        for each in rendered.of_kind(kind):
            selector = each["spec"]["selector"]["matchLabels"]
            assert matching(rendered, selector) == [f"{kind}/{each['metadata']['name']}"]


def test_selectors_hold_nothing_that_an_upgrade_changes(rendered: Rendered) -> None:
    keys = {f"app.kubernetes.io/{name}" for name in ("name", "instance", "component")}
    for kind in ("Deployment", "StatefulSet"):
        for each in rendered.of_kind(kind):
            assert each["spec"]["selector"]["matchLabels"].keys() == keys


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget", "NetworkPolicy"])
def test_what_is_for_a_component_selects_exactly_it(rendered: Rendered, kind: str) -> None:
    for each in rendered.of_kind(kind):
        spec = each["spec"]
        selector = spec.get("selector") or spec["podSelector"]
        found = matching(rendered, selector.get("matchLabels", selector))
        component = each["metadata"]["labels"]["app.kubernetes.io/component"]
        assert [name.endswith(component) for name in found] == [True], each["metadata"]["name"]


def test_ports_of_services_are_there_in_the_pods(rendered: Rendered) -> None:
    pods = list(rendered.pods())
    for service in rendered.of_kind("Service"):
        selector = service["spec"]["selector"]
        specs = [spec for _, labels, spec in pods if selector.items() <= labels.items()]
        named = {port["name"] for spec in specs for port in spec["containers"][0]["ports"]}
        for port in service["spec"]["ports"]:
            # With one server of NATS there is no port for others.
            assert port["targetPort"] in named | {"cluster"}


def test_who_is_scaled_by_the_operator_says_no_number_of_pods(
    rendered: Rendered, tmp_path: Path
) -> None:
    assert rendered.of_kind("HorizontalPodAutoscaler") == [], "two would hold one target"
    config = operator_config(rendered, tmp_path)
    shared = config.shared_receivers
    pools = (shared.scaling if shared else None, config.processors.scaling)
    scaled = {each.deployment for each in pools if each is not None}
    assert scaled <= rendered.names("Deployment")
    for each in rendered.of_kind("Deployment"):
        assert ("replicas" in each["spec"]) is (each["metadata"]["name"] not in scaled)


def test_keda_finds_the_ports_that_it_asks(rendered: Rendered, tmp_path: Path) -> None:
    config = operator_config(rendered, tmp_path)
    services = [config.keda.operator_service_name]
    if config.shared_receivers is not None:
        services.append(config.shared_receivers.admin_service_name)
    for name in services:
        service = rendered.one("Service", name)
        assert [each["port"] for each in service["spec"]["ports"]] == [ADMIN_PORT]


def test_spread_counts_the_pods_of_its_own_component(rendered: Rendered) -> None:
    for name, labels, spec in rendered.pods():
        for constraint in spec.get("topologySpreadConstraints", []):
            assert constraint["labelSelector"]["matchLabels"].items() <= labels.items(), name


def test_every_account_and_every_file_that_a_pod_names_is_there(rendered: Rendered) -> None:
    for name, _, spec in rendered.pods():
        if "serviceAccountName" in spec:
            assert spec["serviceAccountName"] in rendered.names("ServiceAccount"), name
        for volume in spec.get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in rendered.names("ConfigMap"), name
