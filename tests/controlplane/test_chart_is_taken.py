"""The API server takes every object of the chart, with each set of values, strictly."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.cluster.chart import NAMESPACE, VALUE_SETS, render_set
from support.operator.control_plane import Api, ControlPlane

Json = Any

NOT_OURS = "monitoring.coreos.com/"
"""The Prometheus Operator's API, which this API server has not: its rules are promtool's to judge
(`tests/chart`)."""

STRICTLY = "dryRun=All&fieldValidation=Strict&fieldManager=tests&force=true"
APPLY = "application/apply-patch+yaml"


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> Iterator[dict[tuple[str, str], Json]]:
    """Give each kind's resource by version and kind, and a namespace for what is tried."""
    api = control_plane.api
    api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    versions = ["v1"] + [
        each["preferredVersion"]["groupVersion"] for each in (api.get("/apis") or {})["groups"]
    ]
    found: dict[tuple[str, str], Json] = {}
    for version in versions:
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        for resource in (api.get(root) or {})["resources"]:
            if "/" not in resource["name"]:
                found[version, resource["kind"]] = {**resource, "root": root}
    yield found
    api.delete(f"/api/v1/namespaces/{NAMESPACE}")


def tried(api: Api, kinds: dict[tuple[str, str], Json], manifest: Json) -> str | None:
    """Apply a manifest without any effect; returns why it is refused."""
    resource = kinds[manifest["apiVersion"], manifest["kind"]]
    where = f"/namespaces/{NAMESPACE}" if resource["namespaced"] else ""
    name = manifest["metadata"]["name"]
    path = f"{resource['root']}{where}/{resource['name']}/{name}?{STRICTLY}"
    answer = api.ask("PATCH", path, manifest, APPLY)
    return None if answer.status in {200, 201} else answer.message


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_object_is_taken(
    control_plane: ControlPlane, kinds: dict[tuple[str, str], Json], values: str
) -> None:
    refused = {
        f"{each['kind']}/{each['metadata']['name']}": why
        for each in render_set(values).objects
        if not each["apiVersion"].startswith(NOT_OURS)
        and (why := tried(control_plane.api, kinds, each)) is not None
    }
    assert refused == {}


def test_a_wrong_word_is_refused(
    control_plane: ControlPlane, kinds: dict[tuple[str, str], Json]
) -> None:
    service = json.loads(json.dumps(render_set("local").of_kind("Service")[0]))
    service["spec"]["type"] = "NodPort"
    assert "NodPort" in str(tried(control_plane.api, kinds, service))
    service["spec"]["type"] = "ClusterIP"
    service["spec"]["portz"] = []
    assert "portz" in str(tried(control_plane.api, kinds, service))
