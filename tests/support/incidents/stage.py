"""What incidents happen to: a release with three servers of NATS, monitoring, and tenants."""

import contextlib
from pathlib import Path
from typing import Final

import yaml
from typing_extensions import override

from support.cluster.chart import CHART
from support.cluster.cluster import VALUES, Cluster
from support.cluster.monitoring import Monitoring, has_monitoring
from support.cluster.release import Release, fresh_release
from support.cluster.slow_nats import SlowNats
from support.cluster.tenant import Tenant
from support.inputs.traffic import Traffic
from support.programs.scope import Scope

__all__ = ["Stage"]

RETRY_MIB: Final = 16
"""Small enough to be full within a minute."""

RATE: Final = 10.0
"""Webhooks a second of the endpoint that nothing happens to."""

OTHERS_RATE: Final = 2.0

RUNBOOKS: Final = "https://git.example.com/forebay/docs/runbooks"


class Stage(Scope):
    """A cluster with traffic, on which all is well."""

    def __init__(self, folder: Path) -> None:
        """Lay it out; the cluster is the one that KUBECONFIG names."""
        super().__init__()
        self._folder = folder
        self.cluster = Cluster()
        self.release: Release
        self.monitoring: Monitoring
        self.proxy: SlowNats
        self.main: Tenant
        self.flows = contextlib.AsyncExitStack()
        """The traffic; closing it stops it."""

        self._cleanup: contextlib.AsyncExitStack

    @override
    async def _enter(self, cleanup: contextlib.AsyncExitStack) -> None:
        """Install, and wait until all is scraped."""
        assert await has_monitoring(self.cluster), "the cluster has no Prometheus Operator"
        self._cleanup = cleanup
        values = self._folder / "values.yaml"
        values.write_text(yaml.safe_dump(_values()))
        self.release = await fresh_release(self.cluster, "-f", str(values))
        cleanup.push_async_callback(self.release.uninstall)
        await cleanup.enter_async_context(self.flows)
        self.main, _ = await self.tenant(RATE)
        self.proxy = SlowNats(
            self.cluster, release=self.release.namespace, tenant=self.main.namespace
        )
        await self.proxy.start()
        self.monitoring = await cleanup.enter_async_context(
            Monitoring.of(self.cluster, self.release.namespace)
        )

    async def tenant(self, rate: float = OTHERS_RATE) -> tuple[Tenant, Traffic]:
        """Return one more tenant with an endpoint and a destination, and its traffic."""
        tenant = await self._cleanup.enter_async_context(
            Tenant.running(self.cluster, self.release.namespace)
        )
        await self.cluster.apply(tenant.secret(), tenant.endpoint())
        await self.cluster.wait_ready("meta", tenant.namespace, within=90)
        traffic = await tenant.traffic()
        await self.flows.enter_async_context(traffic.flowing(rate))
        return tenant, traffic


def _values() -> dict[str, object]:
    """Return what the release has besides the values of tests."""
    shards = (
        yaml.safe_load(VALUES.read_text()).get("shards")
        or yaml.safe_load((CHART / "values.yaml").read_text())["shards"]
    )
    shards[0]["retry"]["maxMiB"] = RETRY_MIB
    return {
        "shards": shards,
        # Three on one node of two cores.
        "nats": {"replicas": 3, "resources": {"requests": {"cpu": "200m"}}},
        "monitoring": {"rules": {"runbooks": RUNBOOKS}},
    }
