"""The admin port: probes and metrics. aiohttp's server, since its client is there already."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest

__all__ = ["admin_application"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def admin_application(
    waiting_for: Callable[[], list[str]],
    generations: Callable[[], dict[str, str]],
    load: Callable[[], dict[str, object]],
    open_breakers: Callable[[], list[dict[str, str | int]]],
    registry: CollectorRegistry,
) -> web.Application:
    """Return the application of the admin port.

    Args:
        waiting_for: What keeps the processor from being ready, in words; empty when it is.
        generations: The generation in force of each table file.
        load: What the processor owns and what waits there.
        open_breakers: What there is to know of each destination that nothing is sent to.
        registry: Where the metrics are.
    """

    async def livez(_: web.Request) -> web.Response:  # aiohttp awaits handlers
        return web.json_response({"ok": True, "waiting_for": []})

    async def readyz(_: web.Request) -> web.Response:
        waiting = waiting_for()
        status = 503 if waiting else 200
        return web.json_response({"ok": not waiting, "waiting_for": waiting}, status=status)

    async def metrics(_: web.Request) -> web.Response:
        body = generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": METRICS_TYPE})

    async def routes(_: web.Request) -> web.Response:
        return web.json_response({"generations": generations()})

    async def loaded(_: web.Request) -> web.Response:
        return web.json_response(load())

    async def breakers(_: web.Request) -> web.Response:
        return web.json_response({"open": open_breakers()})

    app = web.Application()
    app.add_routes(
        [
            web.get("/livez", livez),
            web.get("/readyz", readyz),
            web.get("/metrics", metrics),
            web.get("/routes", routes),
            web.get("/load", loaded),
            web.get("/breakers", breakers),
        ]
    )
    return app
