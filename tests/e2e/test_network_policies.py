"""Who reaches which port of which part, tried where policies are enforced, from pods that try.

Skipped where the cluster enforces none: `make e2e` brings a cluster up that does.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import pytest
import pytest_asyncio

from support.cluster.cluster import Cluster, Helm, image_of, restricted_pod
from support.cluster.tenant import Tenant
from support.timing.wait import eventually

Document = dict[str, Any]

SECONDS: Final = 3
"""How long a connection may take: one that is forbidden is never answered."""

TRY: Final = f"""
import concurrent.futures, json, socket, sys
def is_open(target):
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), {SECONDS}).close()
    except OSError:
        return False
    return True
targets = sys.argv[1:]
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps([each for each, found in zip(targets, pool.map(is_open, targets)) if found]))
"""
"""Prints which of the targets, `address:port`, take a connection."""

LISTEN: Final = """
import http.server
http.server.ThreadingHTTPServer(("", 8000), http.server.BaseHTTPRequestHandler).serve_forever()
"""

PORTS: Final = {
    "receivers": (8080, 9090),
    "dedicated-receiver": (8080, 9090),
    "processors": (9090,),
    "operator": (9090,),
    "nats": (4222, 8222),
}
"""Where each component listens."""

WEBHOOKS: Final = {"receivers:8080", "dedicated-receiver:8080"}
ADMIN: Final = {f"{part}:9090" for part in PORTS if part != "nats"}

REACHED: Final = {
    "a stranger": WEBHOOKS,
    "a tenant": WEBHOOKS,
    "monitoring": WEBHOOKS | ADMIN | {"nats:8222"},
    "a pod of Forebay's": WEBHOOKS | ADMIN | {"nats:4222"},
    "another pod in Forebay's namespace": WEBHOOKS,
}
"""What a pod of each kind reaches; nothing else."""


def pod(name: str, namespace: str, labels: Mapping[str, str], *command: str) -> Document:
    """Return a pod that runs Python and keeps to Pod Security "restricted"."""
    container = {
        "name": "try",
        "image": image_of("receiver"),
        "command": ["python", "-I", "-c", *command],
    }
    return restricted_pod(
        name,
        namespace,
        container,
        user=10001,
        labels=labels,
        terminationGracePeriodSeconds=0,
        automountServiceAccountToken=False,
    )


async def opened(
    cluster: Cluster, namespace: str, labels: Mapping[str, str], targets: list[str]
) -> set[str]:
    """Return the targets that a pod with these labels can connect to."""
    name = f"try-{secrets.token_hex(4)}"
    await cluster.apply(pod(name, namespace, labels, TRY, *targets))
    try:
        await cluster.wait_done(name, namespace)
        return set(json.loads(await cluster.kubectl("logs", name, "-n", namespace)))
    finally:
        await cluster.delete("pod", name, namespace)


async def opened_by(cluster: Cluster, where: Document, targets: list[str]) -> set[str]:
    """Return the targets that a pod which runs already can connect to."""
    metadata = where["metadata"]
    inside = ("exec", metadata["name"], "-n", metadata["namespace"], "--")
    text = await cluster.kubectl(*inside, "python", "-I", "-c", TRY, *targets)
    return set(json.loads(text))


class Neighbourhood:
    """Forebay with a tenant's endpoint, and namespaces around it."""

    def __init__(self, cluster: Cluster, release: Helm, tenant: Tenant) -> None:
        self.cluster = cluster
        self.forebay = release.namespace
        self.tenant = tenant
        self.stranger = f"{tenant.namespace}-stranger"
        self.parts: dict[str, Document] = {}
        self.listener = ""

    async def start(self) -> None:
        """Make the namespaces, a Dedicated endpoint, and a listener of a stranger's."""
        label = {"forebay.dev/e2e": "true"}
        for name in (self.stranger, "monitoring"):
            await self.cluster.namespace(name, label)
        await self.cluster.apply(
            self.tenant.secret(),
            self.tenant.endpoint(isolation="Dedicated"),
            pod("listener", self.stranger, {}, LISTEN),
        )
        await self.cluster.wait_ready("meta", self.tenant.namespace, within=60)
        for component in PORTS:
            labels = f"app.kubernetes.io/component={component}"
            if component == "dedicated-receiver":
                labels = f"{labels},{self.tenant.labels('meta')}"
            found = await self.cluster.list("pods", self.forebay, labels)
            self.parts[component] = next(each for each in found if each["status"].get("podIP"))
        self.listener = await eventually(self._listens, within=30, saying="the listener to run")

    async def stop(self) -> None:
        """Remove the namespaces."""
        for name in (self.stranger, "monitoring"):
            await self.cluster.kubectl("delete", "namespace", name, "--wait=false")

    async def _listens(self) -> str:
        found = await self.cluster.get("pod", "listener", self.stranger)
        if found["status"].get("phase") != "Running":
            return ""
        return f"{found['status']['podIP']}:8000"

    def address(self, target: str) -> str:
        """Return where `component:port` is."""
        component, _, port = target.partition(":")
        return f"{self.parts[component]['status']['podIP']}:{port}"

    def targets(self) -> dict[str, str]:
        """Return every port of every part, by address."""
        names = [f"{part}:{port}" for part, ports in PORTS.items() for port in ports]
        return {self.address(name): name for name in names}

    def namespace_and_labels(self, who: str) -> tuple[str, dict[str, str]]:
        """Return where a pod of a kind is, and its labels."""
        own = {
            "app.kubernetes.io/instance": "forebay",
            "app.kubernetes.io/part-of": "forebay",
        }
        return {
            # The labels of Forebay's pods help nobody elsewhere.
            "a stranger": (self.stranger, own),
            "a tenant": (self.tenant.namespace, own),
            "monitoring": ("monitoring", {}),
            "a pod of Forebay's": (self.forebay, own),
            "another pod in Forebay's namespace": (self.forebay, {}),
        }[who]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def neighbourhood(cluster: Cluster, release: Helm) -> AsyncIterator[Neighbourhood]:
    """Give it on a cluster that enforces policies."""
    async with Tenant.running(cluster, release.namespace) as tenant:
        around = Neighbourhood(cluster, release, tenant)
        await around.start()
        try:
            await require_enforcement(around)
            yield around
        finally:
            await around.stop()


async def require_enforcement(around: Neighbourhood) -> None:
    """Skip where a policy that lets nothing in lets something in."""
    deny = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "nobody", "namespace": around.stranger},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    cluster, tenant = around.cluster, around.tenant.namespace
    assert await opened(cluster, tenant, {}, [around.listener]) == {around.listener}
    await cluster.apply(deny)
    if await opened(cluster, tenant, {}, [around.listener]):
        pytest.skip(
            "NOT RUN: this cluster enforces no network policies. Bring one up that does: "
            "`make e2e`, which asks for the extra `netpol`."
        )
    await cluster.delete("networkpolicy", "nobody", around.stranger)


@pytest.mark.parametrize("who", REACHED)
async def test_each_port_is_open_to_those_whom_it_is_for(
    neighbourhood: Neighbourhood, who: str
) -> None:
    targets = neighbourhood.targets()
    namespace, labels = neighbourhood.namespace_and_labels(who)
    found = await opened(neighbourhood.cluster, namespace, labels, list(targets))
    assert {targets[each] for each in found} == REACHED[who]


@pytest.mark.parametrize(
    ("part", "reached"),
    [
        ("receivers", {"nats:4222"}),
        ("dedicated-receiver", {"nats:4222"}),
        ("operator", {"nats:4222", "receivers:9090", "dedicated-receiver:9090", "processors:9090"}),
    ],
)
async def test_each_part_reaches_what_it_needs_and_no_more(
    neighbourhood: Neighbourhood, part: str, reached: set[str]
) -> None:
    targets = neighbourhood.targets()
    own = {f"{part}:{port}" for port in PORTS[part]}
    others = [address for address, name in targets.items() if name not in own]
    found = await opened_by(
        neighbourhood.cluster, neighbourhood.parts[part], [*others, neighbourhood.listener]
    )
    assert {targets.get(each, each) for each in found} == reached


async def test_processors_reach_destinations_and_dns_is_open_to_all(
    neighbourhood: Neighbourhood,
) -> None:
    cluster, parts = neighbourhood.cluster, neighbourhood.parts
    listener = neighbourhood.listener
    assert await opened_by(cluster, parts["processors"], [listener]) == {listener}
    service = f"forebay-nats.{neighbourhood.forebay}.svc:4222"
    found = await asyncio.gather(
        *(opened_by(cluster, parts[part], [service]) for part in parts if part != "nats")
    )
    assert all(each == {service} for each in found)
