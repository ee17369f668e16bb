"""The HTTP API: off unless it is turned on, with a user of NATS that may read and nothing else."""

import pytest
import yaml

from forebay.runtime.settings import load_settings
from forebay_api.settings import ApiSettings, ApiShards
from support.cluster.chart import CHART, Manifest, Rendered, render, render_set
from support.cluster.chart_nats import configuration

NAME = "acme-forebay-api"


def rendered_with(**api: object) -> Rendered:
    return render({"host": "hooks.example.com", "api": {"enabled": True, **api}})


def pod_of(rendered: Rendered, name: str = NAME) -> Manifest:
    spec: Manifest = rendered.one("Deployment", name)["spec"]["template"]["spec"]
    return spec


def policy_of(rendered: Rendered, name: str = NAME) -> Manifest:
    spec: Manifest = rendered.one("NetworkPolicy", name)["spec"]
    return spec


def http_rules(policy: Manifest) -> list[Manifest]:
    return [
        rule for rule in policy["ingress"] if [each["port"] for each in rule["ports"]] == ["http"]
    ]


def test_as_shipped_nothing_of_it_is_there() -> None:
    rendered = render({"host": "hooks.example.com"})
    assert not [each for each in rendered.objects if each["metadata"]["name"].endswith("-api")]
    assert "API_USER" not in configuration(rendered)


def test_values_of_an_older_release_do_not_have_it() -> None:
    rendered = render({"host": "hooks.example.com", "api": None})
    assert NAME not in rendered.names("Deployment")


def test_it_runs_the_receivers_image_and_reads_its_tokens_from_a_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rendered = rendered_with(tokensSecretName="console-tokens")
    spec = pod_of(rendered)
    (container,) = spec["containers"]
    receivers = pod_of(rendered, "acme-forebay-receivers")["containers"][0]
    assert container["image"] == receivers["image"]
    assert container["command"] == ["forebay", "api", "serve"]
    assert spec["automountServiceAccountToken"] is False
    (tokens,) = [each for each in spec["volumes"] if each["name"] == "tokens"]
    assert (tokens["secret"]["secretName"], tokens["secret"]["optional"]) == (
        "console-tokens",
        True,
    )
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "tokens"]
    for each in container["env"]:
        if "value" in each:
            monkeypatch.setenv(each["name"], each["value"])
    assert str(load_settings(ApiSettings).token_dir) == mount["mountPath"]
    assert load_settings(ApiShards).shards == ("0",)
    users = {
        each["name"]: each["valueFrom"]["secretKeyRef"]["name"]
        for each in container["env"]
        if "secretKeyRef" in each.get("valueFrom", {})
    }
    assert users["FOREBAY_NATS_USER"] == "acme-forebay-nats-api"


def test_its_user_of_nats_is_there_where_it_is_turned_on() -> None:
    rendered = rendered_with()
    assert rendered.secret("acme-forebay-nats-api")["user"] == "api"
    text = configuration(rendered)
    own = text[text.index("user: $API_USER") :]
    given = own[: own.index("}")]
    assert "publish: [" in given
    for word in ("PURGE", "DELETE", "CREATE", "UPDATE", "forebay.retry", "forebay.control.dest"):
        assert word not in given, word


def test_nobody_reaches_it_until_somebody_is_named() -> None:
    assert http_rules(policy_of(rendered_with())) == []
    console = [{"podSelector": {"matchLabels": {"app": "console"}}}]
    (rule,) = http_rules(policy_of(rendered_with(networkPolicy={"from": console})))
    assert rule["from"] == console


def test_it_reaches_dns_and_nats_and_nothing_else() -> None:
    egress = policy_of(rendered_with())["egress"]
    ports = sorted({each["port"] for rule in egress for each in rule["ports"]})
    assert ports == [53, 4222]
    (nats,) = [rule for rule in egress if "to" in rule]
    labels = nats["to"][0]["podSelector"]["matchLabels"]
    assert labels["app.kubernetes.io/component"] == "nats"


def test_prometheus_finds_it() -> None:
    values = {"host": "hooks.example.com", "api": {"enabled": True}}
    rendered = render({**values, "monitoring": {"podMonitors": {"create": "Always"}}})
    assert NAME in rendered.names("PodMonitor")
    (container,) = pod_of(rendered)["containers"]
    assert {"name": "admin", "containerPort": 9090, "protocol": "TCP"} in container["ports"]


def test_every_value_is_used() -> None:
    values = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())["api"]
    rendered = render_set("everything")
    deployment = rendered.one("Deployment", "whatsapp-api")
    template = deployment["spec"]["template"]
    assert deployment["spec"]["replicas"] == values["replicas"]
    assert values["podLabels"].items() <= template["metadata"]["labels"].items()
    assert values["podAnnotations"].items() <= template["metadata"]["annotations"].items()
    spec = template["spec"]
    for name in ("nodeSelector", "tolerations", "priorityClassName"):
        assert spec[name] == values[name]
    assert spec["containers"][0]["resources"] == values["resources"]
    env = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
    assert values["env"].items() <= env.items()
    (rule,) = http_rules(policy_of(rendered, "whatsapp-api"))
    assert rule["from"] == values["networkPolicy"]["from"]
