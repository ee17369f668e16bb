"""Plays the kubelets of whole pools for many endpoints: one reader for all pods, off the loop.

`pods.PlayedPod` asks the API server at each question, which is right for a test and a load of its
own where a thousand endpoints are waited for. Here the pods are listed twice a second, and tables
are read when an operator touched one of them, as a kubelet would; questions are answered from
memory.
"""

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from support.operator.control_plane import KeptApi

__all__ = ["PlayedPools"]

Json = Any

_ADMIN_PORT: Final = 9090
_POLL_SECONDS: Final = 0.5


class _Pod:
    """One pod and what it has read."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.mark = ""
        self.generations: Mapping[str, str] = {}


class PlayedPools:
    """Pods of shared pools that are ready: `add` makes them, then `playing` lets them read."""

    def __init__(self, api: KeptApi, namespace: str, owner: str) -> None:
        """Prepare.

        Args:
            api: A connection that nobody else uses.
            namespace: Where pods and tables are.
            owner: The installation's name, which tables are labelled with.
        """
        self._api = api
        self._namespace = namespace
        self._owner = owner
        self._pods: list[_Pod] = []
        self._servers: list[web.AppRunner] = []

    async def add(self, pool: str, number: int) -> None:
        """Make a pod of a pool, and make it ready."""
        network = 16 + os.getpid() % 224
        pod = _Pod(f"{pool}-{number}", f"127.{network}.{200 + len(pool)}.{number + 1}")
        app = web.Application()

        async def routes(_: web.Request) -> web.Response:
            return web.json_response({"generations": dict(pod.generations), "warnings": []})

        async def nothing(_: web.Request) -> web.Response:
            return web.json_response({"open": [], "parked": []})

        app.add_routes(
            [
                web.get("/routes", routes),
                web.get("/breakers", nothing),
                web.get("/parked", nothing),
            ]
        )
        server = web.AppRunner(app, access_log=None)
        await server.setup()
        await web.TCPSite(server, pod.address, _ADMIN_PORT).start()
        self._servers.append(server)
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        spec = {"containers": [{"name": "part", "image": "played"}]}
        metadata = {"name": pod.name, "labels": {"pool": pool}}
        await asyncio.to_thread(self._api.create, path, {"metadata": metadata, "spec": spec})
        status = {
            "phase": "Running",
            "podIP": pod.address,
            "podIPs": [{"ip": pod.address}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await asyncio.to_thread(self._api.merge, f"{path}/{pod.name}/status", {"status": status})
        self._pods.append(pod)

    @contextlib.asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """Read tables when they are touched, until the end of the block."""
        reading = asyncio.create_task(self._play(), name="kubelets")
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            for server in self._servers:
                await server.cleanup()

    async def _play(self) -> None:
        while True:
            marks = await asyncio.to_thread(self._marks)
            touched = [pod for pod in self._pods if marks.get(pod.name, "") != pod.mark]
            if touched:
                generations = await asyncio.to_thread(self._tables)
                for pod in touched:
                    pod.mark, pod.generations = marks[pod.name], generations
            await asyncio.sleep(_POLL_SECONDS)

    def _marks(self) -> dict[str, str]:
        path = f"/api/v1/namespaces/{self._namespace}/pods"
        return {
            each["metadata"]["name"]: (each["metadata"].get("annotations") or {}).get(
                "forebay.dev/tables", ""
            )
            for each in self._api.items(path)
        }

    def _tables(self) -> dict[str, str]:
        found = {}
        selector = quote(f"forebay.dev/operator={self._owner},app.kubernetes.io/component=table")
        path = f"/api/v1/namespaces/{self._namespace}/secrets?labelSelector={selector}"
        for secret in self._api.items(path):
            for file, data in (secret.get("data") or {}).items():
                found[file] = json.loads(base64.b64decode(data))["generation"]
        return found
