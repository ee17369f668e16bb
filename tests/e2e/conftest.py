"""Fixtures of the e2e level: one installed release for all tests, one namespace for each."""

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.cluster.cluster import Cluster
from support.cluster.release import Release, fresh_release
from support.cluster.tenant import Tenant


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run all tests of this folder on the session's loop, and give a cluster its time.

    Long ones run only where they are asked for: `make e2e-long`.
    """
    is_long_wanted = "long" in str(config.option.markexpr)
    for item in list(items):
        if "e2e" not in item.path.parts:
            continue
        # In front of pytest-asyncio's own mark, for a loop a test: the first one counts.
        item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
        if item.get_closest_marker("long") is not None and not is_long_wanted:
            items.remove(item)
            config.hook.pytest_deselected(items=[item])


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Give the cluster that KUBECONFIG names."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster: run `make e2e`, or set it")
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on the PATH")
    return Cluster()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def release(cluster: Cluster) -> AsyncIterator[Release]:
    """Give a fresh release; what an earlier run left is removed first."""
    found = await fresh_release(cluster)
    yield found
    await found.uninstall()


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(cluster: Cluster, release: Release) -> AsyncIterator[Tenant]:
    """Give a namespace of the test's own, with a sink in it."""
    async with Tenant.running(cluster, release.namespace) as own:
        yield own
