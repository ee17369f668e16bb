"""The route tables: which endpoints stand in which Secret, written when anything changed.

What stands in the Secrets is read at the start, so that an operator that knows half of the
endpoints yet never writes a table without the other half.

Tenants share the tables, so none may keep another one's news from being written: what one endpoint
brings is bounded (`TenantLimits.table_kib`), an endpoint goes where there is room for it
(`table_placement`), how many deleted ones are listed is bounded, and a table that the API server
refuses is written again with the news of one endpoint alone, whose refusal is then its own.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Final, NamedTuple

import structlog

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import (
    AnyTable,
    ProcessorEndpoint,
    ProcessorTable,
    ReceiverRoute,
    ReceiverTable,
)
from forebay_operator.builders.names import RECEIVER_COMPONENT
from forebay_operator.builders.object_hash import with_object_hash
from forebay_operator.builders.tables import (
    Pool,
    processor_table,
    receiver_table,
    table_file,
    table_name,
)
from forebay_operator.errors import ApiRefused
from forebay_operator.services.applier import Applier
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.deleted_endpoints import DeletedEndpoints
from forebay_operator.services.pool_table_contents import PoolEntries
from forebay_operator.services.stored_tables import read_table
from forebay_operator.services.table_generations import TableGenerations
from forebay_operator.services.table_readers import Pools
from forebay_operator.services.write_batches import PAUSE_SECONDS, WriteBatches
from forebay_operator.settings.config import OperatorConfig

__all__ = ["POOLS", "RouteTables"]

_log = structlog.get_logger(__name__)

POOLS: Final[tuple[Pool, ...]] = ("processors", "receivers")
"""In the order in which they are to know of an endpoint, so that nothing is received that no
processor knows; in the other one they are to lose it."""


class _Refusal(NamedTuple):
    """What the API server said of a table, and of whom there were news in it."""

    error: ApiRefused
    news: set[EndpointName]


class RouteTables:
    """All shared tables of an installation."""

    def __init__(
        self,
        config: OperatorConfig,
        cache: ClusterCache,
        applier: Applier,
        pools: Pools,
        pause_seconds: tuple[float, float] = PAUSE_SECONDS,
        leave: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        """Begin with empty tables; `leave` is entered while a write is waited for."""
        self._leave = leave
        self._config = config
        self._cache = cache
        self._applier = applier
        self._pools = pools
        self._receivers: PoolEntries[ReceiverRoute] = PoolEntries(config.tables.count)
        self._processors: PoolEntries[ProcessorEndpoint] = PoolEntries(config.tables.count)
        self._deleted = DeletedEndpoints(config, cache, self._is_wanted)

        self._returning: set[EndpointName] = set()
        """Made again after a deletion that processors may still know of."""

        self._withheld: set[EndpointName] = set()
        """Those that are there, and that shared processors are to know nothing of."""

        self._batches: WriteBatches[tuple[Pool, int], _Refusal | None]
        self._batches = WriteBatches(pause_seconds)
        self._generations: TableGenerations[tuple[Pool, int]] = TableGenerations()

    # --- what is wanted

    def load(self) -> None:
        """Take what stands in the Secrets; an unreadable one is written anew."""
        for index in range(self._config.tables.count):
            receivers = self._read("receivers", index, ReceiverTable)
            if receivers is not None:
                self._receivers.load(index, receivers.routes)
            processors = self._read("processors", index, ProcessorTable)
            if processors is not None:
                self._processors.load(index, processors.endpoints)
            self._deleted.load(index)
        for name in self._receivers.names() | self._processors.names():
            if name not in self._cache.endpoints:
                self.mark_deleted(name)
            elif not (
                self.has_shared_route(name) or self._cache.objects_of(name, RECEIVER_COMPONENT)
            ):
                # Whoever wrote it last may have waited for the processors, and died.
                self._returning.add(name)

    def _read(self, pool: Pool, index: int, kind: type[AnyTable]) -> AnyTable | None:
        name = table_name(pool, index, self._config)
        return read_table(self._cache, name, table_file(pool, index), kind)

    def has_shared_route(self, endpoint: EndpointName) -> bool:
        """Say whether the shared receivers are to serve an endpoint."""
        return self._receivers.get(endpoint) is not None

    def route(self, endpoint: EndpointName) -> ReceiverRoute | None:
        """Return what the shared receivers are to know of an endpoint."""
        return self._receivers.get(endpoint)

    def entry(self, endpoint: EndpointName) -> ProcessorEndpoint | None:
        """Return what the shared processors are to know of an endpoint."""
        return self._processors.get(endpoint)

    def put_route(self, endpoint: EndpointName, route: ReceiverRoute | None) -> bool:
        """Set what the shared receivers are to know of an endpoint; None for nothing.

        Returns:
            False, and all as it was, where no table has room for it.
        """
        if route is not None:
            return self._receivers.put(route)
        self._receivers.remove(endpoint)
        return True

    def put_endpoint(self, endpoint: ProcessorEndpoint) -> bool:
        """Set what the processors are to know of an endpoint; as `put_route`."""
        name = endpoint.endpoint
        if not self._processors.put(endpoint):
            return False
        self._withheld.discard(name)
        listed = self._deleted.pop(name)
        if listed is not None:
            self._processors.write_again(listed, name)
            self._returning.add(name)
        return True

    def withhold(self, endpoint: EndpointName) -> None:
        """Let the shared processors know nothing of an endpoint: what comes of it waits.

        Nor may it be listed as deleted, or they would drop what comes.
        """
        self._withheld.add(endpoint)
        if self._processors.get(endpoint) is not None:
            self._processors.remove(endpoint)
        listed = self._deleted.pop(endpoint)
        if listed is not None:
            self._processors.write_again(listed, endpoint)

    def _is_wanted(self, endpoint: EndpointName) -> bool:
        return endpoint in self._withheld or self._processors.get(endpoint) is not None

    async def may_be_received(self, endpoint: EndpointName) -> bool:
        """Say whether no processor takes an endpoint for deleted, so that nothing of it is dropped.

        One that is new is just unknown to a processor that lags, and what comes up of it waits.
        """
        if endpoint in self._returning and await self.has_arrived("processors", endpoint):
            self._returning.discard(endpoint)
        return endpoint not in self._returning

    def mark_deleted(self, endpoint: EndpointName) -> None:
        """Take an endpoint out of all tables and list it as deleted."""
        index = self._processors.place(endpoint)
        self._returning.discard(endpoint)
        self._withheld.discard(endpoint)
        self._receivers.remove(endpoint)
        if endpoint in self._deleted and self._processors.get(endpoint) is None:
            return
        self._processors.remove(endpoint)
        self._deleted.add(endpoint, index)
        self._processors.write_again(index, endpoint)

    def forget(self, endpoint: EndpointName) -> None:
        """Take it that nobody asks any more what the pods have read of a deleted endpoint."""
        for pool in POOLS:
            self._entries(pool).forget_left(endpoint)
        self._generations.forget(endpoint)

    def is_moving(self, endpoint: EndpointName) -> bool:
        """Say whether an endpoint grew out of a table, and pods may have read that one last."""
        return any(self._entries(pool).has_left(endpoint) for pool in POOLS)

    async def close(self) -> None:
        """End what is being written."""
        await self._batches.close()

    def take_freed(self) -> bool:
        """Say whether any table of either pool got room since this was asked last."""
        # Both are asked, or the second one's news would be reported twice.
        return any([self._receivers.take_freed(), self._processors.take_freed()])

    # --- what pods have read

    def readings(self, pool: Pool, endpoint: EndpointName) -> dict[str, frozenset[str]]:
        """Return the generations of each file that say of an endpoint what the latest ones say.

        No generation does where a table is not written yet, or the endpoint still is in one that it
        grew out of.
        """
        entries, none = self._entries(pool), frozenset[str]()
        return {
            table_file(pool, index): (
                self._generations.of((pool, index), endpoint)
                if entries.is_written(endpoint, index)
                else none
            )
            for index in entries.indices(endpoint)
        }

    async def touch(self, pool: Pool, endpoint: EndpointName) -> None:
        """Wake the kubelets of a shared pool for an endpoint's table."""
        index = self._entries(pool).place(endpoint)
        generation = self._generations.latest((pool, index))
        if generation is not None:
            await self._touch(pool, index, generation)

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

    # --- writing

    async def flush(self, endpoint: EndpointName) -> dict[Pool, str]:
        """Write the tables of an endpoint where they differ.

        Returns:
            What the API server refused of it, and why.

        Raises:
            OperatorError: where it has to be tried again.
        """
        refused: dict[Pool, str] = {}
        for pool in reversed(POOLS) if endpoint in self._deleted else POOLS:
            for index in self._entries(pool).indices(endpoint):
                try:
                    await self._flush(pool, index, endpoint)
                except ApiRefused as error:
                    refused[pool] = str(error)
        return refused

    async def flush_all(self) -> list[ApiRefused]:
        """Write every table that differs from what it has to be; returns the refusals."""
        refusals: list[ApiRefused] = []
        for index in range(self._config.tables.count):
            for pool in POOLS:
                try:
                    await self._flush(pool, index, None)
                except ApiRefused as error:
                    refusals.append(error)
        return refusals

    async def finish_move(self, endpoint: EndpointName) -> bool:
        """Take an endpoint out of tables that it grew out of, once the pods have read its new one.

        Returns:
            Whether anything was written.
        """
        moved = False
        for pool in POOLS:
            entries = self._entries(pool)
            if not entries.has_left(endpoint) or not await self.has_arrived(pool, endpoint):
                continue
            for index in entries.leftovers(endpoint):
                entries.drop_leftover(endpoint, index)
                await self._flush(pool, index, endpoint)
                moved = True
            if not moved and await self.has_arrived(pool, endpoint, everywhere=True):
                entries.forget_left(endpoint)
        return moved

    async def has_arrived(
        self, pool: Pool, endpoint: EndpointName, *, everywhere: bool = False
    ) -> bool:
        """Say whether every ready pod has read an endpoint's own table, or all that it was in.

        A table that is not written was read by nobody; and pods of which none is ready may be ready
        again with what they read before, so they are waited for. A pool of none reads at its start.
        """
        selector = self.selector(pool)
        if selector is None:
            return True
        view = await self._pools.view(selector)
        wanted = self.readings(pool, endpoint)
        if not everywhere:
            file = table_file(pool, self._entries(pool).place(endpoint))
            wanted = {file: wanted[file]}
        if not all(wanted.values()) or (view.total and not view.ready):
            return False
        return view.having(wanted) >= view.ready

    async def _flush(self, pool: Pool, index: int, asking: EndpointName | None) -> None:
        """Write one table where it differs; `asking` is None for whoever asks for all endpoints."""
        entries, table = self._entries(pool), (pool, index)
        if asking is not None:
            # What it brought is written, or is just being written.
            while asking not in entries.news(index):
                async with self._leave():
                    is_over = await self._batches.settle(table)
                if not is_over:
                    if table in self._generations:
                        return
                    break
        async with self._leave():
            refusal = await self._batches.join(table, partial(self._write_news, pool, index))
        if refusal is None:
            return
        if asking is not None and asking not in refusal.news:
            _log.warning("table_not_written", pool=pool, index=index, reason=str(refusal.error))
            return
        if len(refusal.news) <= 1:
            raise refusal.error
        names = sorted(refusal.news) if asking is None else [asking]
        async with self._leave():
            last = await self._batches.alone(table, partial(self._write_each, pool, index, names))
        if last is not None:
            raise last.error

    async def _write_news(self, pool: Pool, index: int) -> _Refusal | None:
        """Write all that is news; returns the refusal."""
        news = self._entries(pool).news(index)
        try:
            await self._write(pool, index, news)
        except ApiRefused as error:
            return _Refusal(error, news)
        return None

    async def _write_each(
        self, pool: Pool, index: int, names: list[EndpointName]
    ) -> _Refusal | None:
        """Write the news of one endpoint after the other; returns the last refusal."""
        refusal: _Refusal | None = None
        for name in names:
            try:
                await self._write(pool, index, {name}, only=name)
            except ApiRefused as error:
                refusal = _Refusal(error, {name})
        return refusal

    async def _write(
        self, pool: Pool, index: int, news: set[EndpointName], only: EndpointName | None = None
    ) -> None:
        if pool == "receivers":
            routes = self._receivers.content(index, only)
            desired, generation = receiver_table(index, routes.values(), self._config)
            done = partial(self._receivers.done, index, routes)
        else:
            endpoints = self._processors.content(index, only)
            deleted = self._deleted.at(index)
            desired, generation = processor_table(index, endpoints.values(), deleted, self._config)
            done = partial(self._processors.done, index, endpoints)
        entries = self._entries(pool)
        entries.begin(index, news)
        try:
            applied = await self._applier.apply(with_object_hash(desired))
        except BaseException:
            entries.failed(index, news)
            raise
        done()
        self._generations.note((pool, index), generation, news)
        if applied != "same":
            _log.info("table_written", pool=pool, index=index, generation=generation)
            await self._touch(pool, index, generation)

    def _entries(self, pool: Pool) -> PoolEntries[ReceiverRoute] | PoolEntries[ProcessorEndpoint]:
        return self._receivers if pool == "receivers" else self._processors
