"""The admin port of a part that has aiohttp: probes, metrics, and pages of its own.

For the processor and the operator; reached by no route. The receiver has neither aiohttp nor this:
its pages are FastAPI's, on the server that takes webhooks.
"""

import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from forebay.runtime.metrics import Exposition

__all__ = ["admin_application", "serve_admin"]


def admin_application(
    waiting_for: Callable[[], list[str]],
    exposition: Callable[[str], Awaitable[Exposition]],
    pages: Mapping[str, Callable[[], object]] | None = None,
    stuck: Callable[[], list[str]] = list,
) -> web.Application:
    """Return the application of an admin port.

    Args:
        waiting_for: What keeps the part from being ready, in words; empty when it is.
        exposition: Returns what `/metrics` shows, by the request's `Accept`.
        pages: Further paths, and what each shows as JSON.
        stuck: Why the process should be restarted, in words; empty while it works.
    """

    async def livez(_: web.Request) -> web.Response:  # aiohttp awaits handlers
        found = stuck()
        status = 503 if found else 200
        return web.json_response({"ok": not found, "waiting_for": found}, status=status)

    async def readyz(_: web.Request) -> web.Response:
        waiting = waiting_for()
        status = 503 if waiting else 200
        return web.json_response({"ok": not waiting, "waiting_for": waiting}, status=status)

    async def metrics(request: web.Request) -> web.Response:
        shown = await exposition(request.headers.get("Accept", ""))
        return web.Response(body=shown.content, headers={"Content-Type": shown.content_type})

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    app.add_routes([web.get(path, _page(content)) for path, content in (pages or {}).items()])
    return app


def _page(content: Callable[[], object]) -> Handler:
    async def page(_: web.Request) -> web.Response:  # aiohttp awaits handlers
        return web.json_response(content())

    return page


@contextlib.asynccontextmanager
async def serve_admin(app: web.Application, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a socket that listens, until the end of the block."""
    server = web.AppRunner(app, access_log=None)
    await server.setup()
    await web.SockSite(server, listener).start()
    try:
        yield
    finally:
        await server.cleanup()
