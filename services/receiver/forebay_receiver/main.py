"""Starts a receiver, and ends it: settings, table, NATS, two ports, SIGTERM."""

import asyncio
import contextlib
import logging
import math
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Literal

import structlog
import uvicorn
from typing_extensions import override

from forebay.core.tables import ReceiverTable
from forebay.runtime.event_loop import PartLoop
from forebay.runtime.log_once import LATE_SECONDS
from forebay.runtime.logging import configure_logging, log_loop_errors
from forebay.runtime.periodic import periodically
from forebay.runtime.process_start import LISTEN_BACKLOG, listen, settle_garbage_collector
from forebay.runtime.settings import LogSettings, NatsSettings, PartSettings, load_settings
from forebay.runtime.start_tracing import start_tracing
from forebay.runtime.table_files import TableFiles
from forebay.runtime.tracing import Tracer, TraceSettings
from forebay_receiver.adapters.store import JetStreamStore
from forebay_receiver.handlers.shared_connection_state import ConnectionRules
from forebay_receiver.handlers.uvicorn_adapter import protocol_factory
from forebay_receiver.metrics import ReceiverMetrics
from forebay_receiver.policies.proxy_certificate_header import proxy_of
from forebay_receiver.services.intake import Intake
from forebay_receiver.services.readiness import ReceiverStatus
from forebay_receiver.services.request_traces import RequestTraces
from forebay_receiver.services.routes import Routes
from forebay_receiver.settings import ReceiverSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["run"]

_log = structlog.get_logger(__name__)

FILES_BESIDE = 384
"""Open files that are no webhook's connection: NATS, the admin port, the log, the tables, and the
connections above the limit that are being answered."""


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
    settings = load_settings(ReceiverSettings)
    part = load_settings(PartSettings)
    nats = load_settings(NatsSettings).of_part("receiver")
    traces = load_settings(TraceSettings)
    configure_logging(log_settings, part="receiver")
    # A line for each stranger's malformed request would let strangers fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    with (
        listen(settings.host, settings.port, "FOREBAY_RECEIVER_PORT") as webhooks,
        listen(settings.admin_host, settings.admin_port, "FOREBAY_RECEIVER_ADMIN_PORT") as admin,
        asyncio.Runner(loop_factory=PartLoop) as runner,
    ):
        tracer = start_tracing("receiver", traces)
        runner.run(_serve(settings, part, nats, webhooks, admin, tracer))
    return 0


async def _serve(
    settings: ReceiverSettings,
    part: PartSettings,
    nats: NatsSettings,
    webhooks: socket.socket,
    admin: socket.socket,
    tracer: Tracer | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    log_loop_errors(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = ReceiverMetrics(pool="receiver")
    routes = Routes(metrics, settings, proxy_of(settings))
    tables = TableFiles(part.table_dir, ReceiverTable, routes.replace, part.table_poll_seconds)
    tables.refresh()
    store = JetStreamStore(nats, part.shards, metrics, max_body_bytes=settings.max_body_bytes)
    request_traces = None
    if tracer is not None:
        request_traces = RequestTraces(tracer, metrics)
        metrics.follow_spans(tracer.counts)
    intake = Intake(settings, routes, store, metrics, request_traces)
    rules = ConnectionRules(intake, settings, _connections_allowed(settings))
    status = ReceiverStatus(intake, routes, tables, store, metrics, lambda: rules.connections)
    public = _Server(_config(_no_application, protocol_factory(rules), settings))
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(store.run(), name="nats"),
            group.create_task(store.probe(), name="probe"),
            group.create_task(tables.follow(routes.replace_in_slices), name="tables"),
            group.create_task(metrics.run(), name="metrics"),
            group.create_task(periodically(intake.refusals.settle, LATE_SECONDS), name="log"),
        ]
        serving = group.create_task(public.serve(sockets=[webhooks]), name="webhooks")
        # FastAPI is half of what a start takes, and webhooks need none of it: it is imported in a
        # thread while they are served. Who asks for readiness waits in the port's queue.
        application = await asyncio.to_thread(_admin_application, status, metrics)
        private = _Server(_config(application, "httptools", settings))
        settle_garbage_collector()
        admin_serving = group.create_task(private.serve(sockets=[admin]), name="admin")
        _log.info("receiver_started", port=webhooks.getsockname()[1], endpoints=len(routes))
        await stop.wait()
        _log.info("receiver_draining", seconds=settings.drain_seconds)
        status.is_stopping = rules.is_draining = True
        await asyncio.sleep(settings.drain_seconds)
        public.should_exit = True
        await serving
        private.should_exit = True
        await admin_serving
        for task in background:
            task.cancel()
    if tracer is not None:
        await tracer.close()
    intake.refusals.settle(everything=True)
    _log.info("receiver_stopped")


async def _no_application(_scope: object, _receive: object, _send: object) -> None:
    """Stand for the application that uvicorn wants to know: the protocol asks none."""


def _admin_application(status: ReceiverStatus, metrics: ReceiverMetrics) -> "FastAPI":
    from forebay_receiver.handlers.admin import admin_application  # noqa: PLC0415  # see the caller

    return admin_application(status, metrics.exposition)


def _connections_allowed(settings: ReceiverSettings) -> int:
    """Return how many connections there may be: as set, or as many as files may be open.

    Raises this process's own limit (`ulimit -n`) first, as far as it may.
    """
    wanted = settings.max_connections + FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted and (hard == resource.RLIM_INFINITY or soft < hard):
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= wanted:
        return settings.max_connections
    allowed = max(1, soft - FILES_BESIDE)
    _log.warning("connections_limited", wanted=settings.max_connections, allowed=allowed)
    return allowed


def _config(
    app: "FastAPI | Callable[..., Awaitable[None]]",
    http: type[asyncio.Protocol] | Literal["httptools"],
    settings: ReceiverSettings,
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=math.ceil(settings.idle_seconds),
        timeout_graceful_shutdown=5,
        backlog=LISTEN_BACKLOG,
    )
