"""The configuration of NATS, judged by nats-server itself."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.cluster.chart import VALUE_SETS, render, render_set
from support.cluster.chart_nats import configuration, environment
from support.nats.nats_server import nats_server_program

WITH_NATS = [name for name in VALUE_SETS if name != "external-nats"]


@pytest.mark.parametrize("name", WITH_NATS)
def test_nats_server_takes_the_configuration(name: str, tmp_path: Path) -> None:
    rendered = render_set(name)
    text = configuration(rendered)
    certificates = tmp_path / "tls"
    certificates.mkdir()
    own = [each["metadata"]["name"] for each in rendered.of_kind("Secret")]
    # A set with a Secret of the user's own has no certificate: another one's will do.
    donor = rendered if "acme-forebay-nats-tls" in own else render_set("local")
    for file, content in donor.secret("acme-forebay-nats-tls").items():
        (certificates / file).write_text(content)
    path = tmp_path / "nats.conf"
    path.write_text(
        text.replace("/etc/nats/tls", str(certificates)).replace('"/data"', f'"{tmp_path}/data"')
    )
    run = subprocess.run(
        [nats_server_program(), "-t", "-c", str(path)],
        env={**os.environ, **environment(rendered)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("name", WITH_NATS)
def test_a_body_of_the_limit_and_its_headers_fit_a_message(name: str) -> None:
    assert "max_payload: 8MB" in configuration(render_set(name))


def test_three_servers_know_each_other_and_one_knows_nobody() -> None:
    three, one = environment(render_set("production")), environment(render_set("local"))
    routes = [value for key, value in three.items() if re.fullmatch(r"ROUTE_\d", key)]
    assert len(routes) == 3
    assert all("-headless.webhooks.svc.cluster.local:6222" in route for route in routes)
    assert not any(key.startswith("ROUTE") for key in one)


def test_a_server_of_the_cluster_has_to_show_a_certificate_and_a_password() -> None:
    cluster = configuration(render_set("production")).partition("cluster {")[2]
    cluster = cluster.partition("accounts {")[0]
    assert "verify: true" in cluster
    assert "authorization { user: $ROUTE_USER, password: $ROUTE_PASSWORD" in cluster


def test_the_certificate_is_for_every_name_that_parts_connect_to() -> None:
    rendered = render_set("production")
    certificate = rendered.secret("acme-forebay-nats-tls")["tls.crt"]
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName"],
        input=certificate,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = set(re.findall(r"DNS:([^,\s]+)", text))
    urls = next(
        each["value"]
        for _, labels, spec in rendered.pods()
        if labels["app.kubernetes.io/component"] == "receivers"
        for each in spec["containers"][0]["env"]
        if each["name"] == "FOREBAY_NATS_URL"
    )
    for url in urls.split(","):
        host = url.removeprefix("tls://").removesuffix(":4222")
        assert host in names or f"*.{host.partition('.')[2]}" in names


def test_every_user_has_a_password_of_its_own() -> None:
    rendered = render_set("production")
    users = ("receiver", "processor", "operator", "backup", "route")
    passwords = {rendered.secret(f"acme-forebay-nats-{user}")["password"] for user in users}
    assert len(passwords) == len(users)
    assert all(re.fullmatch(r"p[A-Za-z0-9]{40}", password) for password in passwords)


def test_an_external_nats_makes_no_server_and_no_secret() -> None:
    rendered = render_set("external-nats")
    assert not rendered.of_kind("StatefulSet")
    assert not rendered.of_kind("Secret")


def test_parts_get_the_file_of_credentials_for_an_external_nats() -> None:
    for name, labels, spec in render_set("external-nats").pods():
        part = labels["app.kubernetes.io/component"].removesuffix("s")
        if part not in {"processor", "operator"}:
            continue
        env = {each["name"]: each.get("value") for each in spec["containers"][0]["env"]}
        assert env["FOREBAY_NATS_CREDENTIALS"] == "/etc/forebay/nats/user.creds", name
        assert "FOREBAY_NATS_USER" not in env
        (volume,) = [each for each in spec["volumes"] if each["name"] == "nats"]
        secrets = [each["secret"]["name"] for each in volume["projected"]["sources"]]
        assert secrets == ["nats-authority", f"nats-{part}"]


def probes_of(replicas: int) -> dict[str, Any]:
    rendered = render({"host": "hooks.example.com", "nats": {"replicas": replicas}})
    (server,) = rendered.one("StatefulSet", "acme-forebay-nats")["spec"]["template"]["spec"][
        "containers"
    ]
    return {name: server[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")}


def test_one_server_is_started_anew_until_its_disk_has_room() -> None:
    probes = probes_of(1)
    # Not the full check: it would wait for half an hour where the disk is full at the start.
    assert probes["startupProbe"]["httpGet"]["path"] == "/healthz?js-server-only=true"
    liveness = probes["livenessProbe"]
    assert liveness["httpGet"]["path"] == "/healthz"
    assert liveness["periodSeconds"] * liveness["failureThreshold"] == 30


def test_three_servers_wait_for_each_other_but_not_for_ever() -> None:
    probes = probes_of(3)
    startup, liveness = probes["startupProbe"], probes["livenessProbe"]
    assert startup["httpGet"]["path"] == liveness["httpGet"]["path"] == "/healthz"
    assert startup["periodSeconds"] * startup["failureThreshold"] == 600
    assert liveness["periodSeconds"] * liveness["failureThreshold"] == 180


@pytest.mark.parametrize(
    ("limit", "collected"),
    [("2Gi", "1717986918"), ("512Mi", "429496729"), ("1.5G", "1200000000"), ("1000000", "800000")],
)
def test_the_server_collects_garbage_before_it_meets_its_limit(limit: str, collected: str) -> None:
    values = {"host": "hooks.example.com", "nats": {"resources": {"limits": {"memory": limit}}}}
    assert environment(render(values))["GOMEMLIMIT"] == collected


@pytest.mark.parametrize("resources", [{"limits": None}, {"limits": {"memory": "1000000000000m"}}])
def test_without_a_limit_that_can_be_read_it_collects_as_go_does(
    resources: dict[str, Any],
) -> None:
    values = {"host": "hooks.example.com", "nats": {"resources": resources}}
    assert "GOMEMLIMIT" not in environment(render(values))
