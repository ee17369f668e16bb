"""Starts a processor, and ends it: settings, table, NATS, the engine, the admin port, SIGTERM."""

import asyncio
import secrets
import signal
import socket
import sys

import structlog

from forebay.core.tables import ProcessorTable
from forebay.runtime.admin import admin_application, serve_admin
from forebay.runtime.clock import SystemClock
from forebay.runtime.event_loop import PartLoop
from forebay.runtime.jetstream.link import NatsLink
from forebay.runtime.jetstream.publisher import Publisher
from forebay.runtime.logging import configure_logging, log_loop_errors
from forebay.runtime.process_start import (
    RELOAD_STATUS,
    bound_integers,
    listen,
    place_of_listener,
    settle_garbage_collector,
)
from forebay.runtime.settings import LogSettings, NatsSettings, PartSettings, load_settings
from forebay.runtime.start_tracing import start_tracing
from forebay.runtime.supervise import end_tasks, run_until
from forebay.runtime.table_files import TableFiles
from forebay.runtime.tracing import Tracer, TraceSettings
from forebay_processor.adapters.control_listener import ControlListener
from forebay_processor.destinations.python.reload import CodeWatch
from forebay_processor.destinations.registry import Destinations
from forebay_processor.destinations.shared_clients import open_clients
from forebay_processor.handlers.admin import admin_pages
from forebay_processor.handlers.control import DestinationControl
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.ownership.engine import Engine
from forebay_processor.settings import ProcessorSettings
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.stream_time import StreamTime

__all__ = ["run"]

WATCHDOG_STATUS = 69
"""The exit status where NATS gave no answer for too long: EX_UNAVAILABLE of sysexits.h."""

_log = structlog.get_logger(__name__)

INDEX_SECONDS = 1.0
"""At the end, for what is left of the index."""

STORE_SECONDS = 5.0
"""After the time for attempts, for their acks to JetStream."""


def run() -> int:
    """Work until SIGTERM or SIGINT; returns the exit code.

    Raises:
        ConfigurationError: where a setting cannot be used or the admin port is taken.
    """
    log_settings = load_settings(LogSettings)
    settings = load_settings(ProcessorSettings)
    part = load_settings(PartSettings)
    nats = load_settings(NatsSettings).of_part("processor")
    traces = load_settings(TraceSettings)
    configure_logging(log_settings, part="processor")
    if settings.python_modules:
        # Compiled code that is kept counts as that of a file of the same size and second: of a
        # handler that was changed quickly a new process would run the old one.
        sys.dont_write_bytecode = True
    with (
        listen(settings.admin_host, settings.admin_port, "FOREBAY_PROCESSOR_ADMIN_PORT") as admin,
        asyncio.Runner(loop_factory=PartLoop) as runner,
    ):
        tracer = start_tracing("processor", traces)
        return runner.run(_work(settings, part, nats, admin, tracer))


async def _work(
    settings: ProcessorSettings,
    part: PartSettings,
    nats: NatsSettings,
    admin: socket.socket,
    tracer: Tracer | None,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    log_loop_errors(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = ProcessorMetrics(pool=settings.pool, tracer=tracer)
    endpoints = Endpoints()
    tables = TableFiles(part.table_dir, ProcessorTable, endpoints.replace, part.table_poll_seconds)
    tables.refresh()
    clock = SystemClock()
    publisher = Publisher(nats, "forebay-processor-publish")
    async with open_clients(settings, clock.monotonic, lambda: publisher.server) as clients:
        time = StreamTime(clock)
        me = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        engine = Engine(
            settings,
            part.shards,
            publisher,
            endpoints,
            Destinations(clients, time.now),
            metrics,
            time,
            me=me,
            listener_id=place_of_listener(admin),
        )
        code_watch = CodeWatch(settings.python_path, clients.python)
        metrics.follow(engine.owned, engine.lag)
        metrics.follow_destinations(engine.destinations)
        if settings.index:
            metrics.keep_index(publisher, time.now)
        metrics.follow_tables(lambda: len(endpoints.names()), lambda: tables.age)
        control = DestinationControl(engine.queues, me, engine.members)
        listener = ControlListener(engine.connection, control.answer)
        link = NatsLink(nats, "forebay-processor", listener)

        def waiting_for() -> list[str]:
            waiting = []
            if not tables.is_loaded:
                waiting.append("a table of endpoints")
            if not link.was_reached:
                waiting.append("a connection to NATS")
            elif not engine.is_running:
                waiting.append("the streams")
            # What is split or parked then goes nowhere, and is asked for again.
            if publisher.foreign_answer:
                waiting.append(publisher.foreign_answer)
            return waiting + engine.troubles

        pages = admin_pages(
            lambda: tables.generations,
            engine.load,
            engine.open_breakers,
            engine.troubles_of_destinations,
            engine.parked,
        )
        application = admin_application(waiting_for, metrics.exposition, pages)
        async with serve_admin(application, admin):
            settle_garbage_collector()
            bound_integers()
            _log.info("processor_started", port=admin.getsockname()[1])
            background = [
                asyncio.create_task(link.run(), name="nats"),
                asyncio.create_task(publisher.run(), name="publisher"),
                asyncio.create_task(tables.follow(), name="tables"),
                asyncio.create_task(metrics.measure_lag(), name="lag"),
                asyncio.create_task(
                    metrics.forget_gone(
                        lambda owner: endpoints.is_named(*owner), settings.keep_gone_seconds
                    ),
                    name="metrics",
                ),
            ]
            if settings.python_reload:
                background.append(asyncio.create_task(code_watch.follow(stop.set), name="code"))
            code = await _until_stopped(stop, settings, engine, background, metrics)
    if tracer is not None:
        await tracer.close()
    _log.info("processor_stopped")
    return RELOAD_STATUS if code_watch.has_changed and not code else code


async def _until_stopped(
    stop: asyncio.Event,
    settings: ProcessorSettings,
    engine: Engine,
    background: list[asyncio.Task[None]],
    metrics: ProcessorMetrics,
) -> int:
    """Run everything until a signal comes or a part of it fails; returns the exit code."""
    working = asyncio.create_task(engine.run(), name="engine")
    crashed = await run_until(stop, [working, *background])
    if engine.watchdog.has_barked:
        await end_tasks((working, *background))
        return WATCHDOG_STATUS
    for task in crashed:
        _log.error("processor_crashed", task=task.get_name(), exc_info=task.exception())
    _log.info("processor_draining", seconds=settings.stop_seconds)
    engine.stop()
    await asyncio.wait([working], timeout=settings.stop_seconds + STORE_SECONDS)
    if metrics.index is not None:
        await metrics.index.close(INDEX_SECONDS)
    await end_tasks((working, *background))
    return 1 if crashed else 0
