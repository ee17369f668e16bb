"""What the operator does to endpoints that come, move, are edited, go, and come back."""

import pytest

from forebay_operator.errors import ApiRefused
from forebay_operator.models.names import FINALIZER
from support.operator.operator_alone import OperatorAlone

SHARED = {"isolation": "Shared"}
HOST = "hooks.acme.example.com"
OTHER_HOST = "more.acme.example.com"


@pytest.fixture
async def alone() -> OperatorAlone:
    operator = OperatorAlone()
    await operator.start()
    return operator


# Coming


async def test_an_endpoint_is_held_before_anything_is_made_for_it(alone: OperatorAlone) -> None:
    own = alone.apply("sales")
    alone.cluster.refused = {"ServiceAccount", "Secret"}
    await alone.reconcile(own)
    assert alone.cluster.endpoint_documents[own]["metadata"]["finalizers"] == [FINALIZER]
    assert alone.kinds(own) == set()


async def test_receivers_of_its_own_serve_once_they_have_read_its_table(
    alone: OperatorAlone,
) -> None:
    own = alone.apply("sales")
    await alone.reconcile(own)
    assert alone.kinds(own) >= {"Deployment", "Service", "Ingress", "Secret"}
    assert alone.routes() == set()
    alone.own_pod(own)
    await alone.reconcile(own)
    assert alone.condition(own, "ReceiversReady") == ("False", "TablePending")
    await alone.settle(own)
    assert alone.condition(own, "ReceiversReady") == ("True", "ReceiversServe")


async def test_what_the_api_server_refuses_is_reported_and_not_taken_for_served(
    alone: OperatorAlone,
) -> None:
    own = alone.apply("sales")
    alone.cluster.refused = {"Deployment"}
    alone.own_pod(own)
    assert (await alone.settle(own)).result == "refused"
    assert alone.condition(own, "ReceiversReady") == ("False", "ApiRefused")
    assert "Ingress" not in alone.kinds(own)


async def test_what_is_refused_of_one_endpoint_holds_no_other_one_up(
    alone: OperatorAlone,
) -> None:
    culprit = alone.apply("culprit", receiver=SHARED)
    other = alone.apply("other", receiver=SHARED)
    alone.cluster.refused_words = {"culprit"}
    assert (await alone.settle(culprit)).result == "refused"
    assert (await alone.settle(other)).result == "ok"
    assert alone.routes() == alone.processed() == {"other"}
    assert alone.condition(culprit, "ProcessorsReady") == ("False", "ApiRefused")
    assert alone.condition(other, "Ready") == ("True", "Ready")
    alone.cluster.refused_words = set()
    assert (await alone.settle(culprit)).result == "ok"
    assert alone.routes() == alone.processed() == {"culprit", "other"}


async def test_what_somebody_changed_is_put_right(alone: OperatorAlone) -> None:
    own = alone.apply("sales")
    await alone.reconcile(own)
    (service,) = [each for each in alone.cluster.objects if each.kind == "Service"]
    document = alone.cluster.objects[service]
    changed = document | {
        "spec": document["spec"] | {"selector": {"app": "mine"}},
        "metadata": document["metadata"] | {"resourceVersion": "999999"},
    }
    alone.cache.put_object(changed)
    await alone.reconcile(own)
    assert alone.cluster.objects[service]["spec"] == document["spec"]
    assert ("sales", "Repaired") in alone.cluster.recorded


# Editing


async def test_an_edit_that_cannot_be_used_leaves_all_as_it_was_served(
    alone: OperatorAlone,
) -> None:
    own = alone.apply("sales", receiver=SHARED)
    await alone.settle(own)
    table = alone.table("receivers")
    alone.apply("sales", receiver=SHARED, destinations=[])
    assert (await alone.reconcile(own)).result == "refused"
    assert alone.condition(own, "Accepted") == ("False", "InvalidSpec")
    assert alone.table("receivers") == table
    assert alone.processed() == {"sales"}


async def test_a_filter_that_is_wrong_leaves_the_one_before_in_force_and_says_where_it_is_wrong(
    alone: OperatorAlone,
) -> None:
    one = {"name": "crm", "log": {}, "filter": {"expression": 'kind == "messages"'}}
    own = alone.apply("sales", receiver=SHARED, destinations=[one])
    await alone.settle(own)
    table = alone.table("processors")
    wrong = {**one, "filter": {"expression": 'knd == "messages"'}}
    alone.apply("sales", receiver=SHARED, destinations=[wrong])
    assert (await alone.reconcile(own)).result == "refused"
    assert alone.condition(own, "Accepted") == ("False", "InvalidSpec")
    conditions = alone.cluster.endpoint_documents[own]["status"]["conditions"]
    (said,) = (each["message"] for each in conditions if each["type"] == "Accepted")
    assert "destinations[0].filter.expression: at character 1: there is no `knd`" in said
    assert alone.table("processors") == table


async def test_a_secret_that_is_gone_leaves_all_as_it_was_served(alone: OperatorAlone) -> None:
    own = alone.apply("sales", receiver=SHARED)
    await alone.settle(own)
    alone.cluster.secrets.clear()
    assert (await alone.reconcile(own)).result == "refused"
    assert alone.condition(own, "SecretsReady") == ("False", "SecretMissing")
    assert alone.routes() == {"sales"}


# Moving


async def test_the_shared_receivers_serve_until_receivers_of_its_own_do(
    alone: OperatorAlone,
) -> None:
    own = alone.apply("sales", receiver=SHARED, host=HOST)
    await alone.settle(own)
    await alone.reconcile_routes()
    assert alone.hosts() == {HOST}

    alone.apply("sales", host=HOST)
    for _ in range(3):
        await alone.reconcile(own)
        await alone.reconcile_routes()
    # The new pods are not there: whoever sends a webhook still gets to the shared ones.
    assert "Deployment" in alone.kinds(own)
    assert "Ingress" not in alone.kinds(own)
    assert (alone.routes(), alone.hosts()) == ({"sales"}, {HOST})

    alone.own_pod(own)
    await alone.reconcile(own)
    assert ("Ingress" in alone.kinds(own), alone.routes()) == (False, {"sales"})
    await alone.settle(own)
    await alone.reconcile_routes()
    assert "Ingress" in alone.kinds(own)
    assert (alone.routes(), alone.hosts()) == (set(), set())


async def test_the_shared_receivers_serve_on_where_the_new_route_is_refused(
    alone: OperatorAlone,
) -> None:
    own = alone.apply("sales", receiver=SHARED, host=HOST)
    await alone.settle(own)
    await alone.reconcile_routes()
    alone.apply("sales", host=HOST)
    alone.own_pod(own)
    alone.cluster.refused = {"Ingress"}
    with pytest.raises(ApiRefused):
        await alone.settle(own)
    assert ("Ingress" in alone.kinds(own), alone.routes()) == (False, {"sales"})
    alone.cluster.refused = set()
    await alone.settle(own)
    assert ("Ingress" in alone.kinds(own), alone.routes()) == (True, set())


async def test_receivers_of_its_own_stay_until_the_shared_ones_serve(
    alone: OperatorAlone,
) -> None:
    own = await alone.settled_with_its_own("sales")
    kinds = alone.kinds(own)

    alone.apply("sales", receiver=SHARED)
    for _ in range(3):
        await alone.reconcile(own)
    assert alone.routes() == {"sales"}
    # No shared receiver has read that yet.
    assert alone.kinds(own) == kinds
    await alone.settle(own)
    assert alone.kinds(own) == set()
    assert alone.condition(own, "ReceiversReady") == ("True", "ReceiversServe")


# Hosts


async def test_a_host_is_whoever_s_that_named_it_first(alone: OperatorAlone) -> None:
    first = alone.apply("first", receiver=SHARED, host=HOST)
    await alone.settle(first)
    alone.namespace = "other"
    alone.cluster.secrets["other", "crm"] = {"token": "Bearer other"}
    # Its pattern lets it name hosts of its own namespace only, unless the installation says more.
    limits = alone.config.tenant_limits.model_copy(update={"hosts": ("*.example.com",)})
    alone.config = alone.config.model_copy(update={"tenant_limits": limits})
    await alone.start()
    second = alone.apply("second", receiver=SHARED, host=HOST)
    assert (await alone.reconcile(second)).result == "refused"
    assert alone.condition(second, "Accepted") == ("False", "HostTaken")
    assert alone.routes() == {"first"}

    alone.delete(first, ago=60)
    await alone.reconcile(first)
    await alone.settle(second)
    assert alone.routes() == {"second"}


async def test_who_may_not_name_a_host_keeps_nobody_from_having_it(alone: OperatorAlone) -> None:
    alone.namespace = "other"
    alone.cluster.secrets["other", "crm"] = {"token": "Bearer other"}
    squatter = alone.apply("squatter", receiver=SHARED, host=HOST)
    assert (await alone.reconcile(squatter)).result == "refused"
    assert alone.condition(squatter, "Accepted") == ("False", "HostNotAllowed")
    alone.namespace = "acme"
    own = alone.apply("own", receiver=SHARED, host=HOST)
    await alone.settle(own)
    assert alone.routes() == {"own"}


async def test_a_host_s_route_stays_while_a_restarted_operator_has_not_seen_all(
    alone: OperatorAlone,
) -> None:
    first = alone.apply("first", receiver=SHARED, host=HOST)
    second = alone.apply("second", receiver=SHARED, host=OTHER_HOST)
    await alone.settle(first)
    await alone.settle(second)
    await alone.reconcile_routes()
    assert alone.hosts() == {HOST, OTHER_HOST}
    # Its Secret is gone: the pass after the restart does not get as far as its host.
    alone.cluster.secrets.clear()
    await alone.start()
    await alone.reconcile(first)
    await alone.reconcile_routes()
    assert alone.hosts() == {HOST, OTHER_HOST}


# Going


@pytest.mark.parametrize("unread", ["processors", "receivers"])
async def test_nothing_is_purged_or_let_go_before_every_pod_knows(
    alone: OperatorAlone, unread: str
) -> None:
    own = alone.apply("sales", receiver=SHARED)
    await alone.settle(own)
    alone.delete(own)
    await alone.reconcile(own)
    alone.all_read(but=unread)
    assert (await alone.reconcile(own)).result == "waiting"
    assert (alone.streams.purged, own in alone.cluster.endpoint_documents) == ([], True)
    # It is out of the tables nevertheless: that is what they have to read.
    assert (alone.routes(), alone.processed()) == (set(), set())
    assert alone.deleted() == ["acme/sales"]
    alone.all_read()
    assert (await alone.reconcile(own)).result == "gone"
    assert alone.streams.purged == [("0", own)]
    assert own not in alone.cluster.endpoint_documents


async def test_nothing_is_purged_while_a_receiver_of_its_own_is_there(
    alone: OperatorAlone,
) -> None:
    own = await alone.settled_with_its_own("sales")
    alone.delete(own)
    await alone.reconcile(own)
    alone.all_read()
    assert (await alone.reconcile(own)).result == "waiting"
    assert (alone.kinds(own), alone.streams.purged) == (set(), [])
    alone.end_pod("own-sales")
    assert (await alone.reconcile(own)).result == "gone"
    assert alone.streams.purged == [("0", own)]


async def test_a_pod_that_never_reads_holds_a_deletion_up_for_a_while_only(
    alone: OperatorAlone,
) -> None:
    own = alone.apply("sales", receiver=SHARED)
    await alone.settle(own)
    alone.delete(own, ago=60)
    assert (await alone.reconcile(own)).result == "gone"
    assert alone.streams.purged == [("0", own)]


async def test_a_deletion_waits_for_nats_and_then_goes_without(alone: OperatorAlone) -> None:
    own = alone.apply("sales", receiver=SHARED)
    await alone.settle(own)
    alone.streams.is_away = True
    alone.delete(own, ago=60)
    assert (await alone.reconcile(own)).result == "waiting"
    assert alone.condition(own, "Ready") == ("False", "Deleting")
    alone.delete(own, ago=alone.config.limits.deletion_grace_period_seconds + 1)
    assert (await alone.reconcile(own)).result == "gone"
    assert ("sales", "PurgeGivenUp") in alone.cluster.recorded


async def test_what_went_while_no_operator_ran_is_out_of_the_tables_and_reported(
    alone: OperatorAlone,
) -> None:
    own, other = alone.apply("sales", receiver=SHARED), alone.apply("stays", receiver=SHARED)
    await alone.settle(own)
    await alone.settle(other)
    assert alone.routes() == alone.processed() == {"sales", "stays"}
    del alone.cluster.endpoint_documents[own]
    await alone.start()
    await alone.reconcile_routes()
    assert alone.routes() == alone.processed() == {"stays"}
    assert alone.deleted() == ["acme/sales"]


# Coming back


async def test_who_is_made_again_is_received_once_no_processor_takes_it_for_deleted(
    alone: OperatorAlone,
) -> None:
    own = alone.apply("sales", receiver=SHARED)
    await alone.settle(own)
    alone.delete(own, ago=60)
    await alone.reconcile(own)
    alone.all_read()

    again = alone.apply("sales", receiver=SHARED)
    await alone.reconcile(again)
    assert (alone.processed(), alone.deleted(), alone.routes()) == ({"sales"}, [], set())
    await alone.reconcile(again)
    assert alone.routes() == set()
    await alone.settle(again)
    assert alone.routes() == {"sales"}


async def test_who_is_made_again_keeps_nothing_of_what_it_was(alone: OperatorAlone) -> None:
    own = await alone.settled_with_its_own("sales")
    alone.delete(own)
    await alone.reconcile(own)
    alone.end_pod("own-sales")
    alone.all_read()
    assert (await alone.reconcile(own)).result == "gone"

    again = alone.apply("sales", receiver=SHARED)
    await alone.settle(again)
    assert (alone.kinds(again), alone.routes()) == (set(), {"sales"})
    assert alone.streams.purged == [("0", own)]


# Room in the tables


async def test_who_found_no_room_is_named_once_some_came_free(alone: OperatorAlone) -> None:
    """Fifteen endpoints of 60 KiB are more than a table has room for."""
    values = [{"secretKeyRef": {"name": "large", "key": "token"}}]
    alone.cluster.secrets[alone.namespace, "large"] = {"token": "x" * 60 * 1024}
    large = {"headers": [{"name": "Authorization", "values": values}]}
    all_of_them = [
        alone.apply(f"e{number}", receiver=SHARED, authentication=large) for number in range(15)
    ]
    for each in all_of_them:
        await alone.settle(each)
    *placed, last = all_of_them
    assert alone.condition(placed[0], "Accepted") == ("True", "Accepted")
    assert alone.condition(last, "Accepted") == ("False", "TablesFull")
    assert alone.reconciler.now_with_room() == []
    alone.delete(placed[0])
    await alone.reconcile(placed[0])
    assert alone.reconciler.now_with_room() == [last]
    assert alone.reconciler.now_with_room() == []
    await alone.reconcile(last, resync=False)
    assert alone.condition(last, "Accepted") == ("True", "Accepted")
