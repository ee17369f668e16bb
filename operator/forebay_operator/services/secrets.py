"""The Secrets of one endpoint, read for one attempt and forgotten after it."""

from collections.abc import Mapping

from forebay.core.errors import ConfigurationError
from forebay_operator.adapters.cluster import Cluster
from forebay_operator.models.endpoint import ClusterEndpoint

__all__ = ["EndpointSecrets", "read_secrets"]


class EndpointSecrets:
    """Looks up keys, and remembers whether any was not there."""

    def __init__(self, secrets: Mapping[str, Mapping[str, str] | None]) -> None:
        self._secrets = secrets
        self.is_missing = False

    def __call__(self, namespace: str, name: str, key: str, /) -> str:
        """Return a value; raises ConfigurationError where there is none."""
        values = self._secrets.get(name)
        if values is None:
            self.is_missing = True
            message = f"there is no Secret {name!r} in namespace {namespace!r}: make it"
            raise ConfigurationError(message)
        if key not in values:
            self.is_missing = True
            message = f"Secret {name!r} has no key {key!r} with text in it: add it"
            raise ConfigurationError(message)
        return values[key]


async def read_secrets(cluster: Cluster, endpoint: ClusterEndpoint) -> EndpointSecrets:
    """Read all Secrets that an endpoint speaks of."""
    namespace = endpoint.endpoint.namespace
    return EndpointSecrets(
        {name: await cluster.secret(namespace, name) for name in sorted(endpoint.secrets)}
    )
