"""The Secrets of one endpoint, read for one attempt and forgotten after it.

Of each only the keys that the endpoint names are kept, and of them no more than can stand in a
table: a tenant may name many Secrets, each of which may hold 1 MiB.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from forebay.core.errors import ConfigurationError
from forebay_operator.adapters.cluster import Cluster
from forebay_operator.models.endpoint import ClusterEndpoint

__all__ = ["EndpointSecrets", "in_kib", "read_secrets"]

ALL_TOGETHER: Final = 4
"""Times the limit of one value that all values of an endpoint together may have: some of them go to
receivers and some to processors, so not all count for one table."""


@dataclass(slots=True, kw_only=True)
class EndpointSecrets:
    """Looks up keys, and remembers what was wrong with any."""

    limit: int
    """Bytes that a value may have."""

    values: dict[str, dict[str, str] | None] = field(default_factory=dict)
    """By Secret and key; None for a Secret that is not there."""

    kept_bytes: int = 0
    """Of all values together."""

    too_large: dict[tuple[str, str], int] = field(default_factory=dict)
    """The bytes of each value that is not kept, by Secret and key."""

    changed: float = math.inf
    """When the one that was not written for longest was, in seconds since 1970."""

    is_missing: bool = False
    is_beyond_limit: bool = False

    def keep(self, name: str, values: Mapping[str, str], keys: frozenset[str]) -> None:
        """Keep the keys of a Secret that are named, as far as they fit."""
        kept: dict[str, str] = {}
        self.values[name] = kept
        for key in sorted(keys & values.keys()):
            size = len(values[key].encode())
            if size > min(self.limit, ALL_TOGETHER * self.limit - self.kept_bytes):
                self.too_large[name, key] = size
            else:
                kept[key] = values[key]
                self.kept_bytes += size

    def __call__(self, namespace: str, name: str, key: str, /) -> str:
        """Return a value; raises ConfigurationError where there is none that can be used."""
        values = self.values.get(name)
        if values is None:
            self.is_missing = True
            message = f"there is no Secret {name!r} in namespace {namespace!r}: make it"
            raise ConfigurationError(message)
        if (name, key) in self.too_large:
            self.is_beyond_limit = True
            message = (
                f"key {key!r} of Secret {name!r} has {in_kib(self.too_large[name, key])}, and an "
                f"endpoint may bring {in_kib(self.limit)} into a table: store less in it, such as "
                "the one authority that is needed, or have `limits.tableKiB` raised in the chart"
            )
            raise ConfigurationError(message)
        if key not in values:
            self.is_missing = True
            message = f"Secret {name!r} has no key {key!r} with text in it: add it"
            raise ConfigurationError(message)
        return values[key]


def in_kib(size: int) -> str:
    """Return a number of bytes in words, rounded up."""
    return f"{-(-size // 1024)} KiB"


async def read_secrets(cluster: Cluster, endpoint: ClusterEndpoint, limit: int) -> EndpointSecrets:
    """Read all Secrets that an endpoint speaks of, one after the other.

    Args:
        cluster: Where from.
        endpoint: Whose.
        limit: Bytes that a value may have.
    """
    found = EndpointSecrets(limit=limit)
    for name, keys in sorted(endpoint.secret_keys.items()):
        secret = await cluster.secret(endpoint.endpoint.namespace, name)
        if secret is None:
            found.values[name] = None
            continue
        found.keep(name, secret.values, keys)
        if secret.changed is not None:
            found.changed = min(found.changed, secret.changed)
    return found
