"""The admin port: probes and metrics; reached by no route."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from forebay.runtime.metrics import CONTENT_TYPE

__all__ = ["admin_application"]


def admin_application(
    waiting_for: Callable[[], list[str]], exposition: Callable[[], Awaitable[bytes]]
) -> web.Application:
    """Return the application of the admin port.

    Args:
        waiting_for: What keeps the operator from being ready, in words; empty when it is.
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

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return app
