"""What the chart gives processors is what processors read."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from forebay.runtime.settings import load_settings
from forebay_processor.settings import ProcessorSettings
from support.cluster.chart import Rendered, operator_config, render, render_set


def settings_of(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> ProcessorSettings:
    """Return the settings of the processors' container."""
    (deployment,) = [
        each
        for each in rendered.of_kind("Deployment")
        if each["metadata"]["name"].endswith("-processors")
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])
    return load_settings(ProcessorSettings)


def test_every_set_of_values_gives_networks_that_can_be_read(
    rendered: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_of(rendered, monkeypatch)


def test_what_is_allowed_and_denied_reaches_them(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(render_set("everything"), monkeypatch)
    assert settings.allowed_networks == (
        ip_network("10.244.0.0/16"),
        ip_network("fd00:10:244::/56"),
    )
    assert settings.denied_networks == (ip_network("203.0.113.0/24"),)
    assert settings.own_nats
    assert settings.python_modules == ("acme.bot",)


def test_as_shipped_nothing_private_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = render_set("production")
    settings = settings_of(shipped, monkeypatch)
    assert (settings.allowed_networks, settings.denied_networks) == ((), ())
    assert not settings.own_nats
    assert settings.python_modules == ()
    assert "processors.allowedNetworks" in shipped.notes


def test_an_endpoint_s_own_processors_are_set_as_the_shared_ones(
    rendered: Rendered, tmp_path: Path
) -> None:
    (deployment,) = [
        each
        for each in rendered.of_kind("Deployment")
        if each["metadata"]["name"].endswith("-processors")
    ]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    dedicated = operator_config(rendered, tmp_path).dedicated
    assert dedicated is not None
    pods = dedicated.pods
    assert (pods.image, pods.image_pull_policy) == (
        container["image"],
        container["imagePullPolicy"],
    )
    assert pods.termination_grace_period_seconds == pod["terminationGracePeriodSeconds"]
    environment = {each["name"]: each for each in container["env"]}
    for name, value in pods.env.items():
        assert environment[name]["value"] == value
    ours = {name for name in environment if name.startswith("FOREBAY_PROCESSOR_")}
    assert ours <= pods.env.keys()
    assert pods.nats.url == environment["FOREBAY_NATS_URL"]["value"]
    password = environment.get("FOREBAY_NATS_PASSWORD")
    if password is not None:
        source = password["valueFrom"]["secretKeyRef"]
        assert (pods.nats.auth_secret_name, pods.nats.password_key) == (
            source["name"],
            source["key"],
        )


def test_values_of_before_there_were_such_give_no_endpoint_processors_of_its_own(
    tmp_path: Path,
) -> None:
    older = {"host": "hooks.example.com", "processors": {"dedicated": None}}
    assert operator_config(render(older), tmp_path).dedicated is None


def test_sizes_of_an_endpoint_s_own_streams_are_the_chart_s(tmp_path: Path) -> None:
    dedicated = {
        "maxDedicatedShards": 3,
        "replicas": 1,
        "images": ["registry.example.com/bots/*"],
        "streams": {"raw": {"maxAge": "24h", "maxMiB": 7}},
    }
    values = {"host": "hooks.example.com", "processors": {"dedicated": dedicated}}
    found = operator_config(render(values), tmp_path).dedicated
    assert found is not None
    assert (found.max_dedicated_shards, found.replicas, found.images) == (
        3,
        1,
        ("registry.example.com/bots/*",),
    )
    assert found.streams.raw_max_bytes == 7 * 1024 * 1024
    assert found.streams.raw_max_age == timedelta(hours=24)
    # As many servers hold a message as do of the installation's own streams.
    assert found.streams.replicas == 3
