"""The admin port: probes and metrics; reached by no route."""

from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

__all__ = ["admin_application"]

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def admin_application(
    waiting_for: Callable[[], list[str]], registry: CollectorRegistry
) -> web.Application:
    """Return the application of the admin port.

    Args:
        waiting_for: What keeps the operator from being ready, in words; empty when it is.
        registry: Where the metrics are.
    """

    async def livez(_: web.Request) -> web.Response:  # aiohttp awaits handlers
        return web.json_response({"ok": True, "waiting_for": []})

    async def readyz(_: web.Request) -> web.Response:
        waiting = waiting_for()
        status = 503 if waiting else 200
        return web.json_response({"ok": not waiting, "waiting_for": waiting}, status=status)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": METRICS_TYPE})

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return app
