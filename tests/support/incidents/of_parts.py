"""Incidents of Forebay's own parts, and of what they stand on."""

import asyncio
from pathlib import Path

from typing_extensions import override

from support.cluster.cluster import Cluster
from support.cluster.slow_nats import SlowNats
from support.incidents.incident import Expected, Incident

__all__ = ["AcksDelayed", "NothingScraped", "ProcessorStarved", "ServerLost"]


class AcksDelayed(Incident):
    """What NATS says to receivers comes 300 ms later."""

    title = "PubAcks that come 300 ms late"
    fires_within = 180.0
    cause = (r"forebay_receiver_publish_seconds_bucket[^\n]*\n[^\n]* 0\.[3-9]",)
    SECONDS = 0.3

    def __init__(self, proxy: SlowNats) -> None:
        self._proxy = proxy
        labels = {"pool": "receiver", "window": "1h"}
        self.expected = (Expected(name="ForebayLatencyBudgetBurns", labels=labels),)
        self.beside = tuple(
            Expected(name="ForebayLatencyBudgetBurns", labels={"window": window})
            for window in ("6h", "1d", "3d")
        )

    @override
    async def begin(self) -> None:
        await self._proxy.delay(self.SECONDS)

    @override
    async def mend(self) -> None:
        await self._proxy.delay(0.0)


class NothingScraped(Incident):
    """Somebody deletes the PodMonitor of the operator."""

    title = "a scrape that stops"
    # The Prometheus Operator and the kubelet took 143 s until Prometheus knew.
    fires_within = 600.0
    cause = (
        r"\Akubectl [^\n]*podmonitors[^\n]*\n[\s\S]*forebay-receivers",
        # That of the operator is not among them.
        r"\Akubectl [^\n]*podmonitors[^\n]*\n(?![\s\S]*forebay-operator)",
    )

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._kept: dict[str, object] = {}
        self.expected = (Expected(name="ForebayMetricsMissing", labels={"part": "operator"}),)

    @override
    async def begin(self) -> None:
        name = "forebay-operator"
        found = await self._cluster.get("podmonitor", name, self._namespace)
        metadata = found["metadata"]
        kept = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations")}
        self._kept = {**found, "metadata": kept}
        await self._cluster.delete("podmonitor", name, self._namespace)

    @override
    async def mend(self) -> None:
        await self._cluster.apply(self._kept)


class ProcessorStarved(Incident):
    """One of the processors gets a fiftieth of a core from now on.

    Its control group is limited, as a hypervisor or a neighbour would: on a node that is this
    machine. Nothing in the cluster says so.
    """

    title = "a processor starved of CPU"
    fires_within = 1080.0
    SHARE = 0.02

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._pod = ""
        self.expected = (Expected(name="ForebayLoopLag", labels={"pool": "processor"}),)
        self.beside = (
            # It stands still for longer than its lease, and takes partitions again.
            Expected(name="ForebayTakeoversFlapping"),
            Expected(name="ForebayPartitionsUnowned"),
            Expected(name="ForebayFreshnessBudgetBurns"),
            Expected(name="ForebayItemsWaiting"),
            Expected(name="ForebayMetricsMissing", labels={"part": "pod"}),
        )

    @override
    async def begin(self) -> None:
        labels = "app.kubernetes.io/component=processors"
        pods = await self._cluster.list("pods", self._namespace, labels)
        self._pod = pods[0]["metadata"]["name"]
        (status,) = pods[0]["status"]["containerStatuses"]
        await asyncio.to_thread(_limit, status["containerID"].rpartition("/")[2], self.SHARE)
        self.cause = (
            # Which process, and that no other has it.
            rf"\Ahistogram[^\n]*\n[\s\S]*pod={self._pod}[^\n]* (0\.[1-9]|[1-9])",
            rf"\Akubectl [^\n]*top pods[\s\S]*{self._pod}",
            rf"\Akubectl [^\n]*CPU-LIMIT[\s\S]*{self._pod} +<none>",
        )

    @override
    async def mend(self) -> None:
        await self._cluster.delete("pod", self._pod, self._namespace, within=90)


def _limit(container: str, share: float) -> None:
    """Let a container of this machine have such a share of a core."""
    period = 100_000
    quota = int(period * share)
    for process in Path("/proc").glob("[0-9]*/cgroup"):
        try:
            lines = process.read_text().splitlines()
        except OSError:
            continue  # it has ended
        for line in lines:
            _, names, group = line.split(":", 2)
            if container not in group:
                continue
            if "cpu" in names.split(","):
                Path(f"/sys/fs/cgroup/cpu{group}/cpu.cfs_quota_us").write_text(str(quota))
                return
            newer = Path(f"/sys/fs/cgroup{group}/cpu.max")
            if not names and newer.exists():
                newer.write_text(f"{quota} {period}")
                return
    message = f"no process of container {container} on this machine"
    raise AssertionError(message)


class ServerLost(Incident):
    """NATS has one of its three servers less."""

    title = "NATS losing one of three servers"
    fires_within = 600.0
    cause = (r"forebay_stream_missing_replicas[^\n]*\n[^\n]* 1\b", r"forebay-nats +2/2")

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self.expected = (Expected(name="ForebayReplicasMissing"),)
        # Webhooks that are answered 503 while streams elect their leaders, of a history of minutes.
        self.beside = tuple(
            Expected(name="ForebayAvailabilityBudgetBurns", labels={"window": window})
            for window in ("1d", "3d")
        )

    @override
    async def begin(self) -> None:
        await self._scale(2)

    @override
    async def mend(self) -> None:
        await self._scale(3)

    async def _scale(self, replicas: int) -> None:
        which = ("statefulset/forebay-nats", "-n", self._namespace)
        await self._cluster.kubectl("scale", *which, f"--replicas={replicas}")
