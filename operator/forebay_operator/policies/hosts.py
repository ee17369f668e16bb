"""Hosts of endpoints' own: which the installation allows, and which namespace holds one."""

from collections.abc import Iterable

from forebay_operator.models.endpoint import ClusterEndpoint

__all__ = ["holder_of", "is_allowed"]


def holder_of(host: str, endpoints: Iterable[ClusterEndpoint]) -> str | None:
    """Return the namespace that a host belongs to; None where nobody names it.

    The oldest endpoint decides; two of the same second go by name, so that every operator and every
    restart says the same. One that is being deleted holds its host until it is gone.
    """
    claims = [each for each in endpoints if each.host == host]
    if not claims:
        return None
    return min(claims, key=lambda each: (each.created, each.endpoint)).endpoint.namespace


def is_allowed(host: str, namespace: str, patterns: Iterable[str]) -> bool:
    """Say whether an endpoint of a namespace may name a host.

    A pattern is a host, `*.example.com` for all hosts below that one, however deep, or `*` for any;
    `{namespace}` in it stands for the endpoint's own.
    """
    return any(_fits(host, pattern.replace("{namespace}", namespace)) for pattern in patterns)


def _fits(host: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern[1:])
    return host == pattern
