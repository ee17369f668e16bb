"""What the operator knows of the cluster, and whom it wakes, in whatever order events come."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters.pod_reports import ScriptedPods
from forebay_operator.adapters.shard_contents import NoContents
from forebay_operator.adapters.streams import NoStreams
from forebay_operator.errors import StreamsUnavailable
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.names import LABEL_ENDPOINT, LABEL_NAMESPACE, LABEL_OWNER
from forebay_operator.models.pod_reports import PodPage
from forebay_operator.models.reasons import ConditionReason
from forebay_operator.models.stream_state import StreamState
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey
from forebay_operator.services.conditions import pool_condition
from forebay_operator.services.event_recorder import BURST, EventRecorder
from forebay_operator.services.pass_places import PassPlaces
from forebay_operator.services.reconcile_queue import SHARED, Enqueuer, QueueKey, ReconcileQueue
from forebay_operator.services.reconciler import Reconciler, ReconcileResult
from forebay_operator.services.shared_reconciler import SharedParts
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.services.table_readers import Pools, PoolView
from forebay_operator.services.watch_events import WatchEventHandler
from forebay_operator.services.workers import Workers
from forebay_operator.settings.config import Limits, OperatorConfig
from support.operator.operator_alone import PlayedCluster
from support.operator.operator_inputs import installation
from support.timing.wait import eventually

SALES = EndpointName("acme", "sales")
POOL = {"pool": "receivers"}


def endpoint(version: int, name: str = "sales", **spec: Any) -> dict[str, Any]:  # noqa: ANN401  # any field
    return {
        "metadata": {
            "namespace": "acme",
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": version,
            "resourceVersion": str(version),
        },
        "spec": spec,
    }


def secret(version: int, uid: str = "1") -> dict[str, Any]:
    labels = {LABEL_OWNER: "fb", LABEL_NAMESPACE: "acme", LABEL_ENDPOINT: "sales"}
    metadata = {"name": "own", "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"kind": "Secret", "metadata": metadata}


KEY = ObjectKey("Secret", "own")


def pod(name: str, *, is_ready: bool = True, is_leaving: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": POOL, "resourceVersion": "1"}
    if is_leaving:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ready = {"type": "Ready", "status": str(is_ready)}
    return {"metadata": metadata, "status": {"podIP": name, "conditions": [ready]}}


# What is known


def test_an_older_state_of_an_endpoint_replaces_no_newer_one() -> None:
    cache = ClusterCache("fb")
    cache.put_endpoint(endpoint(10, host="new.example.com"))
    cache.put_endpoint(endpoint(9, host="old.example.com"))
    assert cache.endpoints[SALES].host == "new.example.com"
    assert cache.with_host(["old.example.com"]) == []


def test_an_older_state_of_an_object_is_no_news() -> None:
    cache = ClusterCache("fb")
    assert cache.put_object(secret(10))
    assert not cache.put_object(secret(9))
    assert not cache.put_object(secret(10))
    assert cache.put_object(secret(11))


def test_what_is_deleted_does_not_come_back_by_a_late_event() -> None:
    cache = ClusterCache("fb")
    cache.put_object(secret(10))
    assert cache.drop_object(secret(11))
    assert not cache.put_object(secret(10))
    assert cache.object(KEY) is None
    assert cache.objects_of(SALES) == frozenset()
    # One that is made anew is another one.
    assert cache.put_object(secret(12, uid="2"))
    assert cache.objects_of(SALES) == {KEY}


def test_the_end_of_an_older_object_is_not_the_end_of_the_one_that_is_there() -> None:
    cache = ClusterCache("fb")
    cache.put_object(secret(12, uid="2"))
    assert not cache.drop_object(secret(11, uid="1"))
    assert cache.object(KEY) is not None


def test_what_another_installation_made_is_not_ours() -> None:
    cache = ClusterCache("other")
    assert not cache.put_object(secret(10))
    assert cache.object(KEY) is None


# Pods


def pools(*pods: dict[str, Any], pages: Mapping[str, PodPage]) -> Pools:
    cache, scripted = ClusterCache("fb"), ScriptedPods()
    for each in pods:
        cache.put_pod(each)
    scripted.pages = dict(pages)
    return Pools(cache, scripted, PlayedCluster())


READ, NOT_READ = PodPage(generations={"table": "2"}), PodPage(generations={"table": "1"})
WANTED = {"table": {"2"}}


async def test_a_pod_that_says_nothing_has_read_nothing() -> None:
    found = await pools(pod("a"), pod("b"), pages={"a": READ}).view(POOL)
    assert (found.total, found.ready, found.having(WANTED)) == (2, 2, 1)


async def test_a_pod_that_has_read_an_older_table_has_not_read_this_one() -> None:
    found = await pools(pod("a"), pod("b"), pages={"a": READ, "b": NOT_READ}).view(POOL)
    assert found.having(WANTED) == 1
    assert found.having({"table": {"1", "2"}}) == 2


async def test_who_leaves_is_not_waited_for() -> None:
    leaving = pod("b", is_leaving=True)
    found = await pools(pod("a"), leaving, pages={"a": READ, "b": NOT_READ}).view(POOL)
    assert (found.total, found.leaving, found.ready, found.having(WANTED)) == (1, 1, 1, 1)


def test_without_a_ready_pod_nobody_is_served() -> None:
    condition, count = pool_condition("receivers", PoolView(2, 0, 0, ()), 0, "forebay")
    assert (condition.status, condition.reason) == ("False", ConditionReason.NO_POD_READY)
    assert (count.ready, count.total) == (0, 2)


# Who is woken


class Woken:
    """Stands for the workers: remembers whom it was told to wake."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def enqueue(self, key: QueueKey, *, resync: bool = True, live: bool = True) -> None:
        """Remember one."""
        assert isinstance(resync, bool)
        assert isinstance(live, bool)
        self.names.append(str(key) if key is SHARED else key.name)

    def enqueue_all(self, *, resync: bool = False) -> None:
        """Remember that all are."""
        assert isinstance(resync, bool)
        self.names.append("*")


REFERENCE = {"secretKeyRef": {"name": "crm", "key": "token"}}


@pytest.fixture
async def woken() -> Woken:
    return Woken()


@pytest.fixture
async def handler(woken: Woken) -> WatchEventHandler:
    """Give one that knows two endpoints with a Secret, and two that want the same host."""
    made = WatchEventHandler(ClusterCache("fb"), woken)
    made.endpoint(None, endpoint(1, "a", own=REFERENCE))
    made.endpoint(None, endpoint(2, "b", own={"deep": [REFERENCE]}))
    made.endpoint(None, endpoint(3, "c", host="one.example.com"))
    made.endpoint(None, endpoint(4, "d", host="one.example.com"))
    woken.names.clear()
    return made


async def test_a_secret_wakes_those_who_speak_of_it(
    handler: WatchEventHandler, woken: Woken
) -> None:
    handler.secret({"metadata": {"namespace": "acme", "name": "crm"}})
    assert sorted(woken.names) == ["a", "b"]
    woken.names.clear()
    handler.secret({"metadata": {"namespace": "other", "name": "crm"}})
    assert woken.names == []


async def test_a_host_that_gets_free_wakes_those_who_want_it(
    handler: WatchEventHandler, woken: Woken
) -> None:
    handler.endpoint("DELETED", endpoint(5, "c", host="one.example.com"))
    assert sorted(woken.names) == ["c", "d"]


async def test_a_host_that_is_given_up_wakes_those_who_want_it(
    handler: WatchEventHandler, woken: Woken
) -> None:
    handler.endpoint("MODIFIED", endpoint(5, "c", host="two.example.com"))
    assert sorted(woken.names) == ["c", "d"]


# What is recorded, and what goes on


async def test_an_endpoint_that_flaps_is_reported_in_a_burst_and_then_no_more() -> None:
    cluster = PlayedCluster()
    events = EventRecorder(cluster)
    own = ClusterEndpoint.of(endpoint(1))
    other = ClusterEndpoint.of(endpoint(1, "other"))
    for number in range(3 * BURST):
        await events.record(own, ConditionReason.REPAIRED, f"once more: {number}")
    await events.record(other, ConditionReason.REPAIRED, "another one's")
    assert [name for name, _ in cluster.recorded] == ["sales"] * BURST + ["other"]


class Crashing:
    """Reconciles everything, and crashes at one endpoint."""

    def __init__(self) -> None:
        self.reconciled: list[str] = []
        self.complete: list[bool] = []
        """Of each pass over the shared routes, whether all endpoints were known by then."""

        self.waiting: list[EndpointName] = []
        """Who is to be reconciled once more, for a table got room."""

        self.shared_hosts: dict[EndpointName, str] = {}
        self.queue: ReconcileQueue | None = None

    def begin(self) -> None:
        """Nothing is known."""

    def now_with_room(self) -> list[EndpointName]:
        """Return them once."""
        found, self.waiting = self.waiting, []
        return found

    async def reconcile(
        self, key: EndpointName | set[str], *, resync: bool = False, complete: bool = False
    ) -> ReconcileResult:
        """Reconcile an endpoint, or the shared routes."""
        del resync
        if isinstance(key, EndpointName):
            self.reconciled.append(key.name)
            if key.name == "bad":
                message = "a fault of ours"
                raise RuntimeError(message)
        else:
            self.complete.append(complete)
        return ReconcileResult(result="ok", again_in=None)


@contextlib.asynccontextmanager
async def working(crashing: Crashing, *names: str) -> AsyncIterator[asyncio.Task[None]]:
    """Let one worker reconcile endpoints."""
    cache = ClusterCache("fb")
    for name in names:
        cache.put_endpoint(endpoint(1, name))
    metrics = OperatorMetrics()
    crashing.queue = ReconcileQueue(cache, random.Random(1), 300.0)
    workers = Workers(
        PassPlaces(1),
        cache,
        cast("Reconciler", crashing),
        cast("SharedParts", crashing),
        metrics,
        crashing.queue,
    )
    running = asyncio.create_task(workers.run())
    try:
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_crash_costs_one_endpoint_s_pass_and_no_other_s() -> None:
    crashing = Crashing()
    async with working(crashing, "bad", "good") as running:
        await eventually(
            lambda: crashing.reconciled.count("bad") > 1 and "good" in crashing.reconciled,
            saying="both to be reconciled, and the one that crashed once more",
        )
        assert not running.done()


async def test_who_waits_for_room_is_reconciled_once_some_came_free() -> None:
    crashing = Crashing()
    async with working(crashing, "a", "b"):
        await eventually(lambda: len(crashing.reconciled) > 1, saying="both to be reconciled")
        before = crashing.reconciled.copy()
        crashing.waiting = [EndpointName("acme", "b")]
        assert crashing.queue is not None
        crashing.queue.enqueue(SHARED)  # something else is reconciled, and frees it
        await eventually(lambda: len(crashing.reconciled) > len(before), saying="another pass")
    assert crashing.reconciled == [*before, "b"]


async def test_no_shared_route_goes_before_every_endpoint_was_reconciled() -> None:
    crashing = Crashing()
    async with working(crashing, "a", "b", "c"):
        await eventually(lambda: len(crashing.complete) > 1, saying="two passes over the routes")
    assert crashing.complete == [False, True]
    assert sorted(crashing.reconciled) == ["a", "b", "c"]


async def test_a_stream_that_is_gone_is_reported_and_made_again() -> None:
    streams, seen = NoStreams(), list[ConditionReason | None]()
    connections = asyncio.Event()
    connections.set()
    config = installation(limits=Limits(status_seconds=0.05))

    class Seen(Woken):
        @override
        def enqueue_all(self, *, resync: bool = False) -> None:
            seen.append(shards.state("0").reason)

    shards = shards_of(config, streams, connections, OperatorMetrics(), Seen())
    running = asyncio.create_task(shards.run())
    await eventually(lambda: seen == [None], saying="the streams to be there")
    streams.gone = ["FOREBAY_RETRY_0"]
    await eventually(
        lambda: seen == [None, ConditionReason.STREAM_MISSING, None], saying="it to be back"
    )
    assert streams.ensured == ["0", "0"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def shards_of(
    config: OperatorConfig,
    streams: NoStreams,
    connections: asyncio.Event,
    metrics: OperatorMetrics,
    queue: Enqueuer,
) -> Shards:
    chance = random.Random(1)
    return Shards(config, streams, connections, metrics, chance, queue, NoContents(), list)


async def test_a_stream_that_cannot_be_seen_has_no_figures() -> None:
    class Streams(NoStreams):
        away = False

        @override
        async def states(self, shard: str) -> list[StreamState]:
            if self.away:
                message = "NATS does not answer"
                raise StreamsUnavailable(message)
            return [StreamState("FOREBAY_RAW_0", 60, 100, 1)]

    streams, metrics, connections = Streams(), OperatorMetrics(), asyncio.Event()
    connections.set()
    config = installation(limits=Limits(status_seconds=0.05))
    shards = shards_of(config, streams, connections, metrics, Woken())

    async def is_shown() -> bool:
        shown = (await metrics.exposition()).content
        return (
            b'forebay_stream_fill_ratio{stream="FOREBAY_RAW_0"} 0.6' in shown
            and b'forebay_stream_missing_replicas{stream="FOREBAY_RAW_0"} 1' in shown
        )

    async def is_hidden() -> bool:
        return b"{stream=" not in (await metrics.exposition()).content

    running = asyncio.create_task(shards.run())
    await eventually(is_shown, saying="how full it is")
    streams.away = True
    # The last figure would look like health: the alert on what is missing would never begin.
    await eventually(is_hidden, saying="nothing")
    streams.away = False
    await eventually(is_shown, saying="how full it is, again")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
