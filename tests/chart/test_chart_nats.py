"""The configuration of NATS, judged by nats-server itself; and what each user may do there."""

import contextlib
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from pydantic import SecretStr

from forebay.core.subjects import Lane
from forebay.runtime.provision import provision
from forebay.runtime.provisioning import ShardConfig, consumer_config
from forebay.runtime.settings import NatsSettings
from forebay_processor.adapters.leases import LeaseStore
from forebay_processor.adapters.streams import Streams
from forebay_processor.models.leases import LeaseTable, Member
from support.chart import VALUE_SETS, Rendered, render, render_set
from support.nats_server import NatsServer, nats_server_program
from support.wait import eventually

WITH_NATS = [name for name in VALUE_SETS if name != "external-nats"]

MEBIBYTE = 1024 * 1024


def configuration(rendered: Rendered) -> str:
    """Return nats.conf."""
    (found,) = [each for each in rendered.of_kind("ConfigMap") if "nats.conf" in each["data"]]
    return str(found["data"]["nats.conf"])


def environment(rendered: Rendered) -> dict[str, str]:
    """Return the variables of the server's container, resolved as the kubelet does."""
    (workload,) = rendered.of_kind("StatefulSet")
    result: dict[str, str] = {}
    for each in workload["spec"]["template"]["spec"]["containers"][0]["env"]:
        if "value" in each:
            text = each["value"]
            result[each["name"]] = re.sub(r"\$\((\w+)\)", lambda hit: result[hit[1]], text)
        elif "secretKeyRef" in each["valueFrom"]:
            reference = each["valueFrom"]["secretKeyRef"]
            result[each["name"]] = rendered.secret(reference["name"])[reference["key"]]
        else:
            result[each["name"]] = "nats-0"
    return result


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
    users = ("receiver", "processor", "operator", "route")
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


# What each user may do


def accounts(rendered: Rendered) -> Iterator[str]:
    """Yield the lines with accounts, with passwords in the place of variables."""
    known = environment(rendered)
    text = configuration(rendered)
    for line in text[text.index("accounts {") :].splitlines():
        yield re.sub(r"(user|password): \$(\w+)", lambda hit: f"{hit[1]}: {known[hit[2]]}", line)


class Users:
    """A server with the chart's users."""

    def __init__(self, server: NatsServer, passwords: dict[str, str]) -> None:
        self._server = server
        self._passwords = passwords

    def settings(self, user: str) -> NatsSettings:
        """Return how a part connects."""
        password = SecretStr(self._passwords[user])
        return NatsSettings(url=self._server.url, user=user, password=password)

    @contextlib.asynccontextmanager
    async def connected(self, user: str) -> AsyncIterator[tuple[Client, list[str]]]:
        """Give a client, and what it was refused so far."""
        refused: list[str] = []

        async def note(error: Exception) -> None:
            refused.append(str(error).lower())

        client = await nats.connect(
            self._server.url,
            user=user,
            password=self._passwords[user],
            error_cb=note,
            allow_reconnect=False,
        )
        try:
            yield client, refused
        finally:
            await client.close()

    async def is_refused(self, user: str, *, publish: str = "", subscribe: str = "") -> bool:
        """Say whether NATS lets a user do it."""
        async with self.connected(user) as (client, refused):
            if publish:
                await client.publish(publish, b"x")
            else:
                await client.subscribe(subscribe)
            await client.flush()
            with contextlib.suppress(NatsError):
                await client.flush()
            return any("permissions violation" in each for each in refused)


@pytest.fixture
async def users(tmp_path: Path) -> AsyncIterator[Users]:
    rendered = render_set("local")
    parts = ("receiver", "processor", "operator")
    passwords = {part: rendered.secret(f"acme-forebay-nats-{part}")["password"] for part in parts}
    config = "\n".join(accounts(rendered))
    async with NatsServer(tmp_path / "nats", config=config) as server:
        yield Users(server, passwords)


SMALL = ShardConfig(
    raw_max_bytes=8 * MEBIBYTE,
    events_max_bytes=8 * MEBIBYTE,
    retry_max_bytes=8 * MEBIBYTE,
    dead_max_bytes=8 * MEBIBYTE,
)


async def test_the_operators_user_makes_streams_and_consumers(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("operator") as (client, refused):
        stream = await client.jetstream().stream_info("FOREBAY_RAW_0")
        assert stream.state.consumer_count
        assert not refused


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("receiver", "forebay.event.0.00.live.demo.meta.message.k"),
        ("receiver", "$JS.API.STREAM.DELETE.FOREBAY_RAW_0"),
        ("receiver", "$JS.API.STREAM.PURGE.FOREBAY_RAW_0"),
        ("receiver", "$JS.API.CONSUMER.MSG.NEXT.FOREBAY_RAW_0.split_live_00"),
        ("processor", "forebay.raw.0.00.live.demo.meta"),
        ("processor", "$JS.API.STREAM.DELETE.FOREBAY_RAW_0"),
        ("processor", "$JS.API.STREAM.UPDATE.FOREBAY_RAW_0"),
        ("processor", "$JS.API.STREAM.CREATE.FOREBAY_RAW_0"),
        ("operator", "forebay.raw.0.00.live.demo.meta"),
        ("operator", "forebay.event.0.00.live.demo.meta.message.k"),
    ],
)
async def test_a_user_is_refused_what_is_not_its_own(users: Users, user: str, subject: str) -> None:
    assert await users.is_refused(user, publish=subject)


@pytest.mark.parametrize("user", ["receiver", "processor", "operator"])
async def test_nobody_listens_in(users: Users, user: str) -> None:
    for subject in (">", "forebay.>", "$JS.>"):
        assert await users.is_refused(user, subscribe=subject)


async def test_the_receivers_user_stores_and_the_processors_user_reads(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("receiver") as (client, refused):
        ack = await client.jetstream().publish("forebay.raw.0.00.live.demo.meta", b"{}")
        assert ack.seq == 1
        assert not refused
    async with users.connected("processor") as (client, refused):
        context = client.jetstream()
        assert (await context.stream_info("FOREBAY_RAW_0")).state.messages == 1
        subscription = await context.pull_subscribe("forebay.raw.0.>", stream="FOREBAY_RAW_0")
        (message,) = await subscription.fetch(1, timeout=5)
        await message.ack_sync(timeout=5)
        for subject in ("event.0.00.live", "retry.0.00.live", "dead.0"):
            await context.publish(f"forebay.{subject}.demo.meta.message.k.s.c", b"{}")
        await eventually(lambda: not refused, saying="nothing refused")


async def test_the_processors_user_makes_its_consumers_again(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("operator") as (client, _):
        await client.jetstream().delete_consumer("FOREBAY_RAW_0", "split-live-03")
        changed = consumer_config("deliver", "0", Lane.LIVE, 3)
        changed.filter_subject = "forebay.event.0.99.>"
        await client.jetstream().add_consumer("FOREBAY_EVENTS_0", changed)
    async with users.connected("processor") as (client, refused):
        streams = Streams(client)
        for stream, name, done in (
            ("FOREBAY_RAW_0", "split-live-03", "made, from the beginning"),
            ("FOREBAY_EVENTS_0", "deliver-live-03", "filter_subject was changed"),
        ):
            assert await streams.restore("0", stream, name, None) == done
            assert await streams.restore("0", stream, name, None) == ""
        assert not refused


async def test_the_processors_user_shares_a_shard(users: Users) -> None:
    await provision(users.settings("operator"), SMALL)
    async with users.connected("processor") as (client, refused):
        one, other = LeaseStore(client, "0"), LeaseStore(client, "0")
        heard: list[LeaseTable] = []
        await other.follow(heard.append)
        table, sequence = await one.read()
        joined = LeaseTable(members={"p1": Member(beat=1, place="here")})
        assert sequence == 0
        assert table == LeaseTable()
        written = await one.write(joined, sequence)
        assert await other.read() == (joined, written)
        await eventually(lambda: heard == [joined], saying="the other one to hear of it")
        assert not refused


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
