"""`/scaling/processors` on the admin port: what scalers follow. No answer is an error, never 0."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from forebay_operator.models.pod_reports import Deliverable

__all__ = ["add_scaling"]


def add_scaling(
    app: web.Application, processors: Callable[[], Awaitable[Deliverable | None]]
) -> None:
    """Serve the figures of the processors; another pool is not found.

    Args:
        app: The admin port's.
        processors: Returns what waits there; None where it is not known.
    """

    async def page(_: web.Request) -> web.Response:
        found = await processors()
        if found is None:
            text = "no processor is ready, or one did not say what waits there"
            return web.json_response({"error": text}, status=503)
        return web.json_response(found._asdict())

    app.add_routes([web.get("/scaling/processors", page)])
