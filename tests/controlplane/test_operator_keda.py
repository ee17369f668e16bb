"""Where KEDA is installed ScaledObjects are made, and the autoscaler is handed over both ways.

KEDA itself does not run here: what it writes, by its sources, is written by the test.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.operator.operator_process import Forebay, Operator, manifest
from support.timing.wait import eventually

Json = Any

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITION = f"{DEFINITIONS}/scaledobjects.keda.sh"
ALL = "/apis/keda.sh/v1alpha1/scaledobjects"
FILE = Path(__file__).parents[1] / "data" / "input" / "operator" / "scaledobjects-crd.yaml"

KEDA = {"enabled": True, "operatorServiceName": "fb-operator-admin"}
QUICK = {"statusSeconds": 1, "podSeconds": 1, "discoverySeconds": 0.5}
POOLS = {
    "sharedReceivers": {
        "serviceName": "fb-receivers",
        "adminServiceName": "fb-receivers-admin",
        "pods": {"matchLabels": {"pool": "receivers"}},
        "scaling": {"deployment": "fb-receivers", "min": 2, "max": 9},
    },
    "processors": {
        "pods": {"matchLabels": {"pool": "processors"}},
        "scaling": {"deployment": "fb-processors", "min": 1, "max": 8},
    },
}


def is_served(forebay: Forebay) -> bool:
    return forebay.api.ask("GET", ALL).status == 200


async def install(forebay: Forebay) -> None:
    forebay.api.create(DEFINITIONS, yaml.safe_load(FILE.read_text()))
    await eventually(lambda: is_served(forebay), within=20, saying="KEDA's API")


async def remove(forebay: Forebay) -> None:
    for each in forebay.api.items(ALL) if is_served(forebay) else []:
        metadata = each["metadata"]
        path = forebay.path("scaledobjects", metadata["name"], metadata["namespace"])
        forebay.api.merge(path, {"metadata": {"finalizers": None}})
    forebay.api.delete(DEFINITION)
    await eventually(lambda: forebay.api.get(DEFINITION) is None, within=20, saying="its end")
    await eventually(lambda: not is_served(forebay), within=20, saying="its API to go")


@pytest.fixture
async def keda(forebay: Forebay) -> AsyncIterator[Forebay]:
    """Give an installation where KEDA's definition is."""
    await install(forebay)
    yield forebay
    await remove(forebay)


async def ready(forebay: Forebay, **config: Json) -> Operator:
    """Start an operator over one Dedicated endpoint."""
    forebay.secret()
    forebay.apply(manifest(forebay.tenant, "sales"))
    operator = forebay.operator(**({"keda": KEDA, "limits": QUICK} | config))
    await operator.start()
    await forebay.wait_condition("sales", "ReceiversReady", "NoPodReady")
    return operator


async def pass_once_more(forebay: Forebay) -> None:
    """Have the operator see to all of the endpoint, and wait until it has."""
    forebay.secret(token="another")
    await eventually(lambda: "Rotated" in forebay.events("sales"), within=20, saying="another pass")


def scaled(forebay: Forebay, name: str | None = "sales") -> list[Json]:
    return forebay.objects("scaledobjects", name) if is_served(forebay) else []


def autoscalers(forebay: Forebay, name: str | None = "sales") -> list[Json]:
    return forebay.objects("horizontalpodautoscalers", name)


def take_over(forebay: Forebay, live: Json) -> str:
    """Let KEDA take an autoscaler over: all of it is written anew, without the label."""
    name = live["metadata"]["name"]
    (owner,) = [each for each in scaled(forebay, None) if each["metadata"]["name"] == name]
    reference = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "name": name,
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    excluded = owner["metadata"]["annotations"]["scaledobject.keda.sh/hpa-excluded-labels"]
    labels = {key: text for key, text in owner["metadata"]["labels"].items() if key != excluded}
    metric = {
        "metric": {"name": "s0-metric-api-in_flight"},
        "target": {"type": "AverageValue", "averageValue": "20"},
    }
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [reference]},
        "spec": {
            "minReplicas": owner["spec"]["minReplicaCount"],
            "maxReplicas": owner["spec"]["maxReplicaCount"],
            "scaleTargetRef": owner["spec"]["scaleTargetRef"],
            "metrics": [{"type": "External", "external": metric}],
        },
    }
    path = forebay.path("horizontalpodautoscalers", name)
    answer = forebay.api.ask("PUT", path, body)
    assert answer.status == 200, answer
    return path


async def test_kedas_definition_takes_every_field_of_all_that_is_made(keda: Forebay) -> None:
    await ready(keda, **POOLS)
    await eventually(
        lambda: len(scaled(keda, None)) == 3,
        saying="a scaler for the endpoint and one for each pool",
    )
    found = scaled(keda, None)
    by_name = {each["metadata"]["name"]: each["spec"] for each in found}
    own = by_name.pop(next(name for name in by_name if "sales" in name))
    # What the definition does not know the API server would have dropped.
    (in_flight, cpu) = own["triggers"]
    (service,) = [
        each
        for each in keda.objects("services", "sales")
        if each["spec"]["ports"][0]["port"] == 9090
    ]
    host = f"{service['metadata']['name']}.{keda.namespace}.svc:9090"
    assert in_flight["metadata"]["url"] == f"http://{host}/load"
    assert in_flight["metadata"]["aggregationType"] == "sum"
    assert (cpu["type"], cpu["metricType"]) == ("cpu", "Utilization")
    for spec in (own, *by_name.values()):
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        assert spec["fallback"]["replicas"] == spec["minReplicaCount"] >= 1
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
        assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert {name: spec["maxReplicaCount"] for name, spec in by_name.items()} == {
        "fb-receivers": 9,
        "fb-processors": 8,
    }
    assert autoscalers(keda, None) == []
    # All is there as it is wanted: a pass writes nothing.
    before = {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in found}
    await pass_once_more(keda)
    assert before == {
        each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in scaled(keda, None)
    }


async def test_a_scaled_object_is_repaired_and_goes_with_its_endpoint(keda: Forebay) -> None:
    await ready(keda)
    (own,) = scaled(keda)
    path = keda.path("scaledobjects", own["metadata"]["name"])
    assert keda.api.merge(path, {"spec": {"minReplicaCount": 0}}).status == 200
    await eventually(
        lambda: scaled(keda)[0]["spec"]["minReplicaCount"] >= 1, saying="it to be repaired"
    )
    keda.delete("sales")
    await eventually(lambda: keda.endpoint("sales") is None, within=20, saying="its end")
    assert scaled(keda) == []
    assert keda.objects("services", "sales") == []


async def test_keda_comes_takes_the_autoscaler_and_goes_again(forebay: Forebay) -> None:
    await ready(forebay)
    (before,) = autoscalers(forebay)
    await install(forebay)
    try:
        (own,) = await eventually(lambda: scaled(forebay), within=20, saying="a ScaledObject")
        # Nobody has taken it: it goes on.
        (still,) = autoscalers(forebay)
        assert still["spec"] == before["spec"]
        assert own["metadata"]["name"] == before["metadata"]["name"]
        path = take_over(forebay, still)
        await eventually(lambda: autoscalers(forebay) == [], saying="it to be KEDA's")
    finally:
        await remove(forebay)
    (again,) = await eventually(
        lambda: autoscalers(forebay), within=20, saying="an autoscaler of ours"
    )
    assert [each["type"] for each in again["spec"]["metrics"]] == ["Resource"]
    # Kubernetes collects what was KEDA's.
    forebay.api.delete(path)
    await eventually(
        lambda: (
            [each["metadata"]["uid"] for each in autoscalers(forebay)]
            not in ([], [again["metadata"]["uid"]])
        ),
        within=20,
        saying="it to be made again",
    )
    assert "Repaired" not in forebay.events("sales")


async def test_who_turns_keda_off_gets_the_autoscaler_after_the_scaled_object(
    keda: Forebay,
) -> None:
    running = await ready(keda)
    (own,) = scaled(keda)
    name = own["metadata"]["name"]
    path = keda.path("scaledobjects", name)
    # As KEDA's own controller does.
    held = {"metadata": {"finalizers": ["finalizer.keda.sh"]}}
    assert keda.api.merge(path, held).status == 200
    await running.kill()
    operator = keda.operator(limits=QUICK)
    await operator.start()
    await eventually(
        lambda: "deletionTimestamp" in scaled(keda)[0]["metadata"], saying="its deletion"
    )
    await pass_once_more(keda)
    assert autoscalers(keda) == []
    assert keda.api.merge(path, {"metadata": {"finalizers": None}}).status == 200
    (made,) = await eventually(lambda: autoscalers(keda), within=20, saying="an autoscaler")
    assert made["metadata"]["name"] == name
