"""The admin port: probes, metrics, and what a person asks. FastAPI; reached by no route."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import FastAPI, Header, Response
from pydantic import BaseModel, Field

import forebay
from forebay.runtime.metrics import Exposition
from forebay_receiver.services.readiness import ReceiverStatus

__all__ = ["Load", "Probe", "RouteList", "admin_application"]


class Probe(BaseModel):
    """Whether the process lives, or is ready."""

    ok: bool
    waiting_for: list[str] = []
    """What is missing; empty when all is well."""

    warnings: list[str] = []
    """What somebody should fix though the process is ready."""


class RouteList(BaseModel):
    """Which endpoints are served, by name only."""

    generations: dict[str, str]
    """The generation in force of each table file."""

    endpoints: list[str]
    """`namespace/name`."""

    warnings: list[str]
    """What somebody should fix, as `/readyz` says it."""


class Load(BaseModel):
    """How much is going on at this moment; the autoscaler sums it over the pods."""

    in_flight: Annotated[int, Field(description="Webhooks being stored.")]
    in_flight_bytes: Annotated[int, Field(description="Bytes of bodies being read or stored.")]


def admin_application(
    status: ReceiverStatus, exposition: Callable[[str], Awaitable[Exposition]]
) -> FastAPI:
    """Return the application of the admin port.

    Args:
        status: How the receiver is.
        exposition: Returns what `/metrics` shows, by the request's `Accept`.
    """
    app = FastAPI(title="Forebay receiver", version=forebay.__version__)

    @app.get("/livez")
    async def livez() -> Probe:
        """Say that the process lives; never depends on NATS."""
        return Probe(ok=True)

    @app.get("/readyz", responses={503: {"model": Probe}})
    async def readyz(response: Response) -> Probe:
        """Say whether webhooks can be stored, and if not, what is missing."""
        waiting = status.waiting_for()
        if waiting:
            response.status_code = 503
        return Probe(ok=not waiting, waiting_for=waiting, warnings=status.warnings())

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics(accept: Annotated[str, Header()] = "") -> Response:
        """Return all metrics in Prometheus' text format, or OpenMetrics' where there are traces."""
        shown = await exposition(accept)
        return Response(shown.content, media_type=shown.content_type)

    @app.get("/routes")
    async def routes() -> RouteList:
        """List the endpoints that are served, and the generations of the tables."""
        return RouteList(
            generations=status.generations(),
            endpoints=status.endpoints(),
            warnings=status.warnings(),
        )

    @app.get("/load")
    async def load() -> Load:
        """Say how much is in flight."""
        return Load(in_flight=status.in_flight, in_flight_bytes=status.in_flight_bytes)

    return app
