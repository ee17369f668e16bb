"""The route tables: which endpoints stand in which Secret, written when anything changed.

What stands in the Secrets is read at the start, so that an operator that knows half of the
endpoints yet never writes a table without the other half.
"""

import asyncio
import base64
import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import structlog

from forebay.core.errors import ConfigurationError
from forebay.core.naming import EndpointName
from forebay.core.tables import (
    AnyTable,
    ProcessorEndpoint,
    ProcessorTable,
    ReceiverRoute,
    ReceiverTable,
    decode_table,
)
from forebay_operator.builders.names import table_index
from forebay_operator.builders.stamps import stamp
from forebay_operator.builders.tables import (
    Pool,
    processor_table,
    receiver_table,
    table_file,
    table_name,
)
from forebay_operator.models.names import ANNOTATION_DELETED
from forebay_operator.services.applier import Applier
from forebay_operator.services.pools import Pools
from forebay_operator.services.world import ObjectKey, World
from forebay_operator.settings import OperatorConfig

__all__ = ["RouteTables"]

_log = structlog.get_logger(__name__)

_Entry = TypeVar("_Entry")

REMEMBERED: Final = 64
"""Generations of a table that a pod may lag behind: at one a second more than any kubelet needs."""

POOLS: Final[tuple[Pool, ...]] = ("receivers", "processors")


class RouteTables:
    """All shared tables of an installation."""

    def __init__(
        self, config: OperatorConfig, world: World, applier: Applier, pools: Pools
    ) -> None:
        self._config = config
        self._world = world
        self._applier = applier
        self._pools = pools
        self._routes: dict[EndpointName, ReceiverRoute] = {}
        self._endpoints: dict[EndpointName, ProcessorEndpoint] = {}
        self._deleted: dict[EndpointName, int] = {}
        self._locks: dict[tuple[Pool, int], asyncio.Lock] = {}
        self._written: dict[tuple[Pool, int], deque[tuple[int, str]]] = {}
        self._number = 0
        self._unwritten: set[tuple[Pool, EndpointName]] = set()
        self._since: dict[tuple[Pool, EndpointName], int] = {}

    def load(self) -> None:
        """Take what stands in the Secrets; an unreadable one is written anew."""
        for index in range(self._config.tables.count):
            receivers = self._read("receivers", index, ReceiverTable)
            if receivers is not None:
                self._routes |= {each.endpoint: each for each in receivers.routes}
            processors = self._read("processors", index, ProcessorTable)
            if processors is not None:
                self._endpoints |= {each.endpoint: each for each in processors.endpoints}
        for name in self._names_listed():
            if name not in self._world.endpoints:
                self.mark_deleted(name)

    def _names_listed(self) -> list[EndpointName]:
        return list({*self._routes, *self._endpoints})

    def _read(self, pool: Pool, index: int, kind: type[AnyTable]) -> AnyTable | None:
        document = self._world.object(ObjectKey("Secret", table_name(pool, index, self._config)))
        if document is None:
            return None
        try:
            data = base64.b64decode((document.get("data") or {})[table_file(pool, index)])
            return decode_table(data, kind)
        except (KeyError, ValueError, ConfigurationError) as error:
            _log.warning("table_unreadable", pool=pool, index=index, reason=str(error))
            return None

    def place(self, endpoint: EndpointName) -> int:
        """Return which tables hold an endpoint."""
        return table_index(endpoint, self._config.tables.count)

    def has_shared_route(self, endpoint: EndpointName) -> bool:
        """Say whether the shared receivers are to serve an endpoint."""
        return endpoint in self._routes

    def put_route(self, endpoint: EndpointName, route: ReceiverRoute | None) -> None:
        """Set what the shared receivers are to know of an endpoint; None for nothing."""
        if route == self._routes.get(endpoint):
            return
        self._unwritten.add(("receivers", endpoint))
        if route is None:
            self._routes.pop(endpoint, None)
        else:
            self._routes[endpoint] = route

    def put_endpoint(self, endpoint: ProcessorEndpoint) -> None:
        """Set what the processors are to know of an endpoint."""
        self._deleted.pop(endpoint.endpoint, None)
        if endpoint != self._endpoints.get(endpoint.endpoint):
            self._unwritten.add(("processors", endpoint.endpoint))
            self._endpoints[endpoint.endpoint] = endpoint

    def mark_deleted(self, endpoint: EndpointName) -> None:
        """Take an endpoint out of all tables and list it as deleted."""
        if endpoint in self._deleted:
            return
        for pool in POOLS:
            self._unwritten.add((pool, endpoint))
        self._routes.pop(endpoint, None)
        self._endpoints.pop(endpoint, None)
        self._deleted[endpoint] = int(time.time())

    def generations(self, pool: Pool, endpoint: EndpointName) -> frozenset[str]:
        """Return the generations of an endpoint's table that say of it what the latest one says.

        A neighbour that comes into the table changes its generation, but nothing for this one: a
        pod that has not read that yet serves this endpoint as well as one that has.
        """
        since = self._since.get((pool, endpoint), 0)
        written = self._written.get((pool, self.place(endpoint)), ())
        return frozenset(generation for number, generation in written if number >= since)

    async def flush(self, endpoint: EndpointName) -> None:
        """Write the tables of an endpoint where they differ."""
        for pool in POOLS:
            await self._flush(pool, self.place(endpoint))

    async def flush_all(self) -> None:
        """Write every table that differs from what it has to be."""
        for index in range(self._config.tables.count):
            for pool in POOLS:
                await self._flush(pool, index)

    async def touch(self, pool: Pool, endpoint: EndpointName) -> None:
        """Wake the kubelets of a shared pool for an endpoint's table."""
        index = self.place(endpoint)
        written = self._written.get((pool, index))
        if written:
            await self._touch(pool, index, written[-1][1])

    async def _touch(self, pool: Pool, index: int, generation: str) -> None:
        selector = self.selector(pool)
        if selector is not None:
            await self._pools.touch(selector, f"{table_file(pool, index)}.{generation}")

    def selector(self, pool: Pool) -> Mapping[str, str] | None:
        """Return the labels of a shared pool's pods; None where there is no such pool."""
        if pool == "processors":
            return self._config.processors.pods.match_labels
        shared = self._config.shared_receivers
        return None if shared is None else shared.pods.match_labels

    async def _flush(self, pool: Pool, index: int) -> None:
        lock = self._locks.setdefault((pool, index), asyncio.Lock())
        async with lock:
            news = {
                (whose, name)
                for whose, name in self._unwritten
                if whose == pool and self.place(name) == index
            }
            if pool == "receivers":
                routes = self._here(self._routes.items(), index)
                secret, generation = receiver_table(index, routes, self._config)
            else:
                endpoints = self._here(self._endpoints.items(), index)
                deleted = self._deleted_at(index)
                secret, generation = processor_table(index, endpoints, deleted, self._config)
            self._unwritten -= news
            try:
                applied = await self._applier.apply(stamp(secret))
            except BaseException:
                self._unwritten |= news
                raise
            self._note(pool, index, generation, news)
            if applied != "same":
                _log.info("table_written", pool=pool, index=index, generation=generation)
                await self._touch(pool, index, generation)

    def _note(
        self, pool: Pool, index: int, generation: str, news: set[tuple[Pool, EndpointName]]
    ) -> None:
        """Remember what was written, and since when it speaks of the endpoints that are news."""
        written = self._written.setdefault((pool, index), deque(maxlen=REMEMBERED))
        if not written or written[-1][1] != generation:
            self._number += 1
            written.append((self._number, generation))
        for each in news:
            self._since[each] = written[-1][0]

    def _here(self, entries: Iterable[tuple[EndpointName, _Entry]], index: int) -> list[_Entry]:
        return [entry for name, entry in entries if self.place(name) == index]

    def _deleted_at(self, index: int) -> dict[EndpointName, int]:
        """Return what is listed as deleted, with the times that stand in the Secret already.

        The Secret is the memory: it outlives this process, and a second operator by mistake would
        else write its own times over ours for ever.
        """
        document = self._world.object(
            ObjectKey("Secret", table_name("processors", index, self._config))
        )
        annotations = (document or {}).get("metadata", {}).get("annotations") or {}
        try:
            written = json.loads(annotations.get(ANNOTATION_DELETED, "{}"))
            found = {EndpointName.parse(name): int(when) for name, when in written.items()}
        except (ValueError, AttributeError, TypeError):
            found = {}
        ours = {name: when for name, when in self._deleted.items() if self.place(name) == index}
        oldest = time.time() - self._config.tables.deleted_for_seconds
        kept = {
            name: when
            for name, when in (ours | found).items()
            if when > oldest and name not in self._endpoints and self.place(name) == index
        }
        for name in ours.keys() - kept.keys():
            self._deleted.pop(name, None)
        return kept
