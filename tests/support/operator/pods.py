"""Plays the kubelet: pods that are ready, read the tables they mount, and say so on port 9090.

Each pod has an address of its own on the loopback interface. It reads the Secrets at the moment in
which its annotation changes, as a kubelet does: without the operator's touch it never sees more.
"""

import base64
import json
import os
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from support.operator.operator_process import Forebay
from support.timing.wait import eventually

__all__ = ["PlayedPod"]

_ADMIN_PORT = 9090
_OWN_NETWORK = 16 + os.getpid() % 224
"""Of this process: another one on this machine may play pods, too."""

_next_address = iter(range(1, 60000))


class PlayedPod:
    """One pod, as the API server and the operator see it."""

    def __init__(self, forebay: Forebay, name: str, labels: Mapping[str, str]) -> None:
        """Prepare a pod with labels; `start` makes it."""
        number = next(_next_address)
        self.address = f"127.{_OWN_NETWORK}.{number // 250}.{number % 250 + 1}"
        self.name = name
        self.is_slow = False
        """Whether it does not read what changed."""

        self.warnings: list[str] = []
        """What it says that somebody should mend."""

        self.breakers: list[dict[str, str | int]] = []
        """The open ones, as a processor shows them."""

        self.parked: list[dict[str, str | int | float]] = []
        """What waits in RETRY, as a processor shows it."""

        self.asked = 0
        """How often it was asked for breakers."""

        self.asked_for_routes = 0
        """How often it was asked which tables it has."""

        self._forebay = forebay
        self._labels = dict(labels)
        self._generations: dict[str, str] = {}
        self._mark: str | None = ""
        self._server: web.AppRunner | None = None

    async def start(self) -> None:
        """Make the pod, serve its admin port, and make it ready."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/routes", self._routes),
                web.get("/breakers", self._show_breakers),
                web.get("/parked", self._show_parked),
            ]
        )
        self._server = web.AppRunner(app, access_log=None)
        await self._server.setup()
        await web.TCPSite(self._server, self.address, _ADMIN_PORT).start()
        namespace = self._forebay.namespace
        path = self._forebay.path("pods", "", namespace).rstrip("/")
        self._forebay.api.create(
            path,
            {
                "metadata": {"name": self.name, "labels": self._labels},
                "spec": {"containers": [{"name": "part", "image": "played"}]},
            },
        )
        ready = {
            "status": {
                "phase": "Running",
                "podIP": self.address,
                "podIPs": [{"ip": self.address}],
                "conditions": [{"type": "Ready", "status": "True"}],
            }
        }
        answer = self._forebay.api.merge(f"{path}/{self.name}/status", ready)
        assert answer.status == 200, answer

    async def stop(self) -> None:
        """Remove the pod."""
        path = self._forebay.path("pods", self.name)
        self._forebay.api.ask("DELETE", path, {"gracePeriodSeconds": 0})
        if self._server is not None:
            await self._server.cleanup()

    async def looked_at_again(self) -> None:
        """Wait until the operator asked twice more which tables this pod has.

        The first may have been on its way before; after the second, whatever the operator would do
        without waiting for this pod is done.
        """
        before = self.asked_for_routes
        await eventually(
            lambda: self.asked_for_routes >= before + 2,
            within=20,
            saying="the operator to ask the pod again",
        )

    async def _routes(self, _: web.Request) -> web.Response:
        self.asked_for_routes += 1
        pod: Any = self._forebay.api.get(self._forebay.path("pods", self.name)) or {}
        annotations = pod.get("metadata", {}).get("annotations") or {}
        mark = annotations.get("forebay.dev/tables")
        if mark != self._mark and not self.is_slow:
            self._mark = mark
            self._generations = self._read()
        page = {"generations": self._generations, "endpoints": [], "warnings": self.warnings}
        return web.json_response(page)

    async def _show_breakers(self, _: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"open": self.breakers})

    async def _show_parked(self, _: web.Request) -> web.Response:
        return web.json_response({"parked": self.parked})

    def _read(self) -> dict[str, str]:
        found = {}
        for secret in self._forebay.objects("secrets"):
            labels = secret["metadata"]["labels"]
            own = labels.get("forebay.dev/endpoint-name")
            if own != self._labels.get("forebay.dev/endpoint-name"):
                continue
            for file, data in (secret.get("data") or {}).items():
                found[file] = json.loads(base64.b64decode(data))["generation"]
        return found
