"""The chart's NATS: its configuration with every variable in place, and its users."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import nats
import yaml
from nats.aio.client import Client
from pydantic import SecretStr

from forebay.runtime.settings import NatsSettings, NatsUser
from support.cluster.chart import VALUE_SETS, Rendered, render
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST

__all__ = [
    "USERS",
    "Users",
    "accounts",
    "configuration",
    "environment",
    "server_with_users",
    "with_every_user",
]

USERS: tuple[NatsUser, ...] = ("receiver", "processor", "operator", "api")

AnyUser = NatsUser | Literal["backup"]
"""The parts, and the one that is for people."""


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


def accounts(rendered: Rendered) -> Iterator[str]:
    """Yield the lines with accounts, with passwords in the place of variables."""
    known = environment(rendered)
    text = configuration(rendered)
    for line in text[text.index("accounts {") :].splitlines():
        yield re.sub(r"(user|password): \$(\w+)", lambda hit: f"{hit[1]}: {known[hit[2]]}", line)


class Users:
    """A server with the chart's users."""

    def __init__(self, server: NatsServer, passwords: Mapping[AnyUser, str]) -> None:
        self._server = server
        self.passwords = passwords
        """By user."""

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._server.url

    def settings(self, user: NatsUser) -> NatsSettings:
        """Return how a part connects."""
        password = SecretStr(self.passwords[user])
        settings = NatsSettings(url=self._server.url, user=user, password=password)
        return settings.of_part(user)

    def environment(self, user: NatsUser) -> dict[str, str]:
        """Return how a part's process, or a command, connects."""
        return {
            "FOREBAY_NATS_URL": self._server.url,
            "FOREBAY_NATS_USER": user,
            "FOREBAY_NATS_PASSWORD": self.passwords[user],
        }

    @contextlib.asynccontextmanager
    async def connected(self, user: NatsUser) -> AsyncIterator[tuple[Client, list[str]]]:
        """Give a client, and what it was refused so far."""
        refused: list[str] = []

        async def note(error: Exception) -> None:
            refused.append(str(error).lower())

        client = await nats.connect(
            self._server.url,
            user=user,
            password=self.passwords[user],
            error_cb=note,
            allow_reconnect=False,
            inbox_prefix=self.settings(user).inbox,
        )
        try:
            yield client, refused
        finally:
            await client.close()

    async def refused(
        self, user: AnyUser, *, publish: Sequence[str] = (), subscribe: Sequence[str] = ()
    ) -> set[str]:
        """Return what NATS does not let a user do, of subjects to publish and subscribe to."""
        options = {"user": user, "pass": self.passwords[user], "verbose": False, "headers": True}
        lines = [
            f"CONNECT {json.dumps(options)}",
            *(f"PUB {subject} 0\r\n" for subject in publish),
            *(f"SUB {subject} {number}" for number, subject in enumerate(subscribe, 1)),
            "PING",
        ]
        reader, writer = await asyncio.open_connection(HOST, self._server.port)
        try:
            writer.write("\r\n".join([*lines, ""]).encode())
            async with asyncio.timeout(10):
                # The server reads one connection in order: what it refuses comes before this.
                answer = (await reader.readuntil(b"PONG\r\n")).decode()
        finally:
            writer.close()
        found = set(re.findall(r"-ERR 'Permissions Violation for \w+ to \"([^\"]+)\"", answer))
        assert found <= {*publish, *subscribe}
        assert answer.count("-ERR") == len(found), answer
        return found


@cache
def with_every_user() -> Rendered:
    """Return a chart with one server of NATS and every part that has a user of it."""
    values = yaml.safe_load(VALUE_SETS["local"].read_text())
    return render({**values, "api": {"enabled": True}})


@contextlib.asynccontextmanager
async def server_with_users(folder: Path) -> AsyncIterator[Users]:
    """Give a server with the chart's own accounts and permissions."""
    rendered = with_every_user()
    everyone: tuple[AnyUser, ...] = (*USERS, "backup")
    passwords = {
        user: rendered.secret(f"acme-forebay-nats-{user}")["password"] for user in everyone
    }
    async with NatsServer(folder, config="\n".join(accounts(rendered))) as server:
        yield Users(server, passwords)
