"""The operator's logic without a cluster: the API server, pods and NATS are played.

Everything between them is the operator's own. A pass is made when the test says so, so what is true
after a pass is true, and nothing has to be waited for.
"""

import asyncio
import base64
import itertools
import json
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lightkube.core.resource import NamespacedResourceG
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters.cluster import Cluster, StoredSecret
from forebay_operator.adapters.pod_reports import ScriptedPods
from forebay_operator.adapters.shard_contents import NoContents
from forebay_operator.adapters.streams import NoStreams
from forebay_operator.builders.names import (
    all_processors_selector,
    endpoint_selector,
    processor_meta,
    processor_selector,
)
from forebay_operator.builders.object_hash import document_of
from forebay_operator.builders.tables import (
    DEDICATED_FILE,
    DEDICATED_PROCESSORS_FILE,
    Pool,
    table_file,
    table_name,
)
from forebay_operator.errors import ApiRefused
from forebay_operator.metrics import OperatorMetrics
from forebay_operator.models.endpoint import ClusterEndpoint, write_time
from forebay_operator.models.kinds import KINDS, Managed, ManagedKind, kind_of
from forebay_operator.models.names import FINALIZER
from forebay_operator.models.pod_reports import PodPage
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey
from forebay_operator.services.destination_health import Breakers
from forebay_operator.services.endpoint_backlog import EndpointFigures
from forebay_operator.services.event_recorder import EventRecorder
from forebay_operator.services.observer import Observer
from forebay_operator.services.optional_apis import OptionalApis
from forebay_operator.services.own_tables import OwnTables
from forebay_operator.services.processor_backlog import PoolLoad
from forebay_operator.services.reconcile_queue import ReconcileQueue
from forebay_operator.services.reconciler import Reconciler, ReconcileResult
from forebay_operator.services.reconciler_parts import Parts
from forebay_operator.services.shard_moves import ShardMoves
from forebay_operator.services.shared_reconciler import SharedParts
from forebay_operator.services.status_sweep import StatusSweep
from forebay_operator.services.stream_provisioner import Shards
from forebay_operator.services.table_readers import Pools, PoolView
from forebay_operator.services.table_reconciler import POOLS, RouteTables
from forebay_operator.settings.config import TableSettings
from support.operator.operator_inputs import installation

__all__ = ["OperatorAlone", "PlayedCluster", "PlayedWatches"]

Json = Any

PASSES: Final = 10
"""More than anything takes whose pods have read what they are to read."""

_VERSIONS: Final = itertools.count(1)
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)


class PlayedCluster(Cluster):
    """An API server that keeps what it is given, and refuses the kinds that a test names."""

    def __init__(self) -> None:  # without a client
        self.endpoint_documents: dict[EndpointName, dict[str, Json]] = {}
        self.objects: dict[ObjectKey, dict[str, Json]] = {}
        self.secrets: dict[tuple[str, str], dict[str, str]] = {}
        self.secrets_changed: float | None = None
        self.refused: set[str] = set()
        """Kinds that are."""

        self.refused_names: set[str] = set()
        """Objects that are, by name."""

        self.refused_words: set[str] = set()
        """What no Secret may hold."""

        self.optional: set[str] = set()
        """Optional kinds that it serves."""

        self.recorded: list[tuple[str, str]] = []
        """The reasons of all Events, each with its endpoint's name."""

    @override
    async def set_finalizer(self, endpoint: ClusterEndpoint, *, present: bool) -> dict[str, Json]:
        finalizers = [FINALIZER] if present else []
        return self._change(endpoint, {"metadata": {"finalizers": finalizers}})

    @override
    async def apply_status(
        self, endpoint: ClusterEndpoint, status: Mapping[str, Json]
    ) -> dict[str, Json]:
        return self._change(endpoint, {"status": dict(status)})

    def _change(self, endpoint: ClusterEndpoint, change: Json) -> dict[str, Json]:
        before = self.endpoint_documents[endpoint.endpoint]
        metadata = before["metadata"] | change.get("metadata", {})
        metadata["resourceVersion"] = str(next(_VERSIONS))
        document: dict[str, Json] = before | change | {"metadata": metadata}
        self.endpoint_documents[endpoint.endpoint] = document
        if "deletionTimestamp" in metadata and not metadata["finalizers"]:
            del self.endpoint_documents[endpoint.endpoint]
        return document

    @override
    async def secret(self, namespace: str, name: str) -> StoredSecret | None:
        values = self.secrets.get((namespace, name))
        return None if values is None else StoredSecret(values, self.secrets_changed)

    @override
    async def kinds(self) -> tuple[ManagedKind, ...]:
        return tuple(each for each in KINDS if not each.is_optional or each.name in self.optional)

    @override
    async def managed(self, resource: type[NamespacedResourceG]) -> list[Mapping[str, Json]]:
        kind = kind_of(resource)
        return [document for key, document in self.objects.items() if key.kind == kind]

    @override
    async def apply(self, desired: NamespacedResourceG) -> dict[str, Json]:
        kind = kind_of(type(desired))
        if kind in self.refused:
            message = f"{kind}: not in this cluster"
            raise ApiRefused(message)
        assert isinstance(desired, Managed)
        document = document_of(desired) | {"kind": kind}
        texts = [base64.b64decode(each).decode() for each in (document.get("data") or {}).values()]
        if any(word in text for word in self.refused_words for text in texts):
            message = f"{kind}: a policy refuses it"
            raise ApiRefused(message)
        key = ObjectKey(kind, document["metadata"]["name"])
        if key.name in self.refused_names:
            message = f"{kind} {key.name}: a policy refuses it"
            raise ApiRefused(message)
        document["metadata"] |= {"resourceVersion": str(next(_VERSIONS)), "uid": key.name}
        self.objects[key] = document
        return document

    @override
    async def delete(self, resource: type[NamespacedResourceG], name: str) -> None:
        self.objects.pop(ObjectKey(kind_of(resource), name), None)

    @override
    async def annotate_pod(self, name: str, annotation: str, value: str) -> None:
        """Wake nobody."""

    @override
    async def record(
        self, endpoint: ClusterEndpoint, *, kind: str, reason: str, message: str, now: datetime
    ) -> str:
        self.recorded.append((endpoint.endpoint.name, reason))
        return f"{endpoint.endpoint.name}.{len(self.recorded)}"

    @override
    async def record_again(
        self, endpoint: ClusterEndpoint, name: str, count: int, now: datetime
    ) -> None:
        """Count nothing."""


class PlayedWatches:
    """Watches of single kinds; a test ends one by taking it out of `kinds`."""

    def __init__(self, kinds: Iterable[ManagedKind]) -> None:
        """Watch these."""
        self.kinds = set(kinds)

    def is_watching(self, kind: ManagedKind) -> bool:
        """Say whether one is watched."""
        return kind in self.kinds

    def add(self, kind: ManagedKind) -> None:
        """Watch one more."""
        self.kinds.add(kind)

    def remove(self, kind: ManagedKind) -> None:
        """Watch one no longer."""
        self.kinds.discard(kind)


class _FreshPools(Pools):
    """Polls pods each time it is asked; as shipped an answer is kept for half a second."""

    @override
    async def view(self, selector: Mapping[str, str]) -> PoolView:
        return await self._poll(selector)


class SetTime:
    """The operator's time."""

    def __init__(self) -> None:
        """Begin with the machine's."""
        self.is_set_to: datetime | None = None
        """What a test makes it; None for the machine's."""

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) if self.is_set_to is None else self.is_set_to


class _Seconds:
    """A clock that a test sets."""

    now = 0.0

    def read(self) -> float:
        """Return what it shows."""
        return self.now


class OperatorAlone:
    """One operator, with the cluster around it; call `start` first, and again for a restart."""

    namespace = "acme"

    def __init__(self) -> None:
        """Begin with a shared pod of each pool that is ready."""
        self.config = installation(tables=TableSettings(count=1), isolation="Dedicated")
        self.cluster = PlayedCluster()
        self.cluster.secrets[self.namespace, "crm"] = {"token": "Bearer secret"}
        self.pods = ScriptedPods()
        self.streams = NoStreams()
        self.clock = SetTime()
        self.contents = NoContents()
        self._seconds = _Seconds()
        self._pod_documents: dict[str, dict[str, Json]] = {}
        self.cache = ClusterCache(self.config.name)
        shared = self.config.shared_receivers
        assert shared is not None
        self.pod("processors", self.config.processors.pods.match_labels)
        self.pod("receivers", shared.pods.match_labels)

    async def start(self) -> None:
        """Begin, with what stands in the cluster and nothing else."""
        config, cluster = self.config, self.cluster
        self.metrics = metrics = OperatorMetrics()
        chance = random.Random(1)
        self.cache = cache = ClusterCache(config.name)
        for document in cluster.endpoint_documents.values():
            cache.put_endpoint(document)
        for document in cluster.objects.values():
            cache.put_object(document)
        for document in self._pod_documents.values():
            cache.put_pod(document)
        self.recheck = asyncio.Event()
        applier = Applier(cluster, cache, metrics, self.recheck)
        pools = _FreshPools(cache, self.pods, cluster)
        processors = config.processors.pods.match_labels
        clock = asyncio.get_running_loop().time
        own_processors = all_processors_selector(config)
        breakers = Breakers(cache, self.pods, (processors, own_processors), 10.0, clock)
        # Passes are made one after the other: nothing comes together, so nothing waits for more.
        self.tables = RouteTables(config, cache, applier, pools, (0.0, 0.0))
        self.tables.load()
        self.connections = connections = asyncio.Event()
        self.queue = queue = ReconcileQueue(cache, chance, config.limits.resync_seconds)
        own_tables = OwnTables(cache, config)
        self.shards = shards = Shards(
            config,
            self.streams,
            connections,
            metrics,
            chance,
            queue,
            self.contents,
            own_tables.owned,
        )
        shards.adopt(own_tables.shards())
        await self.make_streams()
        figures = EndpointFigures(
            shards.names,
            self.streams,
            PoolLoad(cache, self.pods, processors, clock).parked,
            PoolLoad(cache, self.pods, own_processors, clock).parked,
            10.0,
            clock,
        )
        kinds = await cluster.kinds()
        self.watches = PlayedWatches(kinds)
        self.apis = OptionalApis(cluster, cache, applier, queue, self.watches, kinds=kinds)
        parts = Parts(
            config=config,
            cluster=cluster,
            cache=cache,
            applier=applier,
            tables=self.tables,
            pools=pools,
            streams=self.streams,
            figures=figures,
            observer=Observer(config, self.tables, pools, shards, figures, breakers),
            apis=self.apis,
            events=EventRecorder(cluster),
            queue=queue,
            now=self.clock.now,
            shards=shards,
            moves=ShardMoves(
                config, self.tables, own_tables, pools, shards, self.contents, self._seconds.read
            ),
        )
        self.reconciler = Reconciler(parts)
        self.reconciler.begin()
        self.shared = SharedParts(config, cache, applier, self.tables, self.apis)
        self.sweep = StatusSweep(parts, self.reconciler)
        await self.sweep.poll()

    @property
    def seconds(self) -> float:
        """What the clock of moves shows."""
        return self._seconds.now

    @seconds.setter
    def seconds(self, now: float) -> None:
        self._seconds.now = now

    async def make_streams(self) -> None:
        """Let the shards' own loop look at all streams once, and make what is missing."""
        self.shards.known.clear()
        self.connections.set()
        running = asyncio.create_task(self.shards.run())
        await self.shards.known.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    # --- what a tenant does

    def apply(self, name: str, *, uid: str | None = None, **spec: Json) -> EndpointName:
        """Make or change an endpoint; keywords replace fields of its spec."""
        own = EndpointName(self.namespace, name)
        secret = {"secretKeyRef": {"name": "crm", "key": "token"}}
        before = self.cluster.endpoint_documents.get(own)
        metadata = (before or {}).get("metadata") or {
            "namespace": own.namespace,
            "name": name,
            "uid": uid or f"uid-{next(_VERSIONS)}",
            # One second after the other: of two who want a host it is the older one's.
            "creationTimestamp": write_time(_BEGAN + timedelta(seconds=next(_VERSIONS))),
            "generation": 0,
        }
        self._put(
            own,
            {
                "apiVersion": "forebay.dev/v1alpha1",
                "kind": "WebhookEndpoint",
                "metadata": metadata | {"generation": metadata["generation"] + 1},
                "status": (before or {}).get("status", {}),
                "spec": {
                    "provider": "360dialog",
                    "authentication": {"headers": [{"name": "Authorization", "values": [secret]}]},
                    "destinations": [{"name": "log", "log": {}}],
                    **spec,
                },
            },
        )
        return own

    def delete(self, own: EndpointName, *, ago: float = 0.0) -> None:
        """Ask for an endpoint's deletion, so many seconds ago."""
        before = self.cluster.endpoint_documents[own]
        when = write_time(datetime.now(UTC) - timedelta(seconds=ago))
        metadata = before["metadata"] | {"deletionTimestamp": when}
        self._put(own, before | {"metadata": metadata})

    def _put(self, own: EndpointName, document: dict[str, Json]) -> None:
        document["metadata"] |= {"resourceVersion": str(next(_VERSIONS))}
        self.cluster.endpoint_documents[own] = document
        self.cache.put_endpoint(document)

    # --- passes

    async def reconcile(self, own: EndpointName, *, resync: bool = True) -> ReconcileResult:
        """Reconcile an endpoint once."""
        return await self.reconciler.reconcile(own, resync=resync)

    async def settle(self, own: EndpointName) -> ReconcileResult:
        """Let pods read all that is written, and reconcile until nothing is on its way any more."""
        for _ in range(PASSES):
            self.all_read()
            outcome = await self.reconcile(own)
            if outcome.result != "waiting":
                return outcome
        message = f"{own} is still on its way after {PASSES} passes"
        raise AssertionError(message)

    async def reconcile_routes(self, *, complete: bool = True) -> None:
        """Reconcile the routes of the shared receivers."""
        await self.shared.reconcile(set(self.reconciler.shared_hosts.values()), complete=complete)

    # --- pods

    def pod(self, name: str, labels: Mapping[str, str], *, is_ready: bool = True) -> None:
        """Let a pod be there, which has read nothing yet."""
        address = f"10.0.0.{len(self._pod_documents) + 1}"
        ready = {"type": "Ready", "status": str(is_ready)}
        document = {
            "metadata": {
                "name": name,
                "labels": dict(labels),
                "resourceVersion": str(next(_VERSIONS)),
            },
            "status": {"podIP": address, "conditions": [ready]},
        }
        self._pod_documents[name] = document
        self.cache.put_pod(document)
        self.pods.pages[address] = PodPage(generations={})

    def own_pod(self, own: EndpointName) -> None:
        """Let a receiver of an endpoint's own be there and ready."""
        self.pod(f"own-{own.name}", endpoint_selector(own, self.config))

    def own_processor(self, own: EndpointName) -> None:
        """Let a processor of an endpoint's own be there and ready."""
        self.pod(f"processor-{own.name}", processor_selector(own, self.config))

    async def settled_with_its_own(self, name: str) -> EndpointName:
        """Return an endpoint whose own receivers are there and serve."""
        own = self.apply(name)
        self.own_pod(own)
        await self.settle(own)
        return own

    def end_pod(self, name: str) -> None:
        """Let a pod be gone."""
        self.cache.drop_pod(self._pod_documents.pop(name))

    def all_read(self, *, but: str = "") -> None:
        """Let every pod, but the one of this name, have read all that is written by now."""
        generations = {
            table_file(pool, 0): str(table["generation"])
            for pool in POOLS
            if (table := self.table(pool)) is not None
        }
        for name, document in self._pod_documents.items():
            if name == but:
                continue
            address = document["status"]["podIP"]
            generations_of_own = self._own_table(document["metadata"]["labels"])
            self.pods.pages[address] = PodPage(generations=generations | generations_of_own)

    def _own_table(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the generation of the table that is for pods of these labels alone, by file."""
        for key, each in self.cluster.objects.items():
            if key.kind != "Secret" or not labels.items() <= each["metadata"]["labels"].items():
                continue
            for file in (DEDICATED_FILE, DEDICATED_PROCESSORS_FILE):
                data = _data(each, file)
                if data is not None:
                    return {file: str(json.loads(data)["generation"])}
        return {}

    # --- what is there

    def kinds(self, own: EndpointName) -> set[str]:
        """Return the kinds of the objects that were made for an endpoint."""
        return self._kinds(endpoint_selector(own, self.config))

    def own_entry(self, own: EndpointName) -> Json | None:
        """Return what an endpoint's own processors are to know of it; None for nothing."""
        name = str(processor_meta(own, self.config).name)
        data = _data(
            self.cluster.objects.get(ObjectKey("Secret", name), {}), DEDICATED_PROCESSORS_FILE
        )
        endpoints = [] if data is None else json.loads(data)["endpoints"]
        return endpoints[0] if endpoints else None

    def entry(self, own: EndpointName) -> Json | None:
        """Return what the shared processors are to know of an endpoint; None for nothing."""
        table = self.table("processors") or {"endpoints": ()}
        return next((each for each in table["endpoints"] if each["name"] == own.name), None)

    def route_shard(self, own: EndpointName) -> str | None:
        """Return the shard that the shared receivers are to store in; None where they are not."""
        table = self.table("receivers") or {"routes": ()}
        found = (each["shard"] for each in table["routes"] if each["name"] == own.name)
        return next(found, None)

    def kinds_of_processors(self, own: EndpointName) -> set[str]:
        """Return the kinds of the objects that were made for an endpoint's own processors."""
        return self._kinds(processor_selector(own, self.config))

    def _kinds(self, labels: Mapping[str, str]) -> set[str]:
        return {
            key.kind
            for key, each in self.cluster.objects.items()
            if labels.items() <= (each["metadata"].get("labels") or {}).items()
        }

    def pod_names(self) -> list[str]:
        """Return the names of all pods."""
        return list(self._pod_documents)

    def table(self, pool: Pool) -> Json | None:
        """Return what stands in the one table of a pool."""
        key = ObjectKey("Secret", table_name(pool, 0, self.config))
        data = _data(self.cluster.objects.get(key, {}), table_file(pool, 0))
        return None if data is None else json.loads(data)

    def route_of_own(self, own: EndpointName) -> Json:
        """Return what stands in the table of an endpoint's own receivers."""
        wanted = endpoint_selector(own, self.config).items()
        (data,) = [
            data
            for key, each in self.cluster.objects.items()
            if key.kind == "Secret" and wanted <= (each["metadata"].get("labels") or {}).items()
            if (data := _data(each, DEDICATED_FILE)) is not None
        ]
        (route,) = json.loads(data)["routes"]
        return route

    def routes(self) -> set[str]:
        """Return the names of the endpoints that the shared receivers are to serve."""
        return {each["name"] for each in (self.table("receivers") or {"routes": ()})["routes"]}

    def processed(self) -> set[str]:
        """Return the names of the endpoints that the processors are to know."""
        table = self.table("processors") or {"endpoints": ()}
        return {each["name"] for each in table["endpoints"]}

    def deleted(self) -> list[str]:
        """Return the names of the endpoints that the processors are to take for deleted."""
        return list((self.table("processors") or {"deleted": ()})["deleted"])

    def hosts(self) -> set[str]:
        """Return the hosts that lead to the shared receivers."""
        return {
            rule["host"]
            for key, each in self.cluster.objects.items()
            if key.kind == "Ingress" and "-shared-" in key.name
            for rule in each["spec"]["rules"]
        }

    def condition(self, own: EndpointName, kind: str) -> tuple[str, str]:
        """Return a condition's status and reason."""
        document = self.cluster.endpoint_documents[own]
        (found,) = [each for each in document["status"]["conditions"] if each["type"] == kind]
        return found["status"], found["reason"]


def _data(secret: Mapping[str, Json], file: str) -> bytes | None:
    found = (secret.get("data") or {}).get(file)
    return None if found is None else base64.b64decode(found)
