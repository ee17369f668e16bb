"""The cluster's own Prometheus and Alertmanager, which the Prometheus Operator runs.

They are reached at FOREBAY_E2E_PROMETHEUS and FOREBAY_E2E_ALERTMANAGER, by default where the test
cluster's extra `monitoring` has them.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import aiohttp

from support.cluster.cluster import HOST, Cluster
from support.cluster.rules import rules
from support.observability.prometheus_api import ASK_SECONDS, PrometheusApi, Samples
from support.programs.command import CommandFailedError
from support.timing.wait import eventually

__all__ = ["Monitoring", "has_monitoring"]

PROMETHEUS: Final = os.environ.get("FOREBAY_E2E_PROMETHEUS", f"http://{HOST}:30090")
ALERTMANAGER: Final = os.environ.get("FOREBAY_E2E_ALERTMANAGER", f"http://{HOST}:30093")

PARTS: Final = ("receivers", "processors", "operator")

OFTEN_SECONDS: Final = 60.0

TAKEN_SECONDS: Final = 120.0
"""The operator writes Prometheus' settings, the kubelet brings them, then comes a first scrape."""


async def has_monitoring(cluster: Cluster) -> bool:
    """Say whether the cluster knows PodMonitors and PrometheusRules, and Prometheus answers."""
    try:
        await cluster.kubectl("get", "podmonitors,prometheusrules", "-A")
    except CommandFailedError:
        return False
    prometheus = PrometheusApi(PROMETHEUS)
    await prometheus.open()
    try:
        return await prometheus.is_ready()
    finally:
        await prometheus.close()


class Monitoring(PrometheusApi):
    """What they say of one release."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Name the release's namespace."""
        super().__init__(PROMETHEUS)
        self._cluster = cluster
        self.namespace = namespace

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, cluster: Cluster, namespace: str) -> AsyncIterator["Monitoring"]:
        """Give it as soon as everything of the release is scraped and evaluated."""
        own = cls(cluster, namespace)
        await own.open()
        try:
            await own.taken()
            yield own
        finally:
            await own.close()

    async def taken(self) -> None:
        """Wait until all pods are scraped and all rules were evaluated."""
        await eventually(self._is_scraped, within=TAKEN_SECONDS, saying="all pods to be scraped")
        await eventually(self._is_judged, within=TAKEN_SECONDS, saying="all rules to be evaluated")

    async def own_targets(self) -> Samples:
        """Return what is scraped of the release, whether it answers or not."""
        mark = f"podMonitor/{self.namespace}/"
        return [each for each in await self.targets() if each["scrapePool"].startswith(mark)]

    async def own_rules(self) -> Samples:
        """Return the release's rules as Prometheus has them."""
        return [each for each in await self.rules() if each["name"].lower().startswith("forebay")]

    async def pods(self) -> set[str]:
        """Return the pods of the release that show metrics."""
        names = ("receivers", "dedicated-receiver", "processors", "operator")
        labels = f"app.kubernetes.io/component in ({','.join(names)})"
        found = await self._cluster.list("pods", self.namespace, labels)
        return {pod["metadata"]["name"] for pod in found}

    async def firing(self) -> list[dict[str, str]]:
        """Return the labels of Forebay's alerts that fire now."""
        found = await self.query('ALERTS{alertname=~"Forebay.+",alertstate="firing"}')
        without = ("__name__", "alertstate")
        return [
            {name: value for name, value in each["metric"].items() if name not in without}
            for each in found
        ]

    async def notified(self) -> list[dict[str, Any]]:
        """Return Forebay's alerts as Alertmanager has them, with labels and annotations."""
        timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(
                f"{ALERTMANAGER}/api/v2/alerts", params={"filter": 'alertname=~"Forebay.+"'}
            ) as answer,
        ):
            found: list[dict[str, Any]] = await answer.json()
        return found

    async def seen(self, names: Iterable[str]) -> set[str]:
        """Return which of these metrics have a series."""
        wanted = "|".join(names)
        found = await self.query(f'count by (__name__) ({{__name__=~"{wanted}"}})')
        return {each["metric"]["__name__"] for each in found}

    async def _is_scraped(self) -> bool:
        found = await self.own_targets()
        up = {each["labels"]["pod"] for each in found if each["health"] == "up"}
        pods = await self.pods()
        return bool(pods) and up == pods

    async def _is_judged(self) -> bool:
        found = await self.own_rules()
        # Those that look back over days are evaluated every two minutes.
        often = [each for each in found if each["interval"] < OFTEN_SECONDS]
        return len(found) == len(rules()) and all(each["health"] != "unknown" for each in often)
