"""The operator may reach the API server at the port that it really has."""

from collections.abc import Iterator

import helm_python as helm
import pytest
import yaml

from support.cluster.chart import CHART, NAMESPACE, RELEASE
from support.operator.control_plane import ControlPlane

SLICE = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"
VALUES = {"host": "hooks.example.com", "crds": {"install": False}}
"""The CRD of the tests' API server is no release's."""

PORT = 16443
"""MicroK8s'."""


def ports(control_plane: ControlPlane) -> list[int]:
    """Return the ports of the policy that an install would make, without any effect."""
    with helm.Config(kubeconfig_path=control_plane.kubeconfig, namespace=NAMESPACE) as cluster:
        release = cluster.install(CHART, RELEASE, VALUES, dry_run="server")
    name = f"{RELEASE}-forebay-operator"
    (policy,) = (
        each
        for each in yaml.safe_load_all(release["manifest"])
        if each and each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == name
    )
    (rule,) = (
        each
        for each in policy["spec"]["egress"]
        if "to" not in each and {"port": 443, "protocol": "TCP"} in each["ports"]
    )
    return [each["port"] for each in rule["ports"]]


@pytest.fixture
def moved(control_plane: ControlPlane) -> Iterator[ControlPlane]:
    """Give an API server that says that it is at another port."""
    api = control_plane.api
    before = api.get(SLICE)
    assert before is not None
    assert api.merge(SLICE, {"ports": [{"name": "https", "port": PORT}]}).status == 200
    yield control_plane
    api.merge(SLICE, {"ports": before["ports"]})


def test_the_port_is_the_one_of_this_cluster(control_plane: ControlPlane) -> None:
    assert ports(control_plane) == [443, control_plane.port]


def test_another_port_is_found_too(moved: ControlPlane) -> None:
    assert ports(moved) == [443, PORT]
