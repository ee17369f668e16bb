"""A destination that runs as a pod: counts each item by its key, and says so."""

import json
from typing import Any, Final

import aiohttp
import yaml

from support.cluster import HOST, VALUES, Cluster
from support.wait import eventually

__all__ = ["PROGRAM", "SinkPod"]

PROGRAM: Final = """
import collections, os
from aiohttp import web
arrivals = collections.Counter()
async def take(request):
    await request.read()
    arrivals[request.headers["webhook-id"]] += 1
    return web.Response()
async def tell(request):
    return web.json_response(arrivals)
app = web.Application(client_max_size=8 << 20)
app.add_routes([web.post("/{path:.*}", take), web.get("/arrivals", tell)])
web.run_app(app, port=8080, print=None, access_log=None)
"""
"""Runs in the processor's image, which has aiohttp."""


class SinkPod:
    """A Deployment and a Service called `sink` in a namespace of the test's."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Prepare; it runs after `start`."""
        self._cluster = cluster
        self._namespace = namespace
        self._port = 0

    @property
    def url(self) -> str:
        """Where processors deliver to."""
        return f"http://sink.{self._namespace}.svc:8080/items"

    async def start(self) -> None:
        """Run it and wait until it answers."""
        image = yaml.safe_load(VALUES.read_text())["image"]
        labels = {"app": "sink"}
        metadata = {"name": "sink", "namespace": self._namespace, "labels": labels}
        container = {
            "name": "sink",
            "image": f"{image['registry']}/forebay-processor:{image['tag']}",
            "command": ["python", "-c", PROGRAM],
            "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        }
        await self._cluster.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
                    },
                },
            },
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 8080}]},
            },
        )
        await self._cluster.wait_rolled("deployment", "sink", self._namespace)
        service = await self._cluster.get("service", "sink", self._namespace)
        self._port = service["spec"]["ports"][0]["nodePort"]

    async def arrivals(self) -> dict[str, int]:
        """Return how often each key arrived."""
        address = f"http://{HOST}:{self._port}/arrivals"
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(address) as answer,
        ):
            found: dict[str, int] = json.loads(await answer.text())
            return found

    async def wait_for(self, count: int, *, within: float = 30.0) -> dict[str, int]:
        """Wait until this many different items have arrived, and return them."""

        async def look() -> dict[str, int] | None:
            found = await self.arrivals()
            return found if len(found) >= count else None

        found: Any = await eventually(look, within=within, saying=f"{count} items at the sink")
        assert isinstance(found, dict)
        return found
