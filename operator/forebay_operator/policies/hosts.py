"""Who holds a host of its own: the namespace whose endpoint named it first."""

from collections.abc import Iterable

from forebay_operator.models.endpoint import ClusterEndpoint

__all__ = ["holder_of"]


def holder_of(host: str, endpoints: Iterable[ClusterEndpoint]) -> str | None:
    """Return the namespace that a host belongs to; None where nobody names it.

    The oldest endpoint decides; two of the same second go by name, so that every operator and every
    restart says the same. One that is being deleted holds its host until it is gone.
    """
    claims = [each for each in endpoints if each.host == host]
    if not claims:
        return None
    return min(claims, key=lambda each: (each.created, each.endpoint)).endpoint.namespace
