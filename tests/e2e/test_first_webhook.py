"""The commands of docs/kubernetes.md work as they stand there."""

import re
import secrets
from pathlib import Path

from support.cluster.chart import CHART
from support.cluster.cluster import Cluster, Helm
from support.programs.command import run
from support.programs.ports import free_port

ROOT = CHART.parents[1]
PAGE = ROOT / "docs" / "kubernetes.md"
EXAMPLE = ROOT / "examples" / "meta.yaml"


def commands(heading: str) -> str:
    """Return the commands of a section of the page."""
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    assert found, heading
    return "\n".join(found)


async def test_the_first_webhook_arrives(cluster: Cluster, release: Helm, tmp_path: Path) -> None:
    namespace = f"e2e-{secrets.token_hex(4)}"
    example = tmp_path / "meta.yaml"
    example.write_text(EXAMPLE.read_text().replace("namespace: demo", f"namespace: {namespace}"))
    script = commands("The first webhook")
    port = free_port()
    for written, here in (
        ("examples/meta.yaml", str(example)),
        ("-n forebay ", f"-n {release.namespace} "),
        ("demo", namespace),
        ("8080:8080", f"{port}:8080"),
        ("127.0.0.1:8080", f"127.0.0.1:{port}"),
    ):
        assert written in script, written
        script = script.replace(written, here)
    try:
        said = await run("bash", "-euc", f"trap 'kill %1' EXIT\n{script}", within=100)
    finally:
        await cluster.delete("webhookendpoint", "meta", namespace)
        await cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    assert "HTTP/1.1 200 OK" in said
    assert re.search(r"^meta +\S+/meta +True ", said, re.MULTILINE)
    item = said.splitlines()[-1]
    assert '"destination": "log"' in item
    assert f'"namespace": "{namespace}"' in item
