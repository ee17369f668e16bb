"""What a team would write: a FastAPI route that awaits `js.publish` and answers 200.

No signature, no limits, no deadline, no lanes, no metrics: it has less to do than the receiver.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
from fastapi import FastAPI, Request
from starlette.datastructures import State

__all__ = ["STREAM", "SUBJECTS", "application"]

STREAM = "PLAIN"
SUBJECTS = "plain.>"


@asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    client = await nats.connect(os.environ["BENCH_NATS_URL"])
    state: State = app.state
    state.stream = client.jetstream()
    yield
    await client.close()


application = FastAPI(lifespan=_connected)


@application.post("/v1/webhooks/{namespace}/{name}")
async def take(namespace: str, name: str, request: Request) -> None:
    """Store a webhook."""
    await request.app.state.stream.publish(f"plain.{namespace}.{name}", await request.body())
