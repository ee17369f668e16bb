"""One tenant of a cluster: a namespace with endpoints, their Secrets and a sink."""

import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

from support.cluster.cluster import HOST, Cluster
from support.cluster.sink_pod import SinkPod
from support.inputs.traffic import Traffic

__all__ = ["SECRET", "Tenant"]

SECRET: Final = "example-app-secret"  # made up

Document = dict[str, Any]


class Tenant:
    """A namespace, and what a person would do in it."""

    def __init__(self, cluster: Cluster, forebay: str, namespace: str) -> None:
        """Prepare; the namespace is made by `start`.

        Args:
            cluster: Where.
            forebay: The namespace of the release.
            namespace: The tenant's own.
        """
        self.cluster = cluster
        self.forebay = forebay
        self.namespace = namespace
        self.sink = SinkPod(cluster, namespace)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, cluster: Cluster, forebay: str) -> AsyncIterator["Tenant"]:
        """Give a tenant in a new namespace, and remove it at the end."""
        own = cls(cluster, forebay, f"e2e-{secrets.token_hex(4)}")
        await own.start()
        yield own
        await own.stop()

    async def start(self) -> None:
        """Make the namespace and the sink."""
        await self.cluster.namespace(self.namespace, {"forebay.dev/e2e": "true"})
        await self.sink.start()

    async def stop(self) -> None:
        """Remove the endpoints and the namespace."""
        arguments = ("delete", "webhookendpoints", "--all", "-n", self.namespace)
        await self.cluster.kubectl(*arguments, within=90)
        await self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def secret(self, name: str = "meta", **values: str) -> Document:
        """Return a Secret of the tenant's."""
        metadata = {"name": name, "namespace": self.namespace}
        data = {
            "app-secret": SECRET,
            **{key.replace("_", "-"): each for key, each in values.items()},
        }
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}

    def endpoint(
        self,
        name: str = "meta",
        *,
        isolation: str = "Shared",
        keys: tuple[str, ...] = ("app-secret",),
        secret: str = "meta",
        **spec: object,
    ) -> Document:
        """Return an endpoint that delivers to the sink."""
        sources = [{"secretKeyRef": {"name": secret, "key": key}} for key in keys]
        return {
            "apiVersion": "forebay.dev/v1alpha1",
            "kind": "WebhookEndpoint",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "provider": "meta",
                "authentication": {"signature": {"secrets": sources}},
                "receiver": {"isolation": isolation},
                "destinations": [{"name": "sink", "http": {"url": self.sink.url}}],
                **spec,
            },
        }

    def labels(self, name: str) -> str:
        """Return the selector of what the operator makes for an endpoint."""
        return f"forebay.dev/endpoint-namespace={self.namespace},forebay.dev/endpoint-name={name}"

    async def traffic(self, name: str = "meta", *, shared: bool = True) -> Traffic:
        """Return a provider that sends to an endpoint, through a NodePort."""
        service = "forebay-receivers" if shared else await self._node_port(name)
        found = await self.cluster.get("service", service, self.forebay)
        port = found["spec"]["ports"][0]["nodePort"]
        result = Traffic(f"http://{HOST}:{port}/v1/webhooks/{self.namespace}/{name}", SECRET)
        await result.reached()
        return result

    async def refusals(self, name: str, *, shared: bool = False) -> dict[str, int]:
        """Return how many webhooks of an endpoint its receivers refused, by reason."""
        found: Counter[str] = Counter()
        whose = "app.kubernetes.io/component=receivers" if shared else self.labels(name)
        for pod in await self.cluster.list("pods", self.forebay, whose):
            for sample in await self.cluster.samples(pod["metadata"]["name"], self.forebay):
                own = (sample.labels.get("namespace"), sample.labels.get("endpoint"))
                is_refusal = sample.name == "forebay_receiver_refused_total"
                if is_refusal and own == (self.namespace, name):
                    found[sample.labels["reason"]] += int(sample.value)
        return {reason: count for reason, count in found.items() if count}

    async def _node_port(self, name: str) -> str:
        """Make a NodePort beside a Dedicated endpoint's own Service; no operator knows it."""
        # Where KEDA is there is one for operators beside it.
        labels = f"{self.labels(name)},app.kubernetes.io/component=dedicated-receiver"
        (service,) = await self.cluster.list("service", self.forebay, labels)
        own = f"{self.namespace}-{name}"
        await self.cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": own, "namespace": self.forebay},
                "spec": {
                    "type": "NodePort",
                    "selector": service["spec"]["selector"],
                    "ports": [{"port": 8080, "targetPort": 8080}],
                },
            }
        )
        return own
