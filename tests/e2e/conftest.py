"""Fixtures of the e2e level: one installed release for all tests, one namespace for each."""

import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.cluster import Cluster, Helm
from support.tenant import Tenant

RELEASE = "forebay"
NAMESPACE = "forebay-e2e"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests of this folder on the session's loop, and give a cluster its time."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"))
            item.add_marker(pytest.mark.timeout(300))


class Release(Helm):
    """The release under test, and how it came to be."""

    seconds_to_ready = 0.0
    """From `helm install` until it returned, with all pods ready."""


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
    found = Release(RELEASE, NAMESPACE)
    await cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        }
    )
    await found.uninstall()
    left = ("delete", "namespaces", "-l", "forebay.dev/e2e=true")
    await cluster.kubectl(*left, within=120)
    await cluster.kubectl("delete", "pvc", "--all", "-n", NAMESPACE, within=120)
    began = time.monotonic()
    await found.install()
    found.seconds_to_ready = time.monotonic() - began
    yield found
    await found.uninstall()


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(cluster: Cluster, release: Release) -> AsyncIterator[Tenant]:
    """Give a namespace of the test's own, with a sink in it."""
    own = Tenant(cluster, release.namespace, f"e2e-{secrets.token_hex(4)}")
    await own.start()
    yield own
    await own.stop()
