"""Documents that cannot be taken hold up no others, and nothing of their content is logged."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters.cluster import Cluster
from forebay_operator.handlers.watches import hand_over
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.pod_reports import PodPage
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.first_lists import fill_cache

GOOD: Mapping[str, Any] = {
    "metadata": {
        "namespace": "acme",
        "name": "good",
        "uid": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    },
    "spec": {},
}


def odd() -> dict[str, Any]:
    document = copy.deepcopy(dict(GOOD))
    document["metadata"]["name"] = "odd"
    document["metadata"]["creationTimestamp"] = "hush-hush"
    return document


class PlayedCluster(Cluster):
    """Lists an endpoint that cannot be taken, and one that can."""

    def __init__(self) -> None:
        self.asked = 0

    @override
    async def kinds(self) -> tuple[()]:
        """Return no kind: there are no objects."""
        return ()

    @override
    async def pods(self) -> Any:  # yields nothing
        """Yield nothing."""
        nothing: tuple[PodPage, ...] = ()
        for each in nothing:
            yield each

    @override
    async def endpoints(self) -> list[Mapping[str, Any]]:
        """Return both."""
        return [odd(), GOOD]


async def test_an_endpoint_that_cannot_be_taken_keeps_nobody_from_the_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = ClusterCache("forebay")
    await fill_cache(PlayedCluster(), cache, "webhooks/fb-operator")
    assert list(cache.endpoints) == [EndpointName("acme", "good")]
    logged = capsys.readouterr().out
    assert "endpoint_not_taken" in logged
    assert "acme/odd" in logged
    assert "hush-hush" not in logged


def _take(cache: ClusterCache, document: Mapping[str, Any]) -> None:
    cache.put_endpoint(document)


def test_an_event_that_cannot_be_taken_is_reported_without_its_content(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache = ClusterCache("forebay")
    hand_over(lambda _, document: _take(cache, document), None, odd())
    logged = capsys.readouterr().out
    assert "event_not_taken" in logged
    assert "acme/odd" in logged
    assert "hush-hush" not in logged


def test_secrets_are_found_however_deep_a_spec_is_nested() -> None:
    node: object = [{"secretKeyRef": {"name": "crm", "key": "token"}}]
    for _ in range(10_000):
        node = {"a": [node]}
    endpoint = ClusterEndpoint.of({**GOOD, "spec": node})
    assert endpoint.secret_keys == {"crm": frozenset({"token"})}
