"""Who reaches which port, and by which address family."""

from pathlib import Path

import yaml

from support.cluster.chart import CHART, Manifest, Rendered, operator_config, render, render_set

OWN = {"app.kubernetes.io/instance": "acme", "app.kubernetes.io/part-of": "forebay"}
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}
KEDA = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}


def ports(rule: Manifest) -> list[object]:
    return [each["port"] for each in rule.get("ports", [])]


def peers_of(rendered: Rendered, port: str | int) -> list[Manifest]:
    return [
        peer
        for policy in rendered.of_kind("NetworkPolicy")
        for rule in policy["spec"].get("ingress", [])
        if port in ports(rule)
        for peer in rule.get("from", [{}])
    ]


def test_services_have_both_families_where_the_cluster_has_both(rendered: Rendered) -> None:
    policies = {
        each["metadata"]["name"]: each["spec"].get("ipFamilyPolicy")
        for each in rendered.of_kind("Service")
    }
    # But for the one in which KEDA asks each pod once, as the operator's of Dedicated receivers.
    summed = {name for name in policies if name.endswith("-receivers-admin")}
    assert {policies.pop(name) for name in summed} <= {"SingleStack"}
    assert set(policies.values()) == {"PreferDualStack"}


def test_admin_ports_are_for_forebay_and_monitoring_only() -> None:
    own = {"podSelector": {"matchLabels": OWN}}
    monitoring = {"namespaceSelector": {"matchLabels": MONITORING}}
    found = peers_of(render_set("production"), "admin")
    assert all(each in (own, monitoring, KEDA) for each in found)
    assert found.count(own) == found.count(monitoring) == found.count(KEDA) == 3
    assert all(each in (own, KEDA) for each in peers_of(render_set("external-nats"), "admin"))
    without = render({"host": "hooks.example.com", "keda": {"enabled": False}})
    assert all(each == own for each in peers_of(without, "admin"))


def test_webhooks_are_for_anyone_unless_it_says_for_whom() -> None:
    assert peers_of(render_set("production"), "webhooks") == [{}]
    test, ingress = peers_of(render_set("everything"), "webhooks")
    assert test["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "test"
    labels = {"kubernetes.io/metadata.name": "ingress"}
    assert ingress == {"namespaceSelector": {"matchLabels": labels}}


def test_the_operator_gives_dedicated_receivers_the_same_peers(tmp_path: Path) -> None:
    config = operator_config(render_set("everything"), tmp_path).receiver
    monitoring, keda = config.admin_from
    assert {"namespaceSelector": keda.namespace_selector} == KEDA
    assert monitoring.namespace_selector == {"matchLabels": MONITORING}
    (ingress,) = config.webhooks_from
    assert ingress.namespace_selector is not None
    without = render({"host": "hooks.example.com", "keda": {"enabled": False}})
    assert operator_config(without, tmp_path).receiver.admin_from == ()


def test_the_operator_gets_every_limit_of_the_values(tmp_path: Path) -> None:
    limits = operator_config(render_set("everything"), tmp_path).tenant_limits
    values = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())["limits"]
    assert limits.hosts == tuple(values["hosts"])
    assert limits.table_bytes == values["tableKiB"] * 1024
    given = limits.model_dump(by_alias=True) | {"hosts": values["hosts"]}
    assert {name: given[name] for name in values if name != "tableKiB"} == {
        name: value for name, value in values.items() if name != "tableKiB"
    }
    shipped = operator_config(render_set("production"), tmp_path).tenant_limits
    assert shipped == type(shipped)(), "as shipped, the operator's own defaults"


def api_server_ports(**operator: object) -> list[object]:
    values = {"host": "hooks.example.com", "operator": {"networkPolicy": operator}}
    policy = render(values).one("NetworkPolicy", "acme-forebay-operator")
    (rule,) = (each for each in policy["spec"]["egress"] if "to" not in each and 443 in ports(each))
    return ports(rule)


def test_the_operator_may_reach_the_usual_ports_where_no_cluster_says_other_ones() -> None:
    assert api_server_ports() == [443, 6443]


def test_the_operator_may_reach_the_ports_that_are_given_and_no_others() -> None:
    assert api_server_ports(apiServerPorts=[443, 16443]) == [443, 16443]
