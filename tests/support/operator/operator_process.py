"""The operator as a process against a control plane, and what tests ask of its cluster."""

import base64
import copy
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from forebay_operator.models.kinds import KINDS
from support.operator.control_plane import Api, ControlPlane
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually

__all__ = ["ENDPOINTS", "Forebay", "Operator", "manifest"]

Json = Any

ENDPOINTS = "/apis/forebay.dev/v1alpha1"

_GROUPS = {
    each.plural: f"/apis/{each.group}/{each.version}" if each.group else f"/api/{each.version}"
    for each in KINDS
} | {"pods": "/api/v1", "events": "/api/v1", "webhookendpoints": ENDPOINTS}

OBJECTS = tuple(sorted(each.plural for each in KINDS if not each.is_optional))
"""What each Dedicated endpoint has."""


def manifest(namespace: str, name: str, **spec: Json) -> Json:
    """Return an endpoint that is good; keywords replace fields of its spec."""
    secret = {"secretKeyRef": {"name": "crm", "key": "token"}}
    return {
        "apiVersion": "forebay.dev/v1alpha1",
        "kind": "WebhookEndpoint",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "provider": "360dialog",
            "authentication": {"headers": [{"name": "Authorization", "values": [secret]}]},
            "destinations": [{"name": "log", "log": {}}],
            **copy.deepcopy(spec),
        },
    }


class Operator:
    """One operator process; several of one installation may run at once."""

    def __init__(self, folder: Path, name: str, kubeconfig: Path, nats_url: str) -> None:
        """Prepare; `config` is written before the first start."""
        self.config = folder / "config.yaml"
        self.program = Program(name, folder / f"{name}.log")
        self._folder = folder
        self._port = free_port()
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FOREBAY_")}
        self._environment = kept | {
            "KUBECONFIG": str(kubeconfig),
            "FOREBAY_OPERATOR_CONFIG": str(self.config),
            "FOREBAY_OPERATOR_ADMIN_HOST": HOST,
            "FOREBAY_OPERATOR_ADMIN_PORT": str(self._port),
            "FOREBAY_NATS_URL": nats_url,
        }

    async def start(self) -> None:
        """Start it and wait until it began to work."""
        seen = len(self.events("operator_started"))
        self.launch()
        await eventually(
            lambda: self._lives() and len(self.events("operator_started")) > seen,
            within=30,
            saying=f"{self.program.name} to start (its log: {self.program.log})",
        )

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self.program.launch(
            [sys.executable, "-m", "forebay", "operator"],
            cwd=self._folder,
            environment=self._environment,
        )

    async def stop(self) -> None:
        """Ask it to leave, and wait until it did."""
        status = await self.program.end(signal.SIGTERM, within=20)
        assert status == 0, self.program.tail()

    async def kill(self) -> None:
        """End it as a crash would."""
        await self.program.end(signal.SIGKILL, within=10)

    async def settle(self) -> None:
        """Wait until every endpoint was reconciled since the last start."""
        await eventually(
            lambda: self._lives() and self._has_seen_all(),
            within=40,
            saying="all endpoints to be seen",
        )

    async def uninstall(self) -> None:
        """Run `forebay operator --uninstall` to its end."""
        program = Program("uninstall", self._folder / "uninstall.log")
        program.launch(
            [sys.executable, "-m", "forebay", "operator", "--uninstall"],
            cwd=self._folder,
            environment=self._environment,
        )
        await eventually(lambda: not program.running, within=30, saying="the uninstall to end")
        assert any('"event": "uninstalled"' in line for line in program.lines()), program.tail()

    async def metrics(self) -> str:
        """Return what its port for operators shows at /metrics."""
        request = request_bytes("GET", "/metrics", headers={"Connection": "close"})
        return (await exchange(self._port, request)).body.decode()

    def events(self, name: str) -> list[Json]:
        """Return the lines of its log with one event's name."""
        mark = f'"event": "{name}"'
        return [json.loads(line) for line in self.program.lines() if mark in line]

    def troubles(self) -> list[str]:
        """Return what it logged as an error, and lines that are not its own."""
        return [
            line
            for line in self.program.lines()
            if '"level": "error"' in line or '"level": "critical"' in line or line[:1] != "{"
        ]

    def _has_seen_all(self) -> bool:
        text = "\n".join(self.program.lines())
        return text.rfind('"all_endpoints_reconciled"') > text.rfind('"operator_started"')

    def _lives(self) -> bool:
        self.program.check()
        return True


class Forebay:
    """One installation in a namespace of its own, and a tenant's namespace beside it."""

    def __init__(self, folder: Path, plane: ControlPlane, name: str, nats_url: str) -> None:
        """Prepare namespaces; no operator runs before a test starts one."""
        self.api: Api = plane.api
        self.namespace = f"{name}-system"
        self.tenant = f"{name}-tenant"
        self.other = f"{name}-other"
        self.name = "fb"
        self.nats_url = nats_url
        self._folder = folder
        self._plane = plane
        self._operators: list[Operator] = []
        for each in (self.namespace, self.tenant, self.other):
            self.api.create("/api/v1/namespaces", {"metadata": {"name": each}})

    def operator(self, **config: Json) -> Operator:
        """Return an operator of this installation; keywords are further keys of its file."""
        folder = self._folder / f"operator-{len(self._operators)}"
        folder.mkdir()
        name = f"operator-{len(self._operators)}"
        operator = Operator(folder, name, self._plane.kubeconfig, self.nats_url)
        operator.config.write_text(yaml.safe_dump(self._config() | config))
        self._operators.append(operator)
        return operator

    def _config(self) -> Json:
        return {
            "namespace": self.namespace,
            "name": self.name,
            "release": self.name,
            "host": "hooks.example.com",
            "receiver": {
                "image": "localhost/forebay-receiver:test",
                "nats": {"url": "nats://nats:4222", "authSecretName": "nats-receiver"},
            },
            "sharedReceivers": {
                "serviceName": "fb-receivers",
                "adminServiceName": "fb-receivers-admin",
                "pods": {"matchLabels": {"pool": "receivers"}},
            },
            "processors": {"pods": {"matchLabels": {"pool": "processors"}}},
            # Its definition is there for all tests while one of them wants it.
            "keda": {"enabled": False},
            "tables": {"count": 4},
            "shards": [
                {
                    "rawMaxBytes": 16 * 2**20,
                    "eventsMaxBytes": 16 * 2**20,
                    "retryMaxBytes": 16 * 2**20,
                    "deadMaxBytes": 16 * 2**20,
                    "indexMaxBytes": 16 * 2**20,
                }
            ],
            "limits": {"statusSeconds": 1, "podSeconds": 1},
            "tenantLimits": {"hosts": ["*"]},
        }

    # --- what tests do

    def secret(self, namespace: str | None = None, name: str = "crm", **values: str) -> None:
        """Make a Secret, or give it other values."""
        path = self._path("secrets", namespace or self.tenant)
        data = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in (values or {"token": "first"}).items()
        }
        if self.api.get(f"{path}/{name}") is None:
            self.api.create(path, {"metadata": {"name": name}, "data": data})
        else:
            assert self.api.merge(f"{path}/{name}", {"data": data}).status == 200

    def apply(self, document: Json) -> None:
        """Create an endpoint, or replace its spec."""
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        path = self._path("webhookendpoints", namespace)
        known = self.api.get(f"{path}/{name}")
        if known is None:
            self.api.create(path, document)
            return
        # Only the spec, whatever the operator writes into the object at the same moment.
        change = [{"op": "replace", "path": "/spec", "value": document["spec"]}]
        answer = self.api.ask("PATCH", f"{path}/{name}", change, "application/json-patch+json")
        assert answer.status == 200, answer

    def delete(self, name: str, namespace: str | None = None) -> None:
        """Ask for the end of an endpoint."""
        self.api.delete(f"{self._path('webhookendpoints', namespace or self.tenant)}/{name}")

    # --- what tests see

    def endpoint(self, name: str, namespace: str | None = None) -> Json | None:
        """Return an endpoint; None where it is gone."""
        return self.api.get(f"{self._path('webhookendpoints', namespace or self.tenant)}/{name}")

    def condition(self, name: str, kind: str, namespace: str | None = None) -> Json:
        """Return a condition of an endpoint; an empty one where it is not there."""
        status = (self.endpoint(name, namespace) or {}).get("status") or {}
        found = [each for each in status.get("conditions") or () if each["type"] == kind]
        return found[0] if found else {"status": "", "reason": "", "message": ""}

    async def wait_condition(
        self, name: str, kind: str, reason: str, namespace: str | None = None
    ) -> Json:
        """Wait until a condition has a reason, and return it."""

        def seen() -> Json | None:
            condition = self.condition(name, kind, namespace)
            return condition if condition["reason"] == reason else None

        what = f"{kind} of {name} to have the reason {reason}"
        return await eventually(seen, within=20, saying=what)

    def events(self, name: str, namespace: str | None = None) -> dict[str, str]:
        """Return the Events of an endpoint: reason and message."""
        found = self.event_objects(name, namespace)
        return {each["reason"]: each["message"] for each in found}

    def event_objects(self, name: str, namespace: str | None = None) -> list[Json]:
        """Return the Events of an endpoint as they are stored."""
        selector = quote(f"involvedObject.name={name}")
        path = f"{self._path('events', namespace or self.tenant)}?fieldSelector={selector}"
        return self.api.items(path)

    def objects(self, plural: str, endpoint: str | None = None) -> list[Json]:
        """Return the operator's objects of one kind, of one endpoint or of all."""
        selector = f"forebay.dev/operator={self.name}"
        if endpoint is not None:
            selector += f",forebay.dev/endpoint-name={endpoint}"
        path = self._path(plural, self.namespace)
        return self.api.items(f"{path}?labelSelector={quote(selector)}")

    def versions(self) -> dict[tuple[str, str], str]:
        """Return the resource version of everything that the operator could write."""
        found = {
            (plural, each["metadata"]["name"]): each["metadata"]["resourceVersion"]
            for plural in OBJECTS
            for each in self.objects(plural)
        }
        found |= {
            ("webhookendpoints", each["metadata"]["name"]): each["metadata"]["resourceVersion"]
            for each in self.api.items(f"{ENDPOINTS}/webhookendpoints")
        }
        events = self.api.items(self._path("events", self.tenant))
        return found | {
            ("events", each["metadata"]["name"]): each["metadata"]["resourceVersion"]
            for each in events
        }

    def tables(self, pool: str) -> list[Json]:
        """Return the content of all shared tables of a pool."""
        found = []
        for secret in self.objects("secrets"):
            for file, data in (secret.get("data") or {}).items():
                if file.startswith(f"{pool}-"):
                    found.append(json.loads(base64.b64decode(data)))
        return found

    def own_table(self, endpoint: str) -> Json:
        """Return the content of a Dedicated endpoint's own table."""
        (secret,) = self.objects("secrets", endpoint)
        return json.loads(base64.b64decode(secret["data"]["receivers.json"]))

    def path(self, plural: str, name: str, namespace: str | None = None) -> str:
        """Return the path of one object."""
        return f"{self._path(plural, namespace or self.namespace)}/{name}"

    def _path(self, plural: str, namespace: str) -> str:
        return f"{_GROUPS[plural]}/namespaces/{namespace}/{plural}"

    async def end(self, *, expect_errors: bool = False) -> None:
        """Stop what runs, remove every endpoint, and judge the operators' logs."""
        for operator in self._operators:
            if operator.program.running:
                await operator.kill()
        for each in self.api.items(f"{ENDPOINTS}/webhookendpoints"):
            metadata = each["metadata"]
            path = self.path("webhookendpoints", metadata["name"], metadata["namespace"])
            self.api.merge(path, {"metadata": {"finalizers": None}})
            self.api.delete(path)
        for operator in self._operators:
            troubles = operator.troubles()
            assert expect_errors or not troubles, "\n".join(troubles)
