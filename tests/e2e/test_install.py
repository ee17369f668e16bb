"""`helm install` makes a release that works."""

from support.cluster.cluster import Cluster, Helm


async def test_all_is_ready_within_a_minute(release: Helm, cluster: Cluster) -> None:
    assert release.seconds_to_ready < 60  # type: ignore[attr-defined]  # the fixture's own class
    pods = await cluster.list("pods", release.namespace, "app.kubernetes.io/managed-by!=Helm")
    for pod in pods:
        assert pod["status"]["phase"] == "Running", pod["metadata"]["name"]


async def test_helm_test_passes_and_says_what_it_saw(release: Helm) -> None:
    said = await release.test()
    for part in ("receivers", "webhooks", "processors"):
        assert f"ok     {part}: " in said
