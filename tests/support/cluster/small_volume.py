"""A volume that is really full: a tmpfs on the node, bound to the claim of the release's NATS.

The tmpfs is mounted in the node's own mount namespace by a privileged pod: a volume that a pod
mounts by itself would go with it, and a Memory emptyDir goes with NATS' pod.
"""

import json
import secrets
from typing import Any, Final

from support.cluster.cluster import Cluster, image_of
from support.timing.wait import eventually

__all__ = ["SmallVolume"]

NATS: Final = "forebay-nats"
CLAIM: Final = f"data-{NATS}-0"
NATS_USER: Final = 65532

_ENTER: Final = """\
kubelet=$(grep -lx kubelet /proc/[0-9]*/comm | head -n 1 | cut -d / -f 3)
exec nsenter --target "$kubelet" --mount -- sh -c "$0"
"""
"""Runs a script, the next argument, where the kubelet sees what is mounted."""

Document = dict[str, Any]


class SmallVolume:
    """A few MiB for NATS; `begin` puts it in the place of the release's volume."""

    def __init__(self, cluster: Cluster, *, release: str, tenant: str, mebibytes: int) -> None:
        """Prepare.

        Args:
            cluster: Where; it has to allow privileged pods in the tenant's namespace.
            release: The namespace of the release.
            tenant: The namespace of the test.
            mebibytes: Its size.
        """
        self._cluster = cluster
        self._release = release
        self._tenant = tenant
        self._size = mebibytes
        self._name = f"e2e-small-{secrets.token_hex(4)}"
        self._folder = f"/var/lib/{self._name}"
        self._own = ""
        self._policy = ""

    async def begin(self) -> None:
        """Stop NATS, give it the small volume, empty as it is, and start it again."""
        await self._cluster.apply(self._helper())
        await self._cluster.kubectl(
            *("wait", "pod/small-volume", "-n", self._tenant),
            *("--for=condition=Ready", "--timeout=30s"),
        )
        await self._on_node(
            f"mkdir -p {self._folder} && "
            f"mount -t tmpfs -o size={self._size}m,uid={NATS_USER},gid={NATS_USER} "
            f"tmpfs {self._folder}"
        )
        claim = await self._cluster.get("pvc", CLAIM, self._release)
        self._own = claim["spec"]["volumeName"]
        volume = await self._cluster.get("pv", self._own, self._release)
        self._policy = volume["spec"]["persistentVolumeReclaimPolicy"]
        await self._patch_own({"persistentVolumeReclaimPolicy": "Retain"})
        await self._stop_nats()
        await self._cluster.apply(self._volume(), self._claim())
        await self._start_nats()

    async def end(self) -> None:
        """Give NATS its own volume back, and take the small one away."""
        if self._own:
            await self._stop_nats()
            # Without them it is free for the next claim of that name.
            await self._patch_own({"claimRef": {"uid": None, "resourceVersion": None}})
            await self._start_nats()
            await self._patch_own({"persistentVolumeReclaimPolicy": self._policy})
        await self._cluster.kubectl("delete", "pv", self._name, "--ignore-not-found")
        await self._on_node(f"umount {self._folder}; rmdir {self._folder}")

    async def fill(self) -> None:
        """Leave no byte of room."""
        # It ends when there is no space left, which is no fault here.
        await self._on_node(f"cat /dev/zero > {self._folder}/filler 2>/dev/null || true")

    async def make_room(self) -> None:
        """Take away what fills it, as a person would by enlarging it."""
        await self._on_node(f"rm {self._folder}/filler")

    async def restarts(self) -> int:
        """Return how often the kubelet started NATS anew."""
        pod = await self._cluster.get("pod", f"{NATS}-0", self._release)
        return sum(each["restartCount"] for each in pod["status"].get("containerStatuses", ()))

    async def is_killed_by_probe(self) -> bool:
        """Say whether the kubelet reported that it ends NATS because of its liveness probe."""
        which = f"involvedObject.name={NATS}-0,reason=Killing"
        text = await self._cluster.kubectl(
            *("get", "events", "-n", self._release, "--field-selector", which),
            *("-o", "jsonpath={.items[*].message}"),
        )
        return "failed liveness probe" in text

    async def is_ready(self) -> bool:
        """Say whether NATS is ready and its start is over."""
        pod = await self._cluster.get("pod", f"{NATS}-0", self._release)
        states = pod["status"].get("containerStatuses") or [{}]
        return all(each.get("ready") and each.get("started") for each in states)

    async def _patch_own(self, spec: Document) -> None:
        patch = json.dumps({"spec": spec})
        await self._cluster.kubectl("patch", "pv", self._own, "--type=merge", "-p", patch)

    async def _stop_nats(self) -> None:
        scale = ("scale", f"statefulset/{NATS}", "-n", self._release, "--replicas=0")
        await self._cluster.kubectl(*scale)
        gone = ("wait", f"pod/{NATS}-0", "-n", self._release, "--for=delete", "--timeout=60s")
        await self._cluster.kubectl(*gone, within=70)
        await self._cluster.delete("pvc", CLAIM, self._release)

    async def _start_nats(self) -> None:
        scale = ("scale", f"statefulset/{NATS}", "-n", self._release, "--replicas=1")
        await self._cluster.kubectl(*scale)
        await eventually(self._is_there, within=20, saying="NATS' pod")
        await eventually(self.is_ready, within=60, saying="NATS to be ready")

    async def _is_there(self) -> bool:
        return bool(
            await self._cluster.list("pods", self._release, "app.kubernetes.io/component=nats")
        )

    async def _on_node(self, script: str) -> None:
        where = ("exec", "small-volume", "-n", self._tenant)
        await self._cluster.kubectl(*where, "--", "sh", "-c", _ENTER, script)

    def _helper(self) -> Document:
        container = {
            "name": "small-volume",
            "image": image_of("processor"),
            "command": ["sleep", "infinity"],
            "securityContext": {"privileged": True, "runAsUser": 0},
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "small-volume", "namespace": self._tenant},
            "spec": {
                "hostPID": True,
                "containers": [container],
                "terminationGracePeriodSeconds": 0,
            },
        }

    def _volume(self) -> Document:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": self._name},
            "spec": {
                "capacity": {"storage": f"{self._size}Mi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "claimRef": {"namespace": self._release, "name": CLAIM},
                "hostPath": {"path": self._folder, "type": "Directory"},
            },
        }

    def _claim(self) -> Document:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": CLAIM, "namespace": self._release},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "",
                "volumeName": self._name,
                "resources": {"requests": {"storage": f"{self._size}Mi"}},
            },
        }
