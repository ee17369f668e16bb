"""Incidents of one endpoint, or of its destination."""

from typing import Final

from typing_extensions import override

from support.cluster.cluster import Cluster
from support.cluster.tenant import Tenant
from support.incidents.incident import Expected, OfTenant
from support.inputs.traffic import Traffic
from support.timing.wait import eventually

__all__ = ["DestinationKilled", "DestinationTimesOut", "SecretNotRegistered", "StreamFull"]


class DestinationTimesOut(OfTenant):
    """It takes connections and requests, and answers none."""

    title = "a destination that times out"
    fires_within = 480.0
    cause = (r"Open", r"timeout|Timeout|timed out|no answer")

    def __init__(self, cluster: Cluster, tenant: Tenant) -> None:
        super().__init__(cluster, tenant)
        labels = {**self.labels, "destination": "sink"}
        self.expected = (Expected(name="ForebayDestinationDown", labels=labels),)

    @override
    async def begin(self) -> None:
        await self.tenant.sink.answer("items", 0)

    @override
    async def mend(self) -> None:
        await self.tenant.sink.answer("items", 200)


class DestinationKilled(OfTenant):
    """Its Deployment has no pod any more."""

    title = "a destination that is killed"
    fires_within = 480.0
    cause = (r"Open", r"connect|refused|Connect")

    def __init__(self, cluster: Cluster, tenant: Tenant) -> None:
        super().__init__(cluster, tenant)
        labels = {**self.labels, "destination": "sink"}
        self.expected = (Expected(name="ForebayDestinationDown", labels=labels),)

    @override
    async def begin(self) -> None:
        await self._scale(0)

    @override
    async def mend(self) -> None:
        await self._scale(1)

    async def _scale(self, replicas: int) -> None:
        which = ("deployment/sink", "-n", self.tenant.namespace)
        await self.cluster.kubectl("scale", *which, f"--replicas={replicas}")


class SecretNotRegistered(OfTenant):
    """The provider signs with a new secret, which nobody put into the Secret here."""

    title = "a rotated secret that was not registered"
    fires_within = 720.0
    cause = (r"signature_wrong", r"secretKeyRef")

    def __init__(self, cluster: Cluster, tenant: Tenant, traffic: Traffic) -> None:
        super().__init__(cluster, tenant)
        self._traffic = traffic
        self.expected = (Expected(name="ForebayCredentialsRefused", labels=self.labels),)

    @override
    async def begin(self) -> None:
        self._traffic.secret = "example-rotated-secret"  # made up

    @override
    async def mend(self) -> None:
        await self.cluster.apply(self.tenant.secret(app_secret=self._traffic.secret))


ALL_FOR_ONE: Final = 0.83
"""Of RETRY: what one destination gets is 85 %, and a row of these is half a percent."""


class StreamFull(OfTenant):
    """Large items pile up in RETRY, since their destination says that it is unavailable."""

    title = "a full stream"
    fires_within = 600.0
    cause = (r"FOREBAY_RETRY_0", r"destination.*sink")
    TEXT_BYTES = 90_000
    AT_ONCE = 40

    def __init__(self, cluster: Cluster, tenant: Tenant, traffic: Traffic) -> None:
        super().__init__(cluster, tenant)
        self._traffic = traffic
        self.expected = (
            Expected(name="ForebayStreamFillsUp", labels={"stream": "FOREBAY_RETRY_0"}),
        )
        labels = {**self.labels, "destination": "sink"}
        self.beside = (
            Expected(name="ForebayDestinationDown", labels=labels),
            # What is beyond its share.
            Expected(name="ForebayDeadLetters", labels={**labels, "reason": "NoRoom"}),
        )

    @override
    async def begin(self) -> None:
        await self.tenant.sink.answer("items", 503)
        self._traffic.text_bytes = self.TEXT_BYTES
        for _ in range(20):
            await self._traffic.send(self.AT_ONCE)
            if await self._fill() > ALL_FOR_ONE:
                break
        self._traffic.text_bytes = 0

    @override
    async def mend(self) -> None:
        await self.tenant.sink.answer("items", 200)

        async def has_room() -> bool:
            return await self._fill() < 0.5

        await eventually(has_room, within=240, saying="RETRY to be worked off")

    async def _fill(self) -> float:
        """Return how full RETRY is, as the operator shows it."""
        labels = "app.kubernetes.io/component=operator"
        (pod,) = await self.cluster.list("pods", self.tenant.forebay, labels)
        for sample in await self.cluster.samples(pod["metadata"]["name"], self.tenant.forebay):
            is_fill = sample.name == "forebay_stream_fill_ratio"
            if is_fill and sample.labels["stream"] == "FOREBAY_RETRY_0":
                return float(sample.value)
        return 0.0
