"""Traces: off as shipped; where they go, shared and dedicated receivers and processors alike."""

from pathlib import Path

import pytest

from forebay.runtime.tracing import OtlpEndpoint, TraceSettings, otlp_endpoint
from forebay_operator.builders.network_policies import network_policy
from forebay_operator.builders.tracing import tracing_variables
from support.cluster.chart import Manifest, Rendered, operator_config, render, render_set
from support.operator.operator_inputs import read_manifest

MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


def variables(rendered: Rendered, part: str) -> list[Manifest]:
    """Return the variables of a part's pods that are about traces."""
    (spec,) = (spec for name, _, spec in rendered.pods() if name.endswith(part))
    wanted = ("OTEL_", "FOREBAY_TRACES_", "POD_", "NODE_")
    found: list[Manifest] = [
        each for each in spec["containers"][0]["env"] if each["name"].startswith(wanted)
    ]
    return found


def egress(rendered: Rendered, port: int) -> list[Manifest]:
    """Return the rules by which receivers may reach a port."""
    (policy,) = (
        each
        for each in rendered.of_kind("NetworkPolicy")
        if each["metadata"]["name"].endswith("-receivers")
    )
    return [
        rule
        for rule in policy["spec"]["egress"]
        if port in [each["port"] for each in rule.get("ports", [])]
    ]


def test_nothing_is_traced_as_shipped(tmp_path: Path) -> None:
    rendered = render_set("minimal")
    assert variables(rendered, "receivers") == variables(rendered, "processors") == []
    assert operator_config(rendered, tmp_path).receiver.tracing is None


def test_all_parts_get_the_same_settings_and_understand_them(tmp_path: Path) -> None:
    rendered = render_set("everything")
    tracing = operator_config(rendered, tmp_path).receiver.tracing
    assert tracing is not None
    dedicated = [each.to_dict() for each in tracing_variables(tracing)]
    assert variables(rendered, "receivers") == variables(rendered, "processors") == dedicated
    environ = {each["name"]: each.get("value", "") for each in dedicated}
    assert otlp_endpoint(environ) == OtlpEndpoint("grpc")
    prefix = "FOREBAY_TRACES_"
    environment = {
        name.removeprefix(prefix).lower(): value
        for name, value in environ.items()
        if name.startswith(prefix)
    }
    settings = TraceSettings.model_validate(environment)
    assert (settings.ratio, settings.trust_incoming) == (0.05, True)


def test_receivers_may_reach_the_collector_and_nobody_else_on_its_port(tmp_path: Path) -> None:
    rendered = render_set("everything")
    expected = {"ports": [{"port": 4317, "protocol": "TCP"}], "to": [MONITORING]}
    assert egress(rendered, 4317) == [expected]
    config = operator_config(rendered, tmp_path)
    policy = network_policy(read_manifest("dedicated"), config)
    assert policy.spec is not None
    rules = [each.to_dict() for each in policy.spec.egress or []]
    assert expected in rules
    assert egress(render({"host": "hooks.example.com"}), 4317) == []


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        ("http://collector:4318", 4318),
        ("https://traces.example.com/otlp", 443),
        ("http://[fd00::1]:4318", 4318),
        ("http://collector", 80),
    ],
)
def test_the_port_is_the_endpoints_unless_another_is_set(endpoint: str, port: int) -> None:
    values = {"host": "hooks.example.com", "tracing": {"endpoint": endpoint}}
    assert len(egress(render(values), port)) == 1
    values = {"host": "hooks.example.com", "tracing": {"endpoint": endpoint, "port": 14318}}
    assert len(egress(render(values), 14318)) == 1
