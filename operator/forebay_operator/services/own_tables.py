"""What stands in the tables of an endpoint's own pods, as they were written last."""

from collections.abc import Iterator
from typing import NamedTuple

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import dedicated_shard
from forebay.core.tables import ProcessorTable, ReceiverTable
from forebay_operator.builders.names import PROCESSOR_COMPONENT, endpoint_meta, processor_meta
from forebay_operator.builders.tables import DEDICATED_FILE, DEDICATED_PROCESSORS_FILE
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey
from forebay_operator.services.stored_tables import read_table
from forebay_operator.settings.config import OperatorConfig

__all__ = ["OwnTable", "OwnTables"]


class OwnTable(NamedTuple):
    """The table of an endpoint's own processors."""

    is_there: bool
    table: ProcessorTable | None
    """None where there is none, or none that can be read."""


class OwnTables:
    """Reads the Secrets, which are the operator's memory of what it did."""

    def __init__(self, cache: ClusterCache, config: OperatorConfig) -> None:
        self._cache = cache
        self._config = config

    def receivers(self, endpoint: EndpointName) -> ReceiverTable | None:
        """Return the table of an endpoint's own receivers; None where there is none to be read."""
        name = str(endpoint_meta(endpoint, self._config).name)
        return read_table(self._cache, name, DEDICATED_FILE, ReceiverTable)

    def processors(self, endpoint: EndpointName) -> OwnTable:
        """Return the table of an endpoint's own processors."""
        name = str(processor_meta(endpoint, self._config).name)
        is_there = self._cache.object(ObjectKey("Secret", name)) is not None
        table = read_table(self._cache, name, DEDICATED_PROCESSORS_FILE, ProcessorTable)
        return OwnTable(is_there, table)

    def owned(self) -> Iterator[str]:
        """Yield the shards that endpoints have, had and may still use, or ask for."""
        yield from self.shards()
        for name, endpoint in self._cache.endpoints.items():
            if endpoint.wants_own_streams:
                yield dedicated_shard(name)

    def shards(self) -> Iterator[str]:
        """Yield the shards of all endpoints that have such a table, be they there or not."""
        for endpoint in self._cache.owners():
            kinds = {key.kind for key in self._cache.objects_of(endpoint, PROCESSOR_COMPONENT)}
            if "Secret" in kinds:
                yield dedicated_shard(endpoint)
