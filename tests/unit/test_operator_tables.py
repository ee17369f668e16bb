"""What the shared tables say while endpoints move, go and come back, with a cluster that is played.

The pods that read the tables are played too: they have read what the test says that they have.
"""

import base64
import itertools
from collections.abc import Mapping

from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import (
    Authentication,
    HeaderCheck,
    ProcessorEndpoint,
    ProcessorTable,
    ReceiverRoute,
    ReceiverTable,
    decode_table,
)
from forebay_operator.builders.names import table_index
from forebay_operator.builders.object_hash import document_of
from forebay_operator.builders.tables import Pool, table_file, table_name
from forebay_operator.errors import ApiRefused
from forebay_operator.models.kinds import Managed
from forebay_operator.models.pod_reports import PodPage
from forebay_operator.services.applier import Applied, Applier
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey
from forebay_operator.services.table_placement import TABLE_BYTES
from forebay_operator.services.table_readers import Pools, PoolView
from forebay_operator.services.table_reconciler import RouteTables
from forebay_operator.settings.config import TableSettings
from support.operator.operator_inputs import installation

NAME = EndpointName("acme", "sales")
VERSIONS = itertools.count(1)
"""Of objects, which outlive an operator."""


class PlayedApplier(Applier):
    """Writes into the cache, but for what it is to refuse."""

    def __init__(self, cache: ClusterCache) -> None:
        self.cache = cache
        self.refused: set[str] = set()
        self.order: list[str] = []

    @override
    async def apply(self, desired: Managed) -> Applied:
        """Write it, whether it differs or not."""
        document = document_of(desired)
        name = document["metadata"]["name"]
        if name in self.refused:
            raise ApiRefused(name)
        metadata = document["metadata"] | {"resourceVersion": str(next(VERSIONS)), "uid": name}
        self.order.append(name)
        self.cache.put_object(document | {"kind": "Secret", "metadata": metadata})
        return "changed"


class PlayedPools(Pools):
    """Pods that have read what is in `has_read`."""

    def __init__(self) -> None:
        self.total = self.ready = 1
        self.has_read: dict[str, str] = {}

    @override
    async def view(self, selector: Mapping[str, str]) -> PoolView:
        """Return the same pods for both pools."""
        page = PodPage(generations=dict(self.has_read))
        return PoolView(self.total, 0, self.ready, (page,) * self.ready)

    @override
    async def touch(self, selector: Mapping[str, str], mark: str) -> None:
        """Wake nobody."""


class TablesAlone:
    """Tables with all around them."""

    def __init__(self, cache: ClusterCache | None = None, count: int = 2) -> None:
        self.config = installation(tables=TableSettings(count=count))
        self.cache = cache or ClusterCache(self.config.name)
        self.applier = PlayedApplier(self.cache)
        self.pools = PlayedPools()
        self.tables = RouteTables(self.config, self.cache, self.applier, self.pools)

    def read_all(self) -> None:
        """Have the pods read everything."""
        for pool in ("receivers", "processors"):
            for index in range(self.config.tables.count):
                table = self.table(pool, index)
                if table is not None:
                    self.pools.has_read[table_file(pool, index)] = table.generation

    def table(self, pool: Pool, index: int) -> ReceiverTable | ProcessorTable | None:
        """Return what stands in a table; None where there is none."""
        key = ObjectKey("Secret", table_name(pool, index, self.config))
        document = self.cache.object(key)
        if document is None:
            return None
        data = base64.b64decode(document["data"][table_file(pool, index)])
        if pool == "receivers":
            return decode_table(data, ReceiverTable)
        return decode_table(data, ProcessorTable)

    def receivers(self) -> list[list[str]]:
        """Return the names in each of the receivers' tables."""
        return [
            [each.name for each in table.routes] if isinstance(table, ReceiverTable) else []
            for table in (self.table("receivers", index) for index in range(2))
        ]

    def processors(self) -> list[list[str]]:
        """Return the names in each of the processors' tables."""
        return [
            [each.name for each in table.endpoints] if isinstance(table, ProcessorTable) else []
            for table in (self.table("processors", index) for index in range(2))
        ]

    async def put(self, size: int = 1) -> dict[Pool, str]:
        """Have the endpoint in both pools, written as far as it is not refused."""
        assert self.tables.put_endpoint(processing(NAME.name, size))
        assert self.tables.put_route(NAME, route())
        return await self.tables.flush(NAME)


def route(name: str = NAME.name, size: int = 1) -> ReceiverRoute:
    header = HeaderCheck(name="authorization", values=("x" * size,))
    checks = Authentication(headers=(header,))
    return ReceiverRoute(
        namespace=NAME.namespace, name=name, provider="meta", authentication=checks
    )


def processing(name: str, size: int = 1) -> ProcessorEndpoint:
    return ProcessorEndpoint(
        namespace=NAME.namespace, name=name, provider="meta", channel="1" * size
    )


def neighbour_of(index: int) -> str:
    return next(
        f"n{number}"
        for number in range(99)
        if table_index(EndpointName(NAME.namespace, f"n{number}"), 2) == index
    )


async def grown_out(alone: TablesAlone) -> tuple[int, int]:
    """Return the tables that an endpoint stands in and goes to, the second one not written yet."""
    home = table_index(NAME, 2)
    await alone.put()
    assert alone.tables.put_endpoint(processing(neighbour_of(home), TABLE_BYTES - 2000))
    await alone.tables.flush_all()
    alone.read_all()
    assert alone.tables.put_endpoint(processing(NAME.name, 5000))
    return home, 1 - home


async def test_who_moves_stays_where_it_was_while_the_new_table_is_refused() -> None:
    alone = TablesAlone()
    old, new = await grown_out(alone)
    alone.applier.refused.add(table_name("processors", new, alone.config))
    assert "processors" in await alone.tables.flush(NAME)
    for alone.pools.ready in (1, 0):
        assert not await alone.tables.finish_move(NAME)
    assert NAME.name in alone.processors()[old]


async def test_who_moves_stays_where_it_was_while_no_pod_is_ready() -> None:
    alone = TablesAlone()
    old, new = await grown_out(alone)
    await alone.tables.flush(NAME)
    alone.pools.ready = 0
    assert not await alone.tables.finish_move(NAME)
    assert NAME.name in alone.processors()[old]
    alone.pools.ready = 1
    alone.read_all()
    assert await alone.tables.finish_move(NAME)
    assert NAME.name not in alone.processors()[old]
    assert NAME.name in alone.processors()[new]


async def test_a_deletion_that_was_half_written_is_written_whole_after_a_restart() -> None:
    alone = TablesAlone()
    await alone.put()
    alone.tables.mark_deleted(NAME)
    home = table_index(NAME, 2)
    alone.applier.refused.add(table_name("receivers", home, alone.config))
    await alone.tables.flush(NAME)
    assert NAME.name in alone.receivers()[home]
    assert NAME.name not in alone.processors()[home]

    again = TablesAlone(alone.cache)
    again.tables.load()
    assert not again.tables.has_shared_route(NAME)
    await again.tables.flush(NAME)
    assert again.receivers() == [[], []]


async def test_a_deletion_waits_for_the_table_that_the_endpoint_stood_in() -> None:
    alone = TablesAlone()
    old, new = await grown_out(alone)
    await alone.tables.flush(NAME)
    alone.read_all()
    assert await alone.tables.finish_move(NAME)
    alone.read_all()
    assert not await alone.tables.finish_move(NAME)  # forgets the old table: all have read it

    alone.tables.mark_deleted(NAME)
    await alone.tables.flush(NAME)
    readings = alone.tables.readings("processors", NAME)
    stood = table_file("processors", new)
    assert alone.pools.has_read[stood] not in readings[stood]
    alone.read_all()
    readings = alone.tables.readings("processors", NAME)
    assert all(alone.pools.has_read[file] in known for file, known in readings.items())
    alone.tables.forget(NAME)
    assert stood not in alone.tables.readings("processors", NAME)
    assert old == table_index(NAME, 2)


async def test_processors_get_a_new_endpoint_first_and_lose_a_deleted_one_last() -> None:
    alone = TablesAlone()
    await alone.put()
    home = table_index(NAME, 2)
    names = [table_name(pool, home, alone.config) for pool in ("processors", "receivers")]
    assert alone.applier.order == names
    alone.applier.order.clear()
    alone.tables.mark_deleted(NAME)
    await alone.tables.flush(NAME)
    assert alone.applier.order == names[::-1]


async def test_who_comes_back_is_received_once_no_processor_takes_it_for_deleted() -> None:
    alone = TablesAlone()
    await alone.put()
    assert await alone.tables.may_be_received(NAME)
    alone.tables.mark_deleted(NAME)
    await alone.tables.flush(NAME)
    alone.read_all()

    assert alone.tables.put_endpoint(processing(NAME.name))
    assert not await alone.tables.may_be_received(NAME)
    await alone.tables.flush(NAME)
    assert not await alone.tables.may_be_received(NAME)
    alone.pools.ready = 0
    assert not await alone.tables.may_be_received(NAME)
    alone.pools.ready = 1
    alone.read_all()
    assert await alone.tables.may_be_received(NAME)


async def test_who_came_back_is_waited_for_over_a_restart_too() -> None:
    alone = TablesAlone()
    await alone.put()
    alone.tables.mark_deleted(NAME)
    await alone.tables.flush(NAME)
    alone.read_all()
    assert alone.tables.put_endpoint(processing(NAME.name))
    await alone.tables.flush(NAME)
    stale = alone.pools.has_read

    alone.cache.put_endpoint(
        {
            "metadata": {
                "namespace": NAME.namespace,
                "name": NAME.name,
                "uid": "2",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            }
        }
    )
    again = TablesAlone(alone.cache)
    again.tables.load()
    again.pools.has_read = stale
    await again.tables.flush(NAME)
    assert not await again.tables.may_be_received(NAME)
    again.read_all()
    assert await again.tables.may_be_received(NAME)
