"""A proxy between the shared receivers and NATS, as a pod, that can delay what NATS says.

Receivers find it by an alias of the servers' names, so that certificates hold; processors and the
operator go to NATS as ever. Policies of its own let it in where a cluster enforces them:
receivers reach nothing but NATS otherwise.
"""

import json
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from support.cluster.cluster import HOST, Cluster
from support.cluster.python_pod import python_pod
from support.timing.wait import eventually

__all__ = ["SlowNats"]

PROGRAM: Final = """
import asyncio, os
from aiohttp import web
delay = 0.0
async def later(reader, writer):
    loop, waiting = asyncio.get_running_loop(), asyncio.Queue(4096)
    async def read():
        while data := await reader.read(65536):
            await waiting.put((loop.time() + delay, data))
        await waiting.put((0.0, b""))
    async def write():
        while True:
            due, data = await waiting.get()
            if not data:
                return
            await asyncio.sleep(due - loop.time())
            writer.write(data)
            await writer.drain()
    await asyncio.gather(read(), write())
async def at_once(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
async def serve(reader, writer):
    try:
        far_reader, far_writer = await asyncio.open_connection(os.environ["NATS"], 4222)
    except OSError:
        writer.close()
        return
    both = at_once(reader, far_writer), later(far_reader, writer)
    ways = [asyncio.ensure_future(way) for way in both]
    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in ways:
        way.cancel()
    await asyncio.gather(*ways, return_exceptions=True)
    writer.close()
    far_writer.close()
async def learn(request):
    global delay
    delay = float(await request.text())
    return web.Response()
async def start(app):
    await asyncio.start_server(serve, "0.0.0.0", 4222)
app = web.Application()
app.router.add_put("/delay", learn)
app.on_startup.append(start)
web.run_app(app, port=8080, print=None, access_log=None)
"""
"""Runs in the processor's image, which has aiohttp. Delays each piece by itself: the rate stays."""

RECEIVERS: Final = "forebay-receivers"
NAME: Final = "slow-nats"


class SlowNats:
    """A Deployment and a Service in a namespace of the test's."""

    def __init__(self, cluster: Cluster, *, release: str, tenant: str) -> None:
        """Prepare.

        Args:
            cluster: Where.
            release: The release's namespace.
            tenant: Where the proxy runs.
        """
        self._cluster = cluster
        self._release = release
        self._tenant = tenant
        self._port = 0

    async def start(self) -> None:
        """Run it, and have the shared receivers use it."""
        pod = python_pod(
            NAME,
            self._tenant,
            PROGRAM,
            ports={"nats": 4222, "control": 8080},
            ready=4222,
            environment={"NATS": f"forebay-nats.{self._release}.svc"},
        )
        await self._cluster.apply(*pod, *self._policies())
        await self._cluster.wait_rolled("deployment", NAME, self._tenant)
        service = await self._cluster.get("service", NAME, self._tenant)
        self._port = service["spec"]["ports"][1]["nodePort"]
        await eventually(self._answers, within=20, saying="the proxy to answer")
        await self._alias([{"ip": service["spec"]["clusterIP"], "hostnames": await self._names()}])

    def _policies(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what lets receivers reach it, and it reach NATS, beside the release's own."""
        peer = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._tenant}},
            "podSelector": {"matchLabels": {"app": NAME}},
        }
        out = self._policy("receivers", "Egress", {"to": [peer]})
        return out, self._policy("nats", "Ingress", {"from": [peer]})

    def _policy(self, component: str, way: str, rule: dict[str, Any]) -> dict[str, Any]:
        labels = {"app.kubernetes.io/component": component}
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"{NAME}-{component}", "namespace": self._release},
            "spec": {
                "podSelector": {"matchLabels": labels},
                "policyTypes": [way],
                way.lower(): [rule],
            },
        }

    async def stop(self) -> None:
        """Have receivers go to NATS themselves again."""
        await self._alias(None)

    async def delay(self, seconds: float) -> None:
        """Delay what NATS says from now on by so much."""
        timeout = aiohttp.ClientTimeout(total=10)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.put(f"http://{HOST}:{self._port}/delay", data=str(seconds)),
        ):
            return

    async def _answers(self) -> bool:
        try:
            await self.delay(0.0)
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def _names(self) -> list[str]:
        """Return the servers' names as receivers have them in their settings."""
        deployment = await self._cluster.get("deployment", RECEIVERS, self._release)
        environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        (urls,) = (each["value"] for each in environment if each["name"] == "FOREBAY_NATS_URL")
        return [str(urlsplit(url).hostname) for url in urls.split(",")]

    async def _alias(self, aliases: list[dict[str, Any]] | None) -> None:
        patch = json.dumps({"spec": {"template": {"spec": {"hostAliases": aliases}}}})
        what = ("patch", "deployment", RECEIVERS, "-n", self._release)
        await self._cluster.kubectl(*what, "--type=merge", "-p", patch)
        await self._cluster.wait_rolled("deployment", RECEIVERS, self._release)
