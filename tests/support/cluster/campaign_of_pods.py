"""A campaign's world on a cluster: a release with the chart's own limits, and processes as pods.

The destinations are processes of this machine that listen on the bridge of the pods' network, so
that they cost the cluster nothing and show when each item came.
"""

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any, Final

import psutil
import yaml
from typing_extensions import override

from support.cluster.chart import CHART
from support.cluster.cluster import Cluster
from support.cluster.release import Release, fresh_release
from support.cluster.tenant import Tenant
from support.destinations.quick_sink import QuickSink
from support.inputs.corpus import APP_SECRET
from support.processor.campaign import World
from support.processor.shares import ALL
from support.programs.command import CommandFailedError
from support.programs.scope import Scope
from support.timing.wait import eventually

__all__ = ["WorldOfPods"]

AS_SHIPPED: Final = (
    ("shards",),
    ("nats", "storeMiB"),
    ("nats", "volume"),
    ("nats", "resources"),
    ("receivers", "resources"),
    ("processors", "resources"),
    ("operator", "resources"),
)
"""What the release has as the chart's own values say, though a test's release has less."""

BRIDGE: Final = "10.244.0.1"
"""This machine in the pods' network."""

MESSAGES_PER_SECOND: Final = 1_000

MIB: Final = 1024 * 1024

KINDS: Final = {
    "forebay receiver": "receiver",
    "forebay processor": "processor",
    "forebay operator": "operator",
    "nats-server": "nats-server",
}
"""What a part's command line holds."""

OF_PODS: Final = ("k8s.io", "kubepods")
"""What control groups of pods are below."""

TAKEOVER_SECONDS: Final = 60.0
"""Given up after that."""

START_SECONDS: Final = 120.0
"""For a new processor to have its partitions."""


class WorldOfPods(Scope, World):
    """A release and a tenant with two endpoints."""

    def __init__(self, folder: Path) -> None:
        """Lay it out; the cluster is the one that KUBECONFIG names."""
        super().__init__()
        self._folder = folder
        self._cluster = Cluster()
        self._release: Release | None = None
        self.sink = QuickSink(folder / "sink", host=BRIDGE)
        self.others_sink = QuickSink(folder / "others", host=BRIDGE)
        for each in ("sink", "others"):
            (folder / each).mkdir()
        self.campaign_url = self.others_url = ""

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Install, and serve both endpoints."""
        values = self._folder / "values.yaml"
        values.write_text(yaml.safe_dump(_as_shipped()))
        release = self._release = await fresh_release(self._cluster, "-f", str(values))
        cleanup.push_async_callback(release.uninstall)
        for sink in (self.sink, self.others_sink):
            await cleanup.enter_async_context(sink)
        tenant = await cleanup.enter_async_context(Tenant.running(self._cluster, release.namespace))
        throughput = {"messagesPerSecond": MESSAGES_PER_SECOND, "replyRatio": 0.3}
        sinks = {"campaign": self.sink, "others": self.others_sink}
        await self._cluster.apply(
            tenant.secret(app_secret=APP_SECRET),
            *(
                tenant.endpoint(
                    name,
                    throughput=throughput,
                    destinations=[{"name": "sink", "http": {"url": sink.url()}}],
                )
                for name, sink in sinks.items()
            ),
        )
        for name in sinks:
            await self._cluster.wait_ready(name, tenant.namespace)
        self.campaign_url = (await tenant.traffic("campaign")).url
        self.others_url = (await tenant.traffic("others")).url

    @override
    async def memory(self) -> dict[str, float]:
        """Return what each part has in memory now, in MiB; of several alike the most."""
        return await asyncio.to_thread(_memory)

    @override
    async def kill_processor(self) -> float:
        """Kill a processor's process and take its pod away; another pod comes in its place at once.

        Not only the process: its container would wait for up to five minutes, since it ends again
        and again (the kubelet's back-off), and the next kill would find no other processor.
        """
        victim = await self._spare_processor()
        began = time.monotonic()
        await asyncio.to_thread(_kill_of_container, await self._container(victim))
        await self._cluster.kubectl(
            *("delete", "pod", victim, "-n", self._namespace),
            *("--grace-period=0", "--force", "--wait=false"),
        )

        async def have_all() -> bool:
            pods = set(await self._processors()) - {victim}
            return set().union(*[await self._owned(name) for name in pods]) == ALL

        await eventually(
            have_all, saying="each partition to have an owner", within=TAKEOVER_SECONDS
        )
        return time.monotonic() - began

    async def restarts(self) -> dict[str, str]:
        """Return why containers were restarted, by pod; those that were killed here are gone."""
        found = {}
        for pod in await self._cluster.list("pods", self._namespace):
            name = pod["metadata"]["name"]
            for container in pod["status"].get("containerStatuses", []):
                if container["restartCount"]:
                    last = container["lastState"].get("terminated", {})
                    found[name] = str(last.get("reason", "unknown"))
        return found

    @property
    def _namespace(self) -> str:
        assert self._release is not None
        return self._release.namespace

    async def _processors(self) -> list[str]:
        labels = "app.kubernetes.io/component=processors"
        pods = await self._cluster.list("pods", self._namespace, labels)
        pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return [pod["metadata"]["name"] for pod in pods]

    async def _spare_processor(self) -> str:
        """Wait until two processors have partitions; returns the name of the older one."""
        owners: list[str] = []

        async def are_two() -> bool:
            owners[:] = [name for name in await self._processors() if await self._owned(name)]
            return len(owners) > 1

        await eventually(are_two, saying="two processors to have partitions", within=START_SECONDS)
        return owners[0]

    async def _container(self, name: str) -> str:
        pod = await self._cluster.get("pod", name, self._namespace)
        return str(pod["status"]["containerStatuses"][0]["containerID"]).rpartition("/")[2]

    async def _owned(self, name: str) -> set[str]:
        where = f"/api/v1/namespaces/{self._namespace}/pods/{name}:9090/proxy/load"
        try:
            answer = json.loads(await self._cluster.kubectl("get", "--raw", where))
        except CommandFailedError:
            return set()  # nobody answers there now
        return set(answer["shards"]["0"]["partitions"])


def _as_shipped() -> dict[str, Any]:
    """Return the values that the chart itself has for what is to be as shipped."""
    chart = yaml.safe_load((CHART / "values.yaml").read_text())
    result: dict[str, Any] = {}
    for path in AS_SHIPPED:
        source, target = chart, result
        for key in path[:-1]:
            source, target = source[key], target.setdefault(key, {})
        target[path[-1]] = source[path[-1]]
    return result


def _memory() -> dict[str, float]:
    found: dict[str, float] = {}
    for process in psutil.process_iter(["cmdline", "memory_info"]):
        line = " ".join(process.info["cmdline"] or ())
        part = next((part for text, part in KINDS.items() if text in line), None)
        if part is not None and any(mark in _group(process.pid) for mark in OF_PODS):
            mib = process.info["memory_info"].rss / MIB
            found[part] = max(found.get(part, 0.0), mib)
    return found


def _group(pid: int) -> str:
    """Return the control groups of a process: in a pod they name the container's id."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def _kill_of_container(container: str) -> None:
    """Kill the processor of one container of this machine's cluster."""
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if "forebay processor" in line and container in _group(process.pid):
            process.kill()
            return
    message = f"no process of container {container}"
    raise AssertionError(message)
