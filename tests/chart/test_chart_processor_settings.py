"""What the chart gives processors is what processors read."""

from ipaddress import ip_network

import pytest

from forebay.runtime.settings import load_settings
from forebay_processor.settings import ProcessorSettings
from support.cluster.chart import Rendered, render_set


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
