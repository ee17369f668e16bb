"""An operator that its own network policy keeps from the API server says so."""

import asyncio
from typing import cast

import pytest

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.errors import ApiUnavailable, ApiUnreachable, OperatorError
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.first_lists import fill_cache


class FailingCluster:
    """Does not answer."""

    def __init__(self, error: OperatorError) -> None:
        self.error = error
        self.asked = asyncio.Event()

    async def kinds(self) -> tuple[()]:
        """Fail."""
        self.asked.set()
        raise self.error


@pytest.mark.parametrize(
    ("error", "is_named"),
    [
        (ApiUnreachable("discovery: the API server did not answer (ConnectTimeout)"), True),
        (ApiUnavailable("discovery: the API server did not answer (ReadTimeout)"), False),
    ],
)
async def test_the_policy_and_the_value_are_named_where_no_connection_comes_about(
    error: OperatorError,
    *,
    is_named: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    played = FailingCluster(error)
    filling = asyncio.create_task(
        fill_cache(cast("Cluster", played), ClusterCache("fb"), "webhooks/fb-operator")
    )
    await played.asked.wait()  # and now it waits to ask again
    filling.cancel()
    logged = capsys.readouterr().out
    assert str(error) in logged
    for word in ("NetworkPolicy webhooks/fb-operator", "operator.networkPolicy.apiServerPorts"):
        assert (word in logged) is is_named
