"""The admin port: probes and metrics. aiohttp's server, since its client is there already."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from forebay.runtime.metrics import CONTENT_TYPE

__all__ = ["admin_application"]


def admin_application(
    waiting_for: Callable[[], list[str]],
    generations: Callable[[], dict[str, str]],
    load: Callable[[], dict[str, object]],
    open_breakers: Callable[[], list[dict[str, str | int]]],
    exposition: Callable[[], Awaitable[bytes]],
) -> web.Application:
    """Return the application of the admin port.

    Args:
        waiting_for: What keeps the processor from being ready, in words; empty when it is.
        generations: The generation in force of each table file.
        load: What the processor owns and what waits there.
        open_breakers: What there is to know of each destination that nothing is sent to.
        exposition: Returns what `/metrics` shows.
    """

    async def livez(_: web.Request) -> web.Response:  # aiohttp awaits handlers
        return web.json_response({"ok": True, "waiting_for": []})

    async def readyz(_: web.Request) -> web.Response:
        waiting = waiting_for()
        status = 503 if waiting else 200
        return web.json_response({"ok": not waiting, "waiting_for": waiting}, status=status)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await exposition(), headers={"Content-Type": CONTENT_TYPE})

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
