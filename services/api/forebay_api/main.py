"""Starts the API, and ends it: settings, tokens, NATS, two ports, SIGTERM."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import structlog
import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from forebay.runtime.event_loop import PartLoop
from forebay.runtime.logging import configure_logging, log_loop_errors
from forebay.runtime.periodic import periodically
from forebay.runtime.process_start import listen
from forebay.runtime.settings import LogSettings, NatsSettings, load_settings
from forebay_api.adapters.connection import ApiConnection
from forebay_api.adapters.token_files import TokenFiles
from forebay_api.handlers.admin import admin_application
from forebay_api.handlers.application import api_application
from forebay_api.metrics import ApiMetrics
from forebay_api.services.access import Access
from forebay_api.services.tenant_reader import TenantReader
from forebay_api.settings import ApiSettings, ApiShards

__all__ = ["run"]

_log = structlog.get_logger(__name__)

MOST_CONNECTIONS = 256
"""At one time; a further one is answered 503 by the server."""

HEAD_BYTES = 32 * 1024
"""Of a request: nothing is read but its head."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to `run`: two of them share this process."""

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Iterator[None]:
        yield


def run() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigurationError: where a setting cannot be used or a port is taken.
    """
    log_settings = load_settings(LogSettings)
    settings, shards = load_settings(ApiSettings), load_settings(ApiShards).shards
    nats = load_settings(NatsSettings).of_part("api")
    configure_logging(log_settings, part="api")
    # A line for each stranger's malformed request would let strangers fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    with (
        listen(settings.host, settings.port, "FOREBAY_API_PORT") as public,
        listen(settings.admin_host, settings.admin_port, "FOREBAY_API_ADMIN_PORT") as admin,
        asyncio.Runner(loop_factory=PartLoop) as runner,
    ):
        runner.run(_serve(settings, shards, nats, public, admin))
    return 0


async def _serve(
    settings: ApiSettings,
    shards: tuple[str, ...],
    nats: NatsSettings,
    public: socket.socket,
    admin: socket.socket,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    log_loop_errors(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = ApiMetrics()
    link, files = ApiConnection(nats), TokenFiles(settings.token_dir)
    files.refresh()
    access = Access(
        lambda: files.tokens,
        _now,
        each=settings.requests_per_token,
        every=settings.requests,
    )
    reading = TenantReader(lambda: link.client, shards, _now)

    def waiting_for() -> list[str]:
        if stop.is_set():
            return ["it is ending"]
        return [] if link.is_connected else ["NATS"]

    servers = [
        _Server(_config(api_application(access, reading, settings.request_seconds, metrics))),
        _Server(_config(admin_application(waiting_for, metrics.exposition))),
    ]
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(link.run(), name="nats"),
            group.create_task(
                periodically(files.refresh, settings.token_poll_seconds), name="tokens"
            ),
            group.create_task(metrics.measure_lag(), name="lag"),
        ]
        serving = [
            group.create_task(server.serve(sockets=[listener]), name=name)
            for server, listener, name in zip(
                servers, (public, admin), ("api", "admin"), strict=True
            )
        ]
        _log.info("api_started", port=public.getsockname()[1], tokens=len(files.tokens))
        await stop.wait()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
        for task in background:
            task.cancel()
    _log.info("api_stopped")


def _now() -> datetime:
    return datetime.now(UTC)


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        h11_max_incomplete_event_size=HEAD_BYTES,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=25,
    )
