"""What is built for an endpoint, against files that a person has read.

`make unit ARGS="-k desired_state --update-test-data"` writes them anew.
"""

from pathlib import Path

import pytest
import yaml
from lightkube.core.resource import api_info

from forebay_operator.builders.dedicated_processors import OwnProcessing
from forebay_operator.builders.desired import desired_state
from forebay_operator.builders.object_hash import document_of, has_all
from forebay_operator.builders.shared_receivers import shared_state
from forebay_operator.models.apis.gateway import HTTPRoute
from forebay_operator.models.apis.keda import ScaledObject
from forebay_operator.models.kinds import Managed, ServedKinds
from support.operator.operator_inputs import (
    installation,
    processing_of,
    read_manifest,
    route_of,
)

OUTPUT = Path(__file__).parents[1] / "data" / "output" / "operator"


def written(objects: tuple[Managed, ...]) -> str:
    """Return the objects as YAML, each with its kind."""
    documents = []
    for each in objects:
        about = api_info(each).resource
        head = {"apiVersion": about.api_version, "kind": about.kind}
        documents.append(head | document_of(each))
    return yaml.safe_dump_all(documents, sort_keys=False, width=100)


@pytest.mark.parametrize(
    ("name", "served"),
    [
        ("dedicated", ()),
        ("dedicated-gateway", (HTTPRoute,)),
        ("dedicated-keda", (ScaledObject,)),
        ("small", ()),
        ("shared", (HTTPRoute, ScaledObject)),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_objects_are_those_of_the_file(
    request: pytest.FixtureRequest, name: str, served: ServedKinds
) -> None:
    manifest = read_manifest(name.partition("-")[0])
    built = desired_state(manifest, route_of(manifest), installation(), served=served)
    judge(request, name, built.objects)


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "closed"])
def test_objects_of_its_own_processors_are_those_of_the_file(
    request: pytest.FixtureRequest,
    is_open: bool,  # noqa: FBT001
) -> None:
    manifest = read_manifest("own")
    entry = processing_of(manifest) if is_open else None
    own = OwnProcessing(entry=entry, has_pods=is_open)
    built = desired_state(manifest, route_of(manifest), installation(), served=(), own=own)
    judge(request, "own" if is_open else "own-closed", built.objects)


@pytest.mark.parametrize("served", [(), (ScaledObject,)], ids=["cpu", "keda"])
def test_scalers_of_the_pools_are_those_of_the_file(
    request: pytest.FixtureRequest, served: ServedKinds
) -> None:
    name = f"pools-{'keda' if served else 'cpu'}"
    judge(request, name, shared_state((), installation(), served=served))


def judge(request: pytest.FixtureRequest, name: str, objects: tuple[Managed, ...]) -> None:
    """Compare objects with a file, or write it."""
    file, text = OUTPUT / f"{name}.yaml", written(objects)
    if request.config.getoption("--update-test-data"):
        file.write_text(text)
    assert text == file.read_text()


def test_same_input_gives_the_same_objects() -> None:
    manifest = read_manifest("dedicated")
    first, second = (
        desired_state(manifest, route_of(manifest), installation(), served=()) for _ in range(2)
    )
    assert written(first.objects) == written(second.objects)
    assert first.generation == second.generation


def test_selectors_do_not_follow_the_spec() -> None:
    manifest = read_manifest("dedicated")
    spec = manifest.spec.model_copy(update={"provider": "generic", "host": None, "paused": True})
    changed = manifest.model_copy(update={"spec": spec})
    selectors = [
        [
            document["spec"]["selector"]
            for document in yaml.safe_load_all(
                written(desired_state(each, route_of(manifest), config, served=()).objects)
            )
            if document["kind"] in {"Deployment", "Service", "PodDisruptionBudget"}
        ]
        for each, config in ((manifest, installation()), (changed, installation(version="9.9.9")))
    ]
    assert len(selectors[0]) == 3
    assert selectors[0] == selectors[1]


def test_secrets_stand_in_the_table_alone() -> None:
    manifest = read_manifest("dedicated")
    built = desired_state(manifest, route_of(manifest), installation(), served=())
    for each in built.objects:
        assert "s3cret" not in str(document_of(each))
        if api_info(each).resource.kind != "Secret":
            assert "czNjcmV0" not in str(document_of(each))


@pytest.mark.parametrize(
    ("live", "desired", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"cpu": "500m"}, {"cpu": "0.5"}, True),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"memory": "1Gi"}, {"memory": "1G"}, False),
        ({"host": "a"}, {"host": "b"}, False),
        ({"a": None}, {"a": {}}, False),
    ],
)
def test_only_what_is_desired_counts(live: object, desired: object, *, same: bool) -> None:
    assert has_all(live, desired) is same
