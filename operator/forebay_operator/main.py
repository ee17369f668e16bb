"""Starts the operator, and ends it: settings, API server, NATS, watches, workers, admin port.

Rights that it needs, and the chart grants (RBAC), no more:

In all namespaces (ClusterRole):
    forebay.dev         webhookendpoints                     get list watch patch
    forebay.dev         webhookendpoints/status              get patch
    core                secrets                              get list watch
    core                events                               create patch

In Forebay's namespace (Role):
    each kind of `models.kinds`                              `VERBS`
    core                pods                                 get list watch patch

Without the rights on an optional kind it does without it (Ingresses instead of HTTPRoutes).

NATS: the user may publish to `$JS.API.INFO`, `$JS.API.STREAM.>` and `$JS.API.CONSUMER.>`, and
subscribe to `_INBOX_forebay_operator.>`. It writes no webhook, and reads where they stand: subject,
sequence and headers, of which it keeps nothing but whose they are and when they came.

`forebay operator --uninstall` (a hook of the chart before the release goes) needs the same rights.
It sets the Deployment `<name>-operator` to 0 replicas and waits until no pod is left with labels
`app.kubernetes.io/component: operator` and `app.kubernetes.io/instance: <release>`: the hook's own
pod must carry another component.
"""

import asyncio
import contextlib
import random
import signal
import socket
import sys
from typing import Any, Final

import aiohttp
import structlog

from forebay.runtime.admin import admin_application, serve_admin
from forebay.runtime.logging import configure_logging
from forebay.runtime.process_start import listen
from forebay.runtime.settings import LogSettings, NatsSettings, load_settings
from forebay.runtime.supervise import end_tasks, run_until
from forebay_operator.adapters.cluster import Cluster
from forebay_operator.adapters.pod_reports import HttpPods
from forebay_operator.adapters.streams import JetStreams
from forebay_operator.builders.names import all_processors_selector
from forebay_operator.errors import OperatorError
from forebay_operator.handlers.scaling import add_scaling
from forebay_operator.handlers.watches import Watches
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.destination_health import Breakers
from forebay_operator.services.endpoint_backlog import EndpointFigures
from forebay_operator.services.event_recorder import EventRecorder
from forebay_operator.services.first_lists import fill_cache
from forebay_operator.services.liveness import Liveness
from forebay_operator.services.observer import Observer
from forebay_operator.services.optional_apis import OptionalApis
from forebay_operator.services.own_tables import OwnTables
from forebay_operator.services.pass_places import PassPlaces
from forebay_operator.services.processor_backlog import PoolLoad
from forebay_operator.services.reconcile_queue import ReconcileQueue
from forebay_operator.services.reconciler import Reconciler
from forebay_operator.services.reconciler_parts import Parts
from forebay_operator.services.shard_moves import ShardMoves
from forebay_operator.services.shared_reconciler import SharedParts
from forebay_operator.services.status_sweep import StatusSweep
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.services.table_readers import Pools
from forebay_operator.services.table_reconciler import RouteTables
from forebay_operator.services.uninstall import uninstall
from forebay_operator.services.watch_events import WatchEventHandler
from forebay_operator.services.workers import Workers
from forebay_operator.settings.config import OperatorConfig, ProcessSettings, read_config

__all__ = ["run"]

_log = structlog.get_logger(__name__)

NESTED_MOST: Final = 25_000
"""Python's limit of recursion, which is also that of all that reads JSON: an endpoint may have
unknown fields, 10,000 levels deep as far as the API server goes, of which a copy takes two each.
With the limit of 1,000 as it comes, one such endpoint would end every listing of all of them; at
10,000 levels what reads, compares and writes them stays within a thread's stack of 8 MiB."""

KNOWN_SECONDS: Final = 10.0
"""How long endpoints wait at the start for a NATS that is slow to answer."""


def run(*, leave: bool = False) -> int:
    """Work until SIGTERM or SIGINT; returns the exit code.

    Args:
        leave: Remove all that the operator made, take its finalizers off, and end.

    Raises:
        ConfigurationError: where a setting cannot be used or the admin port is taken.
    """
    log_settings = load_settings(LogSettings)
    process = load_settings(ProcessSettings)
    nats = load_settings(NatsSettings).of_part("operator")
    config = read_config(process.config)
    configure_logging(log_settings, part="operator")
    sys.setrecursionlimit(NESTED_MOST)
    if leave:
        return asyncio.run(_leave(config))
    with listen(process.admin_host, process.admin_port, "FOREBAY_OPERATOR_ADMIN_PORT") as admin:
        return asyncio.run(_operate(config, nats, admin))


async def _leave(config: OperatorConfig) -> int:
    cluster = _cluster(config)
    try:
        await uninstall(cluster, config)
    except OperatorError as error:
        _log.error("uninstall_failed", reason=str(error))
        return 1
    finally:
        await cluster.close()
    return 0


def _cluster(config: OperatorConfig) -> Cluster:
    limits = config.limits
    return Cluster(config.namespace, config.name, limits.request_seconds, limits.workers)


def _set_by_signals() -> asyncio.Event:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _operate(config: OperatorConfig, nats: NatsSettings, admin: socket.socket) -> int:
    clock, stop = asyncio.get_running_loop().time, _set_by_signals()
    metrics = OperatorMetrics()
    chance = random.Random()  # noqa: S311  # spreads retries, guards nothing
    waiting = ["the cluster's objects"]
    cluster = _cluster(config)
    streams = JetStreams(nats, metrics.nats_answered)
    cache = ClusterCache(config.name)
    metrics.follow_conditions(cache.conditions)
    processors = config.processors.pods.match_labels
    judges: list[Liveness] = []
    application = admin_application(
        lambda: waiting,
        metrics.exposition,
        stuck=lambda: [why for each in judges for why in each.troubles()],
    )
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        contextlib.AsyncExitStack() as serving,
    ):
        pages = HttpPods(session, config.limits.pod_seconds)
        load = PoolLoad(cache, pages, processors, clock)
        add_scaling(application, load.read)
        await serving.enter_async_context(serve_admin(application, admin))
        filling = asyncio.create_task(
            fill_cache(cluster, cache, f"{config.namespace}/{config.name}-operator"), name="list"
        )
        if not await run_until(stop, [filling]):
            await end_tasks([filling])
            await cluster.close()
            return 0
        kinds = filling.result()
        queue = ReconcileQueue(cache, chance, config.limits.resync_seconds)
        metrics.follow_queue(lambda: len(queue))
        ended, recheck = asyncio.Event(), asyncio.Event()
        watches = Watches(
            WatchEventHandler(cache, queue),
            config.namespace,
            config.name,
            kinds,
            ended.set,
            recheck,
        )
        metrics.follow_watch_age(lambda: watches.age)
        applier = Applier(cluster, cache, metrics, recheck)
        apis = OptionalApis(cluster, cache, applier, queue, watches, kinds=kinds)
        pools = Pools(cache, pages, cluster)
        breakers = Breakers(
            cache,
            pages,
            (processors, all_processors_selector(config)),
            config.limits.status_seconds,
            clock,
        )
        places = PassPlaces(config.limits.workers)
        tables = RouteTables(config, cache, applier, pools, leave=places.left)
        tables.load()
        shards, moves = _shards(config, streams, metrics, chance, queue, cache, tables, pools)
        figures = EndpointFigures(
            shards.names,
            streams,
            load.parked,
            PoolLoad(cache, pages, all_processors_selector(config), clock).parked,
            config.limits.status_seconds,
            clock,
        )
        parts = Parts(
            config=config,
            cluster=cluster,
            cache=cache,
            applier=applier,
            tables=tables,
            pools=pools,
            streams=streams,
            figures=figures,
            observer=Observer(config, tables, pools, shards, figures, breakers),
            apis=apis,
            events=EventRecorder(cluster),
            queue=queue,
            shards=shards,
            moves=moves,
        )
        reconciler = Reconciler(parts)
        metrics.follow_ages(reconciler.ages, streams.certificate_end)
        workers = Workers(
            places,
            cache,
            reconciler,
            SharedParts(config, cache, applier, tables, apis),
            metrics,
            queue,
        )
        sweep = StatusSweep(parts, reconciler)
        watches.start()
        judges.append(
            Liveness(clock, lambda: len(queue), lambda: workers.passed_at, lambda: watches.silence)
        )
        waiting.clear()
        _log.info("operator_started", endpoints=len(cache.endpoints), optional_kinds=apis.names)
        tasks = [
            asyncio.create_task(streams.run(), name="nats"),
            asyncio.create_task(shards.run(), name="shards"),
            asyncio.create_task(
                apis.run(config.limits.discovery_seconds, recheck), name="discovery"
            ),
            asyncio.create_task(_work(workers, shards, sweep), name="workers"),
            asyncio.create_task(
                _sweep(sweep, shards, config.limits.status_seconds, chance), name="sweep"
            ),
            asyncio.create_task(ended.wait(), name="watches"),
            asyncio.create_task(metrics.measure_lag(), name="metrics"),
        ]
        crashed = await _until_stopped(stop, tasks)
        waiting.append("nothing: it is stopping")
        await asyncio.gather(watches.stop(), tables.close())
    await cluster.close()
    _log.info("operator_stopped")
    return 1 if crashed else 0


def _shards(  # noqa: PLR0913, PLR0917  # what they are made of
    config: OperatorConfig,
    streams: JetStreams,
    metrics: OperatorMetrics,
    chance: random.Random,
    queue: ReconcileQueue,
    cache: ClusterCache,
    tables: RouteTables,
    pools: Pools,
) -> tuple[Shards, ShardMoves]:
    """Return the shards; those that an operator before us made for endpoints go on."""
    contents, connections = streams.contents, streams.connections
    own, clock = OwnTables(cache, config), asyncio.get_running_loop().time
    shards = Shards(config, streams, connections, metrics, chance, queue, contents, own.owned)
    shards.adopt(own.shards())
    return shards, ShardMoves(config, tables, own, pools, shards, contents, clock)


async def _work(workers: Workers, shards: Shards, sweep: StatusSweep) -> None:
    """Begin when it is known how the streams are, or at last without that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_SECONDS):
            await shards.known.wait()
            await sweep.polled.wait()
    await workers.run()


async def _sweep(sweep: StatusSweep, shards: Shards, seconds: float, chance: random.Random) -> None:
    """Begin when the streams were reached, or their first poll would be for nothing."""
    await shards.known.wait()
    await sweep.run(seconds, chance)


async def _until_stopped(stop: asyncio.Event, tasks: list[asyncio.Task[Any]]) -> bool:
    """Run until a signal comes or a task ends, which none should; says whether one did."""
    crashed = await run_until(stop, tasks)
    for task in crashed:
        _log.error("operator_crashed", task=task.get_name(), exc_info=task.exception())
    await end_tasks(tasks)
    return bool(crashed)
