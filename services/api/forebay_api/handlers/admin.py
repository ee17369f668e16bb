"""The admin port: probes and metrics. Reached by no route."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import FastAPI, Header, Response
from pydantic import BaseModel

import forebay
from forebay.runtime.metrics import Exposition

__all__ = ["ApiProbe", "admin_application"]


class ApiProbe(BaseModel):
    """Whether the process lives, or is ready."""

    ok: bool
    waiting_for: list[str] = []
    """What is missing; empty when all is well."""


def admin_application(
    waiting_for: Callable[[], list[str]], exposition: Callable[[str], Awaitable[Exposition]]
) -> FastAPI:
    """Return the application of the admin port.

    Args:
        waiting_for: Says what is missing, in words.
        exposition: Returns what `/metrics` shows, by the request's `Accept`.
    """
    app = FastAPI(title="Forebay API's port for operators", version=forebay.__version__)

    @app.get("/livez")
    async def livez() -> ApiProbe:
        """Say that the process lives; never depends on NATS."""
        return ApiProbe(ok=True)

    @app.get("/readyz", responses={503: {"model": ApiProbe}})
    async def readyz(response: Response) -> ApiProbe:
        """Say whether requests can be answered, and if not, what is missing."""
        waiting = waiting_for()
        if waiting:
            response.status_code = 503
        return ApiProbe(ok=not waiting, waiting_for=waiting)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics(accept: Annotated[str, Header()] = "") -> Response:
        """Return all metrics in Prometheus' text format."""
        shown = await exposition(accept)
        return Response(shown.content, media_type=shown.content_type)

    return app
