"""Which endpoints the processors' tables list as deleted: what comes up of those is dropped.

The Secrets are the memory: they outlive this process, and a second operator by mistake would else
write its own times over ours forever.
"""

import time
from collections.abc import Callable

from forebay.core.endpoint_name import EndpointName
from forebay_operator.builders.tables import latest_deleted, listed_as_deleted, table_name
from forebay_operator.services.cluster_cache import ClusterCache, ObjectKey
from forebay_operator.settings.config import OperatorConfig

__all__ = ["DeletedEndpoints"]


class DeletedEndpoints:
    """Each with the table that lists it, and the second in which it went."""

    def __init__(
        self, config: OperatorConfig, cache: ClusterCache, is_wanted: Callable[[EndpointName], bool]
    ) -> None:
        """Begin with none; `is_wanted` says whether an endpoint is there after all."""
        self._config = config
        self._cache = cache
        self._is_wanted = is_wanted
        self._deleted: dict[EndpointName, tuple[int, int]] = {}

    def __contains__(self, endpoint: EndpointName) -> bool:
        """Say whether an endpoint is listed."""
        return endpoint in self._deleted

    def load(self, index: int) -> None:
        """Take those that a table lists."""
        for name, when in self._listed(index).items():
            self._deleted.setdefault(name, (index, when))

    def add(self, endpoint: EndpointName, index: int) -> None:
        """List one in a table from now on."""
        self._deleted[endpoint] = (index, int(time.time()))

    def pop(self, endpoint: EndpointName) -> int | None:
        """Take one off the list; returns the table that listed it, None where none did."""
        listed = self._deleted.pop(endpoint, None)
        return None if listed is None else listed[0]

    def at(self, index: int) -> dict[EndpointName, int]:
        """Return what a table is to list, with the times that stand in the Secret already."""
        ours = {name: when for name, (table, when) in self._deleted.items() if table == index}
        gone = {
            name: when
            for name, when in (ours | self._listed(index)).items()
            if not self._is_wanted(name)
        }
        kept = latest_deleted(gone, time.time() - self._config.tables.deleted_for_seconds)
        for name in ours.keys() - kept.keys():
            self._deleted.pop(name, None)
        return kept

    def _listed(self, index: int) -> dict[EndpointName, int]:
        name = table_name("processors", index, self._config)
        return listed_as_deleted(self._cache.object(ObjectKey("Secret", name)) or {})
