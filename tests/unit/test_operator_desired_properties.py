"""What is built holds for any legal endpoint and installation, not for those of the files only."""

import copy
import re
from typing import Any, Final

from hypothesis import assume, example, given
from hypothesis import strategies as st

from forebay.core.resource import WebhookEndpoint, parse_endpoint
from forebay_operator.builders.dedicated_processors import OwnProcessing
from forebay_operator.builders.desired import desired_state
from forebay_operator.builders.names import RECEIVER_COMPONENT
from forebay_operator.builders.object_hash import document_of
from forebay_operator.builders.shared_receivers import shared_state
from forebay_operator.models.apis.gateway import HTTPRoute
from forebay_operator.models.apis.keda import ScaledObject
from forebay_operator.models.kinds import Managed, PruneRank, ServedKinds, kind_named, kind_of
from forebay_operator.models.names import LABEL_COMPONENT, LABEL_ENDPOINT, LABEL_NAMESPACE
from forebay_operator.services.cluster_cache import key_of
from forebay_operator.settings.config import OperatorConfig
from support.operator.operator_inputs import installation, processing_of, route_of

Json = Any

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def labels(longest: int) -> st.SearchStrategy[str]:
    """Return DNS labels, those at the edges of what is legal among them."""
    inner = f"[a-z0-9]([-a-z0-9]{{0,{longest - 2}}}[a-z0-9])?"
    edges = ["a", "0", "a" * longest, "a" + "-" * (longest - 2) + "9", "a-b", "a--b"]
    return st.sampled_from(edges) | st.from_regex(inner, fullmatch=True)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Json]:
    """Draw all of a spec that objects could follow."""
    secret = {"secretKeyRef": {"name": "crm", "key": "token"}}
    low, high = sorted((draw(st.integers(1, 100)), draw(st.integers(1, 100))))
    receiver: dict[str, Json] = {
        "isolation": "Dedicated",
        "replicas": {"min": low, "max": high},
    }
    if draw(st.booleans()):
        receiver["resources"] = {
            group: {"cpu": draw(st.sampled_from(["1m", "10m", "0.5", "2"]))}
            for group in draw(st.sets(st.sampled_from(["requests", "limits"])))
        }
    return {
        "provider": draw(st.sampled_from(["360dialog", "meta", "generic"])),
        "authentication": {"headers": [{"name": "Authorization", "values": [secret]}]},
        "destinations": [{"name": "log", "log": {}}],
        "throughput": {
            "messagesPerSecond": draw(st.integers(1, 10_000)),
            "replyRatio": draw(st.floats(0, 10)),
        },
        "receiver": receiver,
        "paused": draw(st.booleans()),
        "processing": draw(
            st.sampled_from(
                [
                    {"isolation": "Dedicated"},
                    {"isolation": "Dedicated", "image": "registry.example.com/bots/a:1"},
                    {"isolation": "Shared", "shard": "east"},
                ]
            )
        ),
        **({"host": "a.example.com"} if draw(st.booleans()) else {}),
    }


@st.composite
def manifests(draw: st.DrawFn) -> WebhookEndpoint:
    return manifest_of(draw(labels(63)), draw(labels(50)), draw(specs()))


def manifest_of(namespace: str, name: str, spec: dict[str, Json]) -> WebhookEndpoint:
    return parse_endpoint(
        {
            "apiVersion": "forebay.dev/v1alpha1",
            "kind": "WebhookEndpoint",
            "metadata": {"namespace": namespace, "name": name},
            "spec": copy.deepcopy(spec),
        }
    )


PLAIN: Final[dict[str, Json]] = {
    "provider": "generic",
    "authentication": {"none": True},
    "destinations": [{"name": "log", "log": {}}],
    "receiver": {"isolation": "Dedicated"},
}

installations = st.builds(installation, name=labels(40), release=labels(53))
kinds = st.sets(st.sampled_from([HTTPRoute, ScaledObject])).map(tuple)


def documents(
    manifest: WebhookEndpoint, config: OperatorConfig, served: ServedKinds
) -> list[tuple[str, Json]]:
    """Return what is built, in its order, each with its kind; with processors of its own."""
    own = OwnProcessing(entry=processing_of(manifest), has_pods=True)
    route = route_of(manifest)
    return described(desired_state(manifest, route, config, served=served, own=own).objects)


def described(objects: tuple[Managed, ...]) -> list[tuple[str, Json]]:
    return [(kind_of(type(each)), document_of(each)) for each in objects]


@given(manifest=manifests(), config=installations, served=kinds)
def test_it_is_a_function_of_what_it_is_given(
    manifest: WebhookEndpoint, config: OperatorConfig, served: ServedKinds
) -> None:
    before = manifest.model_dump_json(), config.model_dump_json()
    first = documents(manifest, config, served)
    assert documents(manifest, config, tuple(reversed(tuple(served)))) == first
    assert (manifest.model_dump_json(), config.model_dump_json()) == before


@given(
    first=specs(), second=specs(), namespace=labels(63), name=labels(50), config=installations,
    served=kinds,
)  # fmt: skip
def test_neither_names_nor_their_order_nor_selectors_follow_a_spec(  # what is drawn
    first: dict[str, Json],
    second: dict[str, Json],
    namespace: str,
    name: str,
    config: OperatorConfig,
    served: ServedKinds,
) -> None:
    built = [
        documents(manifest_of(namespace, name, spec), config, served) for spec in (first, second)
    ]
    names, selectors = zip(
        *(
            (
                [(kind, each["metadata"]["name"]) for kind, each in found],
                [selector_of(each) for _, each in found],
            )
            for found in built
        ),
        strict=True,
    )
    assert names[0] == names[1]
    assert selectors[0] == selectors[1]


def selector_of(document: Json) -> Json:
    spec = document.get("spec") or {}
    return spec.get("selector") or spec.get("podSelector")


@given(manifest=manifests(), config=installations, served=kinds)
def test_every_name_and_label_is_one_that_kubernetes_takes(
    manifest: WebhookEndpoint, config: OperatorConfig, served: ServedKinds
) -> None:
    built = documents(manifest, config, served)
    built += described(shared_state(["a.example.com", "b." + "c" * 60], config, served=served))
    keys = [(kind, each["metadata"]["name"]) for kind, each in built]
    assert len(set(keys)) == len(keys)
    for kind, each in built:
        metadata = each["metadata"]
        # Services allow least; KEDA makes a label of a ScaledObject's name.
        assert _LABEL.fullmatch(metadata["name"]), (kind, metadata["name"])
        assert metadata["namespace"] == config.namespace
        pods = (each.get("spec") or {}).get("template") or {}
        found = [metadata["labels"], (pods.get("metadata") or {}).get("labels") or {}]
        for text in (text for group in found for text in group.values()):
            assert _VALUE.fullmatch(text), (kind, text)


@given(
    one=st.tuples(labels(63), labels(50)),
    other=st.tuples(labels(63), labels(50)),
    spec=specs(),
    served=kinds,
)
@example(one=("a-b", "c"), other=("a", "b-c"), spec=PLAIN, served=(ScaledObject,))
def test_two_endpoints_share_no_object_and_no_pod(
    one: tuple[str, str], other: tuple[str, str], spec: dict[str, Json], served: ServedKinds
) -> None:
    assume(one != other)
    config = installation()
    built = [documents(manifest_of(*each, spec), config, served) for each in (one, other)]
    keys = [{(kind, each["metadata"]["name"]) for kind, each in found} for found in built]
    assert not keys[0] & keys[1]
    chosen = [
        {str(sorted(selector_of(each)["matchLabels"].items())) for kind, each in found
         if kind == "Deployment"}
        for found in built
    ]  # fmt: skip
    assert not chosen[0] & chosen[1]


@given(manifest=manifests(), config=installations, served=kinds)
def test_nothing_that_is_scaled_says_how_many_it_is_and_one_thing_scales_it(
    manifest: WebhookEndpoint, config: OperatorConfig, served: ServedKinds
) -> None:
    built = documents(manifest, config, served)
    scalers = [each for kind, each in built if kind in {"HorizontalPodAutoscaler", "ScaledObject"}]
    targets = [each["spec"]["scaleTargetRef"]["name"] for each in scalers]
    # An endpoint's own processors are not scaled: their number stands in the settings.
    deployments = [
        each
        for kind, each in built
        if kind == "Deployment"
        and each["metadata"]["labels"][LABEL_COMPONENT] == RECEIVER_COMPONENT
    ]
    assert targets == [each["metadata"]["name"] for each in deployments]
    assert all("replicas" not in each["spec"] for each in deployments)
    for each in scalers:
        # KEDA's own autoscaler is then called as ours is, and there cannot be two.
        spec = each["spec"]
        own = spec.get("advanced", {}).get("horizontalPodAutoscalerConfig", {}).get("name")
        assert own in {None, each["metadata"]["name"]}
        low = spec.get("minReplicas", spec.get("minReplicaCount"))
        high = spec.get("maxReplicas", spec.get("maxReplicaCount"))
        assert 1 <= low <= high


@given(manifest=manifests(), config=installations, served=kinds)
def test_what_others_need_comes_before_them_and_the_route_after_the_pods(
    manifest: WebhookEndpoint, config: OperatorConfig, served: ServedKinds
) -> None:
    objects = desired_state(manifest, route_of(manifest), config, served=served).objects
    order = [key_of(each).kind for each in objects]
    assert order.index("Secret") < order.index("Deployment")
    ranks = [kind_named(kind).prune_rank for kind in order]
    assert order.index("Deployment") < ranks.index(PruneRank.ROUTE)
    # A scaler that is refused keeps no webhook from being received.
    assert order[-1] in {"HorizontalPodAutoscaler", "ScaledObject"}
    own = {LABEL_NAMESPACE: manifest.endpoint.namespace, LABEL_ENDPOINT: manifest.endpoint.name}
    assert all(own.items() <= document_of(each)["metadata"]["labels"].items() for each in objects)
