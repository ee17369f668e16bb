"""The admin port: probes. Reached by no route."""

from collections.abc import Callable

from fastapi import FastAPI, Response
from pydantic import BaseModel

import forebay

__all__ = ["ApiProbe", "probes"]


class ApiProbe(BaseModel):
    """Whether the process lives, or is ready."""

    ok: bool
    waiting_for: list[str] = []
    """What is missing; empty when all is well."""


def probes(waiting_for: Callable[[], list[str]]) -> FastAPI:
    """Return the application of the admin port; `waiting_for` says what is missing, in words."""
    app = FastAPI(title="Forebay API's probes", version=forebay.__version__)

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

    return app
