"""Fixtures of this level: one control plane for all, an installation for each test."""

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from support.nats.nats_server import NatsServer
from support.operator.control_plane import ControlPlane, assets
from support.operator.operator_process import Forebay

ROOT = Path(__file__).parents[2]
ROUTES = ROOT / "tests" / "data" / "input" / "operator" / "httproutes-crd.yaml"
CRD = ROOT / "charts" / "forebay" / "files" / "crds" / "webhookendpoints.yaml"

_numbers = itertools.count()


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Give a running etcd and kube-apiserver with our definition."""
    programs = assets()
    if programs is None:
        pytest.skip(
            "NOT RUN: there is no etcd and kube-apiserver. Set KUBEBUILDER_ASSETS to a folder with "
            "both, and run `make controlplane`."
        )
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"), programs)
    try:
        crds = [yaml.safe_load(file.read_text()) for file in (CRD, ROUTES)]
        plane.start({crd["metadata"]["name"]: crd for crd in crds})
        yield plane
    finally:
        plane.stop()


@pytest.fixture
async def forebay(
    tmp_path: Path, control_plane: ControlPlane, nats_server: NatsServer
) -> AsyncIterator[Forebay]:
    """Give an installation with a real NATS; tests start its operators."""
    installation = Forebay(tmp_path, control_plane, f"t{next(_numbers)}", nats_server.url)
    yield installation
    await installation.end()
