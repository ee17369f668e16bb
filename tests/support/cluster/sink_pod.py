"""A destination that runs as a pod: counts each item by its key, and answers as it is told.

What is no item, such as a notification of Alertmanager, is counted by its path.
"""

import json
from collections.abc import Set as AbstractSet
from typing import Any, Final

import aiohttp

from support.cluster.cluster import HOST, Cluster
from support.cluster.python_pod import python_pod
from support.timing.wait import eventually

__all__ = ["PROGRAM", "SinkPod"]

PROGRAM: Final = """
import asyncio, collections
from aiohttp import web
arrivals = collections.Counter()
answers = {}
async def take(request):
    await request.read()
    status, seconds = answers.get(request.path, (200, 0))
    if status == 0:
        await asyncio.sleep(3600)
    await asyncio.sleep(seconds)
    if status == 200:
        arrivals[request.headers.get("webhook-id", request.path)] += 1
    return web.Response(status=status)
async def learn(request):
    status, seconds = (await request.text()).split()
    answers["/" + request.match_info["path"]] = int(status), float(seconds)
    return web.Response()
async def show(request):
    return web.json_response(arrivals)
app = web.Application(client_max_size=8 << 20)
app.add_routes([web.post("/{path:.*}", take), web.put("/{path:.*}", learn)])
app.add_routes([web.get("/arrivals", show)])
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
        return self.path("items")

    def path(self, name: str) -> str:
        """Return the URL of a path, each of which can answer otherwise."""
        return f"http://sink.{self._namespace}.svc:8080/{name}"

    async def start(self) -> None:
        """Run it and wait until it answers."""
        pod = python_pod("sink", self._namespace, PROGRAM, ports={"items": 8080}, ready=8080)
        await self._cluster.apply(*pod)
        await self._cluster.wait_rolled("deployment", "sink", self._namespace)
        service = await self._cluster.get("service", "sink", self._namespace)
        self._port = service["spec"]["ports"][0]["nodePort"]
        # A new port is there a moment after its Service.
        await eventually(self._answers, within=20, saying="the sink to answer")

    async def _answers(self) -> bool:
        try:
            await self.arrivals()
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def answer(self, path: str, status: int, *, seconds: float = 0.0) -> None:
        """Have a path answer so from now on; what is not answered 200 is not counted.

        Args:
            path: Its name.
            status: What it answers; 0 for nothing at all.
            seconds: How long each answer takes.
        """
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.put(f"http://{HOST}:{self._port}/{path}", data=f"{status} {seconds}"),
        ):
            return

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

    async def wait_keys(self, keys: AbstractSet[str], *, within: float = 60.0) -> None:
        """Wait until each of these items has arrived, and say which have not where they do not."""

        async def look() -> bool:
            return not keys - (await self.arrivals()).keys()

        try:
            await eventually(look, within=within)
        except AssertionError as error:
            missing = keys - (await self.arrivals()).keys()
            message = f"{len(missing)} of {len(keys)} items did not arrive: {sorted(missing)[:5]}"
            raise AssertionError(message) from error
