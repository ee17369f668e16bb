"""A real cluster, by `kubectl` and `helm`, for tests of an installed release.

Any cluster that KUBECONFIG names will do; NodePorts are reached at FOREBAY_E2E_HOST, 127.0.0.1
where it is not set. Images are those of FOREBAY_E2E_VALUES, by default the chart's
`ci/local-values.yaml`.
"""

import builtins
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from support.cluster.chart import CHART
from support.programs.command import run
from support.timing.wait import eventually

__all__ = ["HOST", "VALUES", "Cluster", "Helm", "image_of", "is_ready", "restricted_pod"]

HOST: Final = os.environ.get("FOREBAY_E2E_HOST", "127.0.0.1")
VALUES: Final = Path(os.environ.get("FOREBAY_E2E_VALUES", CHART / "ci" / "local-values.yaml"))

Document = dict[str, Any]


def is_ready(endpoint: Document, kind: str = "Ready") -> bool:
    """Say whether a condition is true, and about the spec as it is now."""
    found = condition(endpoint, kind)
    return (
        found.get("status") == "True"
        and found.get("observedGeneration") == endpoint["metadata"]["generation"]
    )


def condition(endpoint: Document, kind: str) -> Document:
    """Return one condition, or an empty record where it is not there."""
    conditions: list[Document] = endpoint.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def image_of(part: str) -> str:
    """Return the image of a part as the release has it."""
    image = yaml.safe_load(VALUES.read_text())["image"]
    return f"{image['registry']}/forebay-{part}:{image['tag']}"


def restricted_pod(
    name: str,
    namespace: str,
    container: Document,
    *,
    user: int,
    labels: Mapping[str, str] | None = None,
    **spec: object,
) -> Document:
    """Return a pod that runs once and keeps to Pod Security "restricted".

    Args:
        name: Its name.
        namespace: Where.
        container: Its one container, without a security context.
        user: Who runs it.
        labels: Its labels.
        spec: What else stands in its spec.
    """
    security = {
        "runAsUser": user,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    metadata = {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})}
    containers = [{**container, "securityContext": security}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"restartPolicy": "Never", "containers": containers, **spec},
    }


class Cluster:
    """What tests ask of the API server."""

    async def kubectl(self, *arguments: str, text: str | None = None, within: float = 60.0) -> str:
        """Run kubectl."""
        return await run("kubectl", *arguments, text=text, within=within)

    async def apply(self, *documents: Mapping[str, Any]) -> None:
        """Apply documents, as `kubectl apply -f` does."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        await self.kubectl("apply", "-f", "-", text=text)

    async def get(self, kind: str, name: str, namespace: str) -> Document:
        """Return one object."""
        text = await self.kubectl("get", kind, name, "-n", namespace, "-o", "json")
        result: Document = json.loads(text)
        return result

    async def list(self, kinds: str, namespace: str, labels: str = "") -> list[Document]:
        """Return objects of one or several kinds, by label."""
        text = await self.kubectl("get", kinds, "-n", namespace, "-l", labels, "-o", "json")
        result: list[Document] = json.loads(text)["items"]
        return result

    async def delete(self, kind: str, name: str, namespace: str, *, within: float = 60.0) -> None:
        """Delete an object and wait until it is gone."""
        arguments = ("delete", kind, name, "-n", namespace, "--ignore-not-found")
        await self.kubectl(*arguments, within=within)

    async def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Make a namespace where it is not there."""
        metadata = {"name": name, **({"labels": labels} if labels else {})}
        await self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    async def wait_ready(self, name: str, namespace: str, *, within: float = 30.0) -> Document:
        """Wait until an endpoint is ready for its spec as it is, and return it."""

        async def look() -> Document | None:
            endpoint = await self.get("webhookendpoint", name, namespace)
            return endpoint if is_ready(endpoint) else None

        saying = f"{namespace}/{name} to be ready"
        found = await eventually(look, within=within, saying=saying)
        assert found is not None
        return found

    async def wait_condition(
        self, name: str, namespace: str, kind: str, reasons: Iterable[str], *, within: float = 30.0
    ) -> Document:
        """Wait until a condition has one of these reasons, and return the condition."""
        wanted = set(reasons)

        async def look() -> Document | None:
            endpoint = await self.get("webhookendpoint", name, namespace)
            found = condition(endpoint, kind)
            return found if found.get("reason") in wanted else None

        found = await eventually(look, within=within, saying=f"{kind} to be {sorted(wanted)}")
        assert found is not None
        return found

    async def wait_done(self, pod: str, namespace: str) -> None:
        """Wait until a pod has run to its end."""
        done = ("--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
        await self.kubectl("wait", f"pod/{pod}", "-n", namespace, *done, within=70)

    async def samples(self, pod: str, namespace: str) -> builtins.list[Sample]:
        """Return all samples of the metrics that a pod of Forebay's shows."""
        where = f"/api/v1/namespaces/{namespace}/pods/{pod}:9090/proxy/metrics"
        text = await self.kubectl("get", "--raw", where)
        return [each for family in text_string_to_metric_families(text) for each in family.samples]

    async def wait_rolled(self, kind: str, name: str, namespace: str) -> None:
        """Wait until a rollout is through."""
        arguments = ("rollout", "status", f"{kind}/{name}", "-n", namespace, "--timeout=90s")
        await self.kubectl(*arguments, within=100)


class Helm:
    """One release of the chart."""

    def __init__(self, release: str, namespace: str) -> None:
        """Name it; nothing is done yet."""
        self.release = release
        self.namespace = namespace

    async def _helm(self, *arguments: str, within: float = 180.0) -> str:
        return await run("helm", *arguments, "-n", self.namespace, within=within)

    async def install(self, *further: str) -> str:
        """Install, and wait until all is ready, for a minute at most."""
        # The CRD outlives releases: one of another name may have left it.
        arguments = ("install", self.release, str(CHART), "-f", str(VALUES), "--take-ownership")
        return await self._helm(*arguments, "--wait", "--timeout", "60s", *further)

    async def upgrade(self, *further: str) -> str:
        """Upgrade, and wait until all is ready."""
        arguments = ("upgrade", self.release, str(CHART), "-f", str(VALUES))
        return await self._helm(*arguments, "--wait", "--timeout", "120s", *further)

    async def revision(self) -> int:
        """Return the revision that is installed."""
        text = await self._helm("status", self.release, "--output", "json")
        return int(json.loads(text)["version"])

    async def rollback(self, revision: int) -> str:
        """Go back to a revision, and wait until all is ready."""
        arguments = ("rollback", self.release, str(revision))
        return await self._helm(*arguments, "--wait", "--timeout", "120s")

    async def test(self) -> str:
        """Run `helm test` and return what it printed, its pod's log with it."""
        return await self._helm("test", self.release, "--logs")

    async def uninstall(self) -> str:
        """Uninstall, and wait until its objects are gone."""
        arguments = ("uninstall", self.release, "--ignore-not-found", "--wait")
        return await self._helm(*arguments, "--timeout", "120s")
