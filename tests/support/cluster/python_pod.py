"""A program of a test's that runs as a pod, and is reached from pods and from this machine."""

from collections.abc import Mapping
from typing import Any

from support.cluster.cluster import image_of

__all__ = ["python_pod"]


def python_pod(
    name: str,
    namespace: str,
    program: str,
    *,
    ports: Mapping[str, int],
    ready: int,
    environment: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a Deployment and a Service.

    Args:
        name: Of both.
        namespace: Where.
        program: Python's; it runs in the processor's image, which has aiohttp.
        ports: What it listens on, by name; each has a node port too.
        ready: The port that is there when it is ready.
        environment: Its own variables.
    """
    labels = {"app": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    container = {
        "name": name,
        "image": image_of("processor"),
        "command": ["python", "-c", program],
        "env": [{"name": key, "value": value} for key, value in (environment or {}).items()],
        "readinessProbe": {"tcpSocket": {"port": ready}, "periodSeconds": 1},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": "NodePort",
            "selector": labels,
            "ports": [{"name": key, "port": port} for key, port in ports.items()],
        },
    }
    return deployment, service
