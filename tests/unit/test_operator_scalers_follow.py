"""An autoscaler and KEDA's ScaledObject follow each other: never two of one Deployment.

KEDA is played: it takes the autoscaler over as its sources (2.21) do, by an update that leaves out
our label and makes its ScaledObject the owner.
"""

from typing import Any

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay_operator.builders.scaling import POOL_SCALER_COMPONENT
from forebay_operator.errors import ApiRefused
from forebay_operator.models.names import LABEL_COMPONENT, LABEL_OWNER
from forebay_operator.services.cluster_cache import ObjectKey
from support.operator.operator_alone import OperatorAlone

Json = Any
AUTOSCALER, SCALED = "HorizontalPodAutoscaler", "ScaledObject"
SCALERS = {AUTOSCALER, SCALED}


@pytest.fixture
async def alone() -> OperatorAlone:
    operator = OperatorAlone()
    await operator.start()
    return operator


def scalers(alone: OperatorAlone, own: EndpointName) -> set[str]:
    """Return the kinds of what scales an endpoint's receivers, as the API server has it."""
    return {key.kind for key in alone.cluster.objects if key.kind in SCALERS and is_of(key, own)}


def is_of(key: ObjectKey, own: EndpointName) -> bool:
    return f"{own.namespace}-{own.name}" in key.name


def scaler(alone: OperatorAlone, own: EndpointName, kind: str) -> Json:
    (key,) = [key for key in alone.cluster.objects if key.kind == kind and is_of(key, own)]
    return alone.cluster.objects[key]


async def install_keda(alone: OperatorAlone) -> None:
    alone.cluster.optional = {SCALED}
    assert await alone.apis.check() == "changed"


def take_over(alone: OperatorAlone, own: EndpointName) -> None:
    """Let KEDA take the autoscaler; our watch, which asks by label, says that it is gone."""
    live = scaler(alone, own, AUTOSCALER)
    version = str(int(live["metadata"]["resourceVersion"]) + 1)
    labels = {key: text for key, text in live["metadata"]["labels"].items() if key != LABEL_OWNER}
    owner = {"kind": SCALED, "name": live["metadata"]["name"]}
    live["metadata"] |= {
        "resourceVersion": version,
        "labels": labels,
        "ownerReferences": [owner],
        "annotations": {},
    }
    live["spec"] = {"metrics": [{"type": "External"}]}
    assert alone.cache.drop_object(live)


async def by_keda(alone: OperatorAlone) -> EndpointName:
    """Return an endpoint whose receivers KEDA scales, after an autoscaler of ours did."""
    own = alone.apply("sales")
    await alone.reconcile(own)
    await install_keda(alone)
    await alone.reconcile(own)
    take_over(alone, own)
    await alone.reconcile(own)
    return own


def nobody_is_blamed(alone: OperatorAlone) -> bool:
    return ("sales", "Repaired") not in alone.cluster.recorded


async def test_the_autoscaler_goes_on_until_keda_has_taken_it(alone: OperatorAlone) -> None:
    own = alone.apply("sales")
    await alone.reconcile(own)
    assert scalers(alone, own) == {AUTOSCALER}
    before = dict(scaler(alone, own, AUTOSCALER))
    await install_keda(alone)
    await alone.reconcile(own)
    await alone.reconcile(own)
    # Of the same name, so that there cannot be a second one; and as it was.
    assert scaler(alone, own, AUTOSCALER) == before
    scaled = scaler(alone, own, SCALED)
    config = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
    assert config["name"] == before["metadata"]["name"] == scaled["metadata"]["name"]
    assert scaled["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"]


async def test_what_keda_has_taken_is_not_written_any_more(alone: OperatorAlone) -> None:
    own = await by_keda(alone)
    taken = scaler(alone, own, AUTOSCALER)
    assert taken["spec"] == {"metrics": [{"type": "External"}]}
    assert nobody_is_blamed(alone)
    # Not after a restart either.
    await alone.start()
    alone.cache.drop_object(taken | {"kind": AUTOSCALER})
    await alone.reconcile(own)
    assert scaler(alone, own, AUTOSCALER)["spec"] == {"metrics": [{"type": "External"}]}


async def test_without_keda_the_autoscaler_is_ours_again_and_again_when_it_is_collected(
    alone: OperatorAlone,
) -> None:
    own = await by_keda(alone)
    remove_keda(alone)
    await alone.apis.check()
    await alone.reconcile(own)
    # Server-side apply leaves the owner on it, so Kubernetes collects it after that.
    live = scaler(alone, own, AUTOSCALER)
    assert live["spec"]["metrics"][0]["resource"]["name"] == "cpu"
    live["metadata"]["ownerReferences"] = [{"kind": SCALED, "name": live["metadata"]["name"]}]
    await alone.reconcile(own)
    del alone.cluster.objects[ObjectKey(AUTOSCALER, live["metadata"]["name"])]
    assert alone.cache.drop_object(live)
    await alone.reconcile(own)
    assert scalers(alone, own) == {AUTOSCALER}
    assert nobody_is_blamed(alone)


def remove_keda(alone: OperatorAlone) -> None:
    """Take the definition away, and with it the ScaledObjects."""
    alone.cluster.optional = set()
    for key in [key for key in alone.cluster.objects if key.kind == SCALED]:
        del alone.cluster.objects[key]


async def test_who_wants_no_keda_gets_an_autoscaler_once_the_scaled_object_is_gone(
    alone: OperatorAlone,
) -> None:
    own = await by_keda(alone)
    keda = alone.config.keda.model_copy(update={"enabled": False})
    alone.config = alone.config.model_copy(update={"keda": keda})
    await alone.start()
    taken = scaler(alone, own, AUTOSCALER)
    alone.cache.drop_object(taken | {"kind": AUTOSCALER})
    scaled = scaler(alone, own, SCALED)
    await alone.reconcile(own)
    await alone.reconcile(own)
    # It was deleted, and its controller holds it: the watch has not said yet that it went.
    assert SCALED not in scalers(alone, own)
    assert scaler(alone, own, AUTOSCALER)["spec"] == {"metrics": [{"type": "External"}]}
    scaled["metadata"]["resourceVersion"] = str(int(taken["metadata"]["resourceVersion"]) + 1)
    assert alone.cache.drop_object(scaled)
    await alone.reconcile(own)
    metrics = scaler(alone, own, AUTOSCALER)["spec"]["metrics"]
    assert [each["type"] for each in metrics] == ["Resource"]
    assert nobody_is_blamed(alone)


async def test_a_scaler_that_is_refused_keeps_no_route_from_being_made(
    alone: OperatorAlone,
) -> None:
    alone.cluster.optional = {SCALED}
    await alone.start()
    alone.cluster.refused = {SCALED}
    own = alone.apply("sales")
    await alone.reconcile(own)
    assert {"Ingress", "NetworkPolicy", "Deployment"} <= alone.kinds(own)
    assert SCALED not in alone.kinds(own)


async def test_the_end_of_an_endpoint_is_the_end_of_its_scalers(alone: OperatorAlone) -> None:
    own = alone.apply("sales")
    await alone.reconcile(own)
    await install_keda(alone)
    await alone.reconcile(own)
    assert scalers(alone, own) == SCALERS
    alone.delete(own, ago=3600)
    await alone.reconcile(own)
    assert scalers(alone, own) == set()


async def test_each_pool_has_one_scaler_whatever_endpoints_there_are(alone: OperatorAlone) -> None:
    for name in ("a", "b", "c"):
        await alone.settle(alone.apply(name, receiver={"isolation": "Shared"}))
    await alone.reconcile_routes()
    assert pools(alone) == {
        (AUTOSCALER, "forebay-receivers"),
        (AUTOSCALER, "forebay-processors"),
    }
    await install_keda(alone)
    await alone.reconcile_routes()
    kinds = [kind for kind, _ in pools(alone)]
    assert (kinds.count(SCALED), kinds.count(AUTOSCALER)) == (2, 2)


def pools(alone: OperatorAlone) -> set[ObjectKey]:
    return {
        key
        for key, document in alone.cluster.objects.items()
        if document["metadata"]["labels"].get(LABEL_COMPONENT) == POOL_SCALER_COMPONENT
    }


async def test_one_scaler_of_a_pool_that_is_refused_does_not_keep_the_other(
    alone: OperatorAlone,
) -> None:
    alone.cluster.refused_names = {"forebay-receivers"}
    with pytest.raises(ApiRefused, match="forebay-receivers"):
        await alone.reconcile_routes()
    assert pools(alone) == {(AUTOSCALER, "forebay-processors")}
