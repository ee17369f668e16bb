"""The release that e2e tests use, and how one is made on a cluster that may hold an earlier one."""

import time
from typing import Final

from support.cluster.cluster import Cluster, Helm, image_of, restricted_pod

__all__ = ["NAMESPACE", "RELEASE", "Release", "fresh_release"]

NATS_USER: Final = 65532

RELEASE: Final = "forebay"
NAMESPACE: Final = "forebay-e2e"


class Release(Helm):
    """The release under test, and how it came to be."""

    seconds_to_ready = 0.0
    """From `helm install` until it returned, with all pods ready."""


async def fresh_release(cluster: Cluster, *further: str) -> Release:
    """Install a release; what an earlier run left is removed first.

    Args:
        cluster: Where.
        further: Arguments of `helm install`.
    """
    found = Release(RELEASE, NAMESPACE)
    await cluster.namespace(NAMESPACE, {"pod-security.kubernetes.io/enforce": "restricted"})
    await found.uninstall()
    left = ("delete", "namespaces", "-l", "forebay.dev/e2e=true")
    await cluster.kubectl(*left, within=120)
    await wipe_volumes(cluster)
    began = time.monotonic()
    await found.install(*further)
    found.seconds_to_ready = time.monotonic() - began
    return found


async def wipe_volumes(cluster: Cluster) -> None:
    """Empty the volumes of an earlier run. Claims stay: not every cluster makes new volumes."""
    claims = [each["metadata"]["name"] for each in await cluster.list("pvc", NAMESPACE)]
    if not claims:
        return
    container = {
        "name": "wipe",
        "image": image_of("processor"),
        "command": ["find", "/volumes", "-mindepth", "2", "-delete"],
        "volumeMounts": [{"name": each, "mountPath": f"/volumes/{each}"} for each in claims],
    }
    volumes = [{"name": each, "persistentVolumeClaim": {"claimName": each}} for each in claims]
    await cluster.apply(
        restricted_pod("wipe", NAMESPACE, container, user=NATS_USER, volumes=volumes)
    )
    await cluster.wait_done("wipe", NAMESPACE)
    await cluster.delete("pod", "wipe", NAMESPACE)
