"""One table says which kinds the operator makes, and all that it makes stands in it."""

import asyncio
from typing import get_args

import pytest

from forebay_operator.builders.desired import desired_state
from forebay_operator.builders.object_hash import document_of
from forebay_operator.builders.shared_receivers import SHARED_COMPONENTS, shared_state
from forebay_operator.models.apis.gateway import HTTPRoute
from forebay_operator.models.apis.keda import ScaledObject
from forebay_operator.models.kinds import (
    KINDS,
    Managed,
    ManagedKind,
    PruneRank,
    kind_named,
    kind_of,
)
from forebay_operator.models.names import LABEL_COMPONENT
from forebay_operator.services.cluster_cache import ObjectKey, owner_of, prune_order
from support.operator.operator_alone import OperatorAlone
from support.operator.operator_inputs import installation, read_manifest, route_of
from support.timing.wait import eventually

NAMES = [each.name for each in KINDS]


def test_every_kind_of_the_type_stands_in_the_table_once() -> None:
    assert sorted(NAMES) == sorted(kind.__name__ for kind in get_args(Managed))
    assert {each.resource for each in KINDS} == set(get_args(Managed))


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_a_kind_is_found_by_its_name_and_says_where_it_is(kind: ManagedKind) -> None:
    assert kind_named(kind.name) is kind
    assert kind_of(kind.resource) == kind.name
    assert kind.plural == kind.plural.lower()


def test_an_endpoint_gets_every_kind_and_one_route() -> None:
    """What the tests on a real API server hold to be there for each endpoint is this."""
    manifest = read_manifest("dedicated")
    for served in ((), (HTTPRoute,), (HTTPRoute, ScaledObject)):
        built = desired_state(manifest, route_of(manifest), installation(), served=served)
        made = [kind_named(kind_of(type(each))) for each in built.objects]
        expected = {each.name for each in KINDS if not each.is_optional}
        if HTTPRoute in served:
            expected = expected - {"Ingress"} | {"HTTPRoute"}
        if ScaledObject in served:
            expected = expected - {"HorizontalPodAutoscaler"} | {"ScaledObject"}
        assert {each.name for each in made} == expected
        assert [each.prune_rank for each in made].count(PruneRank.ROUTE) == 1


OPTIONAL = [each.resource for each in KINDS if each.is_optional]


def test_all_that_is_built_is_found_again_once_it_is_not_wanted() -> None:
    """An object is pruned by its endpoint, or by its component where it is of no endpoint alone.

    What this test's settings do not turn on is not built here: a new kind that has a setting needs
    it in `tests/data/input/operator/config.yaml`.
    """
    manifest, config = read_manifest("dedicated"), installation()
    built: list[Managed] = []
    components = set[str]()
    for served in ((), OPTIONAL):
        built += desired_state(manifest, route_of(manifest), config, served=served).objects
        shared = shared_state(["a.example.com", "b.example.com"], config, served=served)
        assert all(owner_of(document_of(each)) is None for each in shared)
        components |= {document_of(each)["metadata"]["labels"][LABEL_COMPONENT] for each in shared}
        built += shared
    assert {kind_of(type(each)) for each in built} == set(NAMES)
    assert components == SHARED_COMPONENTS


async def test_nothing_of_the_shared_receivers_outlives_the_last_host(alone: OperatorAlone) -> None:
    alone.config = alone.config.model_copy(update={"isolation": "Shared"})
    alone.cluster.optional = set(map(kind_of, OPTIONAL))
    await alone.start()
    await alone.reconcile_routes()
    before = set(alone.cluster.objects)
    own = alone.apply("sales")
    await alone.settle(own)
    await alone.reconcile_routes()
    tables = {key for key in alone.cluster.objects if key.kind == "Secret"}
    assert set(alone.cluster.objects) - before - tables
    alone.delete(own)
    await alone.settle(own)
    await alone.reconcile_routes()
    assert set(alone.cluster.objects) - before - tables == set()


def test_routes_are_deleted_first() -> None:
    keys = [ObjectKey(each.name, "sales") for each in KINDS]
    kinds = [key.kind for key in sorted(keys, key=prune_order)]
    assert set(kinds[:2]) == {"Ingress", "HTTPRoute"}


# Kinds that come and go


@pytest.fixture
async def alone() -> OperatorAlone:
    operator = OperatorAlone()
    gateway = {"parentRefs": [{"name": "public", "namespace": "gateways"}]}
    route = operator.config.route.model_validate({"gateway": gateway})
    operator.config = operator.config.model_copy(update={"route": route})
    await operator.start()
    return operator


ROUTE = kind_named("HTTPRoute")


async def test_a_kind_that_comes_is_watched_and_used(alone: OperatorAlone) -> None:
    own = alone.apply("sales")
    await alone.reconcile(own)
    assert "Ingress" in alone.kinds(own)
    alone.cluster.optional = {"HTTPRoute"}
    assert await alone.apis.check() == "changed"
    assert alone.watches.is_watching(ROUTE)
    await alone.reconcile(own)
    assert "HTTPRoute" in alone.kinds(own)


async def test_a_kind_that_goes_is_forgotten_and_made_otherwise(alone: OperatorAlone) -> None:
    alone.cluster.optional = {"HTTPRoute"}
    await alone.start()
    own = alone.apply("sales")
    await alone.reconcile(own)
    assert {"HTTPRoute", "Ingress"} & alone.kinds(own) == {"HTTPRoute"}
    remove_gateway_api(alone)
    await alone.apis.check()
    assert not alone.watches.is_watching(ROUTE)
    await alone.reconcile(own)
    assert {"HTTPRoute", "Ingress"} & alone.kinds(own) == {"Ingress"}
    assert ("sales", "Repaired") not in alone.cluster.recorded


async def test_a_kind_that_comes_back_is_made_anew_and_nobody_is_blamed(
    alone: OperatorAlone,
) -> None:
    alone.cluster.optional = {"HTTPRoute"}
    await alone.start()
    own = alone.apply("sales")
    await alone.reconcile(own)
    remove_gateway_api(alone)
    alone.watches.kinds.clear()  # its watch ended before anyone asked
    alone.cluster.optional = {"HTTPRoute"}
    assert await alone.apis.check() == "watched again"
    assert alone.watches.is_watching(ROUTE)
    await alone.reconcile(own)
    assert "HTTPRoute" in alone.kinds(own)
    assert ("sales", "Repaired") not in alone.cluster.recorded


async def test_an_optional_kind_that_is_refused_is_looked_for_at_once(
    alone: OperatorAlone,
) -> None:
    alone.cluster.optional = {"HTTPRoute"}
    await alone.start()
    alone.cluster.refused = {"Deployment"}
    own = alone.apply("sales")
    await alone.reconcile(own)
    assert not alone.recheck.is_set()
    alone.cluster.refused = {"HTTPRoute"}
    await alone.reconcile(own)
    assert alone.recheck.is_set()


async def test_it_is_asked_by_the_clock_and_at_once_where_there_is_doubt(
    alone: OperatorAlone,
) -> None:
    alone.cluster.optional = {"HTTPRoute"}
    alone.recheck.set()
    asking = asyncio.create_task(alone.apis.run(60.0, alone.recheck))
    await eventually(lambda: alone.watches.is_watching(ROUTE), saying="the kind to be watched")
    alone.cluster.optional = set()
    await eventually(lambda: not alone.watches.is_watching(ROUTE), saying="it to be let go")
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_nothing_is_done_where_nothing_came_or_went(alone: OperatorAlone) -> None:
    own = alone.apply("sales")
    await alone.reconcile(own)
    before = dict(alone.cluster.objects)
    assert await alone.apis.check() == "none"
    await alone.reconcile(own)
    assert alone.cluster.objects == before


def remove_gateway_api(alone: OperatorAlone) -> None:
    """Take the kind and its objects out of the API server, as the end of its definition does."""
    alone.cluster.optional = set()
    for key in [key for key in alone.cluster.objects if key.kind == "HTTPRoute"]:
        del alone.cluster.objects[key]
