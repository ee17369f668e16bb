"""An endpoint is moved to streams of its own and back, one step at a time (docs/design/0042)."""

import itertools
from typing import Any, Final

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import dedicated_shard
from forebay_operator.adapters.shard_contents import Holding
from forebay_operator.services.shard_moves import SETTLE_SECONDS
from support.operator.operator_alone import OperatorAlone

Json = Any

SHARED: Final = {"isolation": "Shared"}
DEDICATED: Final = {"isolation": "Dedicated"}
HOME: Final = "0"

PASSES: Final = 12


@pytest.fixture
async def alone() -> OperatorAlone:
    alone = OperatorAlone()
    await alone.start()
    return alone


async def shared(alone: OperatorAlone, name: str = "shop") -> EndpointName:
    """Return an endpoint in the installation's streams that is served."""
    own = alone.apply(name, receiver=SHARED)
    await alone.settle(own)
    return own


async def passes(alone: OperatorAlone, own: EndpointName, count: int = PASSES) -> None:
    """Let pods read what is written, time pass, and the operator look, again and again."""
    for _ in range(count):
        alone.all_read()
        await alone.reconcile(own)
        alone.seconds += SETTLE_SECONDS


async def begun(alone: OperatorAlone, own: EndpointName) -> None:
    """Let an endpoint be on its way to streams of its own, with a processor of them."""
    alone.apply(own.name, receiver=SHARED, processing=DEDICATED)
    await alone.reconcile(own)
    # As the operator's own loop does, which makes the streams.
    await alone.make_streams()
    alone.own_processor(own)


async def moved(alone: OperatorAlone) -> EndpointName:
    """Return an endpoint that was moved to streams of its own."""
    own = await shared(alone)
    await begun(alone, own)
    await passes(alone, own)
    return own


def reason_of(alone: OperatorAlone, own: EndpointName) -> tuple[str, str]:
    return alone.condition(own, "ProcessorsReady")


async def test_receivers_are_told_only_when_its_streams_and_processors_are_there(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    alone.streams.refusal = "no room on the disk"
    alone.apply("shop", receiver=SHARED, processing=DEDICATED)
    await alone.make_streams()
    await passes(alone, own)
    assert alone.route_shard(own) == HOME
    assert alone.entry(own) is not None
    # All goes on as before meanwhile.
    assert reason_of(alone, own) == ("True", "Moving")
    alone.streams.refusal = None
    await alone.make_streams()
    await passes(alone, own)
    assert alone.route_shard(own) == HOME
    alone.own_processor(own)
    await passes(alone, own)
    assert alone.route_shard(own) == dedicated_shard(own)
    assert reason_of(alone, own) == ("True", "ProcessorsWork")


async def test_what_is_stored_in_its_own_streams_waits_until_every_receiver_was_told(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    await begun(alone, own)
    alone.all_read()
    await alone.reconcile(own)
    assert alone.route_shard(own) == dedicated_shard(own)
    for _ in range(PASSES):
        alone.all_read(but="receivers")
        alone.seconds += SETTLE_SECONDS
        await alone.reconcile(own)
    assert alone.own_entry(own) is None
    assert reason_of(alone, own) == ("False", "Moving")
    await passes(alone, own, 3)
    assert alone.own_entry(own) is not None


async def test_a_webhook_on_its_way_into_the_old_streams_is_waited_for(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    await begun(alone, own)
    for _ in range(PASSES):
        alone.all_read()
        await alone.reconcile(own)
    assert (alone.route_shard(own), alone.own_entry(own)) == (dedicated_shard(own), None)
    alone.seconds += SETTLE_SECONDS
    await alone.reconcile(own)
    assert alone.own_entry(own) is not None


async def test_a_receiver_that_is_leaving_or_not_ready_is_waited_for(alone: OperatorAlone) -> None:
    own = await shared(alone)
    pods = alone.config.shared_receivers
    assert pods is not None
    alone.pod("slow", pods.pods.match_labels, is_ready=False)
    await begun(alone, own)
    await passes(alone, own)
    assert (alone.route_shard(own), alone.own_entry(own)) == (dedicated_shard(own), None)
    alone.end_pod("slow")
    await passes(alone, own, 3)
    assert alone.own_entry(own) is not None


async def test_its_own_streams_are_closed_until_the_old_ones_are_worked_off(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    alone.contents.unfinished.add((HOME, own))
    await begun(alone, own)
    await passes(alone, own)
    assert (alone.route_shard(own), alone.own_entry(own)) == (dedicated_shard(own), None)
    assert alone.entry(own) is not None
    alone.contents.unfinished.clear()
    await passes(alone, own, 1)
    entry = alone.own_entry(own)
    assert entry is not None
    assert entry["shard"] == dedicated_shard(own)


async def test_a_destination_is_held_while_older_items_wait_for_it(alone: OperatorAlone) -> None:
    own = await shared(alone)
    alone.contents.waiting[HOME, own] = frozenset({"log"})
    await begun(alone, own)
    await passes(alone, own)
    entry = alone.own_entry(own)
    assert entry is not None
    assert entry["others"] == {"shards": [HOME], "held": ["log"]}
    assert reason_of(alone, own) == ("True", "Moving")
    alone.contents.waiting.clear()
    await passes(alone, own, 2)
    entry = alone.own_entry(own)
    assert entry is not None
    assert "others" not in entry
    assert reason_of(alone, own) == ("True", "ProcessorsWork")


async def test_claims_of_the_old_streams_count_as_long_as_there_are_any(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    alone.contents.holdings[HOME, own] = Holding(has_claims=True, has_parked=False, has_any=True)
    await begun(alone, own)
    await passes(alone, own)
    entry, other = alone.own_entry(own), alone.entry(own)
    assert entry is not None
    assert other is not None
    assert entry["others"] == {"shards": [HOME], "held": []}
    # A body that somebody replays there is no news, either.
    assert other["others"] == {"shards": [dedicated_shard(own)], "held": []}
    alone.contents.holdings.clear()
    await passes(alone, own, 1)
    assert "others" not in (alone.own_entry(own) or {})
    assert alone.entry(own) is None


async def test_a_change_of_mind_is_taken_when_nothing_is_held_any_more(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    alone.contents.waiting[HOME, own] = frozenset({"log"})
    await begun(alone, own)
    await passes(alone, own)
    alone.apply("shop", receiver=SHARED)
    await passes(alone, own)
    assert alone.route_shard(own) == dedicated_shard(own)
    alone.contents.waiting.clear()
    await passes(alone, own)
    assert alone.route_shard(own) == HOME


async def test_a_change_of_mind_in_the_middle_does_not_leave_webhooks_behind(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    alone.contents.unfinished.add((HOME, own))
    await begun(alone, own)
    await passes(alone, own)
    assert alone.own_entry(own) is None
    alone.apply("shop", receiver=SHARED)
    await passes(alone, own)
    # Receivers stored in its own streams already.
    assert alone.route_shard(own) == dedicated_shard(own)
    alone.contents.unfinished.clear()
    alone.contents.unfinished.add((dedicated_shard(own), own))
    await passes(alone, own)
    assert (alone.route_shard(own), alone.entry(own)) == (HOME, None)
    alone.contents.unfinished.clear()
    await passes(alone, own)
    assert alone.entry(own) is not None
    assert reason_of(alone, own) == ("True", "ProcessorsWork")


async def test_the_way_back_removes_what_was_made_once_its_streams_are_empty(
    alone: OperatorAlone,
) -> None:
    own = await moved(alone)
    shard = dedicated_shard(own)
    alone.contents.there.add(shard)
    alone.contents.full.add(shard)
    alone.contents.holdings[shard, own] = Holding(has_claims=True, has_parked=False, has_any=True)
    alone.apply("shop", receiver=SHARED)
    await passes(alone, own)
    assert alone.route_shard(own) == HOME
    assert (alone.entry(own) or {})["others"] == {"shards": [shard], "held": []}
    assert "Deployment" not in alone.kinds_of_processors(own)
    assert "Secret" in alone.kinds_of_processors(own)
    alone.contents.holdings.clear()
    await passes(alone, own)
    # Dead letters of somebody else's time, or what happened to items: they are no claims.
    assert "Secret" in alone.kinds_of_processors(own)
    assert alone.contents.removed == []
    alone.contents.full.clear()
    await passes(alone, own)
    assert alone.contents.removed == [shard]
    assert alone.kinds_of_processors(own) == set()
    assert alone.entry(own) is not None


async def test_a_dead_letter_that_is_replayed_in_the_old_streams_gets_processors(
    alone: OperatorAlone,
) -> None:
    own = await moved(alone)
    shard = dedicated_shard(own)
    alone.contents.full.add(shard)
    alone.contents.holdings[shard, own] = Holding(has_claims=False, has_parked=False, has_any=True)
    alone.apply("shop", receiver=SHARED)
    await passes(alone, own)
    assert "Deployment" not in alone.kinds_of_processors(own)
    alone.contents.holdings[shard, own] = Holding(has_claims=False, has_parked=True, has_any=True)
    await passes(alone, own, 2)
    assert "Deployment" in alone.kinds_of_processors(own)
    assert alone.own_entry(own) is not None


async def test_shared_processors_never_take_one_that_comes_back_for_deleted(
    alone: OperatorAlone,
) -> None:
    own = await shared(alone)
    alone.delete(own)
    await passes(alone, own, 3)
    assert str(own) in alone.deleted()
    alone.apply("shop", uid="another", receiver=SHARED, processing=DEDICATED)
    await alone.reconcile(own)
    await alone.make_streams()
    alone.own_processor(own)
    await passes(alone, own)
    assert alone.route_shard(own) == dedicated_shard(own)
    alone.contents.unfinished.add((dedicated_shard(own), own))
    alone.apply("shop", receiver=SHARED)
    await passes(alone, own)
    # Webhooks go there, and wait: they must not be dropped.
    assert (alone.route_shard(own), alone.entry(own)) == (HOME, None)
    assert str(own) not in alone.deleted()


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("dies_after", range(1, 10))
async def test_whoever_looks_next_goes_on_with_a_move(
    alone: OperatorAlone,
    dies_after: int,
    back: bool,  # noqa: FBT001
) -> None:
    """The operator dies after so many writes of objects, and another one takes over."""
    own = await (moved(alone) if back else shared(alone))
    source = dedicated_shard(own) if back else HOME
    alone.contents.waiting[source, own] = frozenset({"log"})
    alone.apply("shop", receiver=SHARED, processing=SHARED if back else DEDICATED)
    writes = itertools.count(1)
    apply = alone.cluster.apply

    class DiedError(Exception):
        pass

    async def dying(desired: Json) -> dict[str, Json]:
        answer = await apply(desired)
        if next(writes) == dies_after:
            raise DiedError
        return answer

    alone.cluster.apply = dying  # type: ignore[method-assign]
    for _ in range(3 * PASSES):
        try:
            await alone.reconcile(own)
        except DiedError:
            await alone.start()
        both_closed = alone.entry(own) is None and alone.own_entry(own) is None
        assert not both_closed, "nobody would work what is stored"
        if not back:
            await alone.make_streams()
            if f"processor-{own.name}" not in alone.pod_names():
                alone.own_processor(own)
        alone.all_read()
        alone.seconds += SETTLE_SECONDS
    target = HOME if back else dedicated_shard(own)
    assert alone.route_shard(own) == target
    entry = alone.entry(own) if back else alone.own_entry(own)
    assert entry is not None
    assert entry["others"] == {"shards": [source], "held": ["log"]}


async def test_what_stands_is_left_alone_while_nats_is_away(alone: OperatorAlone) -> None:
    own = await moved(alone)
    before = dict(alone.cluster.objects)
    alone.contents.is_away = True
    await passes(alone, own)
    assert alone.cluster.objects == before


async def test_no_more_endpoints_than_are_allowed_have_streams_of_their_own(
    alone: OperatorAlone,
) -> None:
    first, second = await moved(alone), alone.apply("bank", receiver=SHARED, processing=DEDICATED)
    await passes(alone, second, 2)
    third = await shared(alone, "cafe")
    alone.apply("cafe", receiver=SHARED, processing=DEDICATED)
    await passes(alone, third, 2)
    assert alone.condition(third, "Accepted") == ("False", "DedicatedShardsFull")
    # What it has goes on.
    assert (alone.route_shard(third), alone.entry(third) is not None) == (HOME, True)
    # Who has them keeps them, whatever is allowed now.
    alone.delete(second)
    await passes(alone, second, 3)
    await passes(alone, third, 2)
    assert alone.condition(third, "Accepted") == ("True", "Accepted")
    await alone.start()
    await passes(alone, first, 2)
    assert alone.condition(first, "Accepted") == ("True", "Accepted")


async def test_streams_of_an_endpoint_that_is_gone_are_removed_when_they_are_empty(
    alone: OperatorAlone,
) -> None:
    own = await moved(alone)
    shard = dedicated_shard(own)
    alone.contents.there |= {shard, "d-00000000000000"}
    alone.contents.full |= {shard}
    await alone.make_streams()
    assert alone.contents.removed == ["d-00000000000000"]
    alone.end_pod(f"processor-{own.name}")
    alone.delete(own)
    await passes(alone, own, 3)
    assert (HOME, own) in alone.streams.purged
    assert (shard, own) in alone.streams.purged
    await alone.make_streams()
    # Its dead letters are still there.
    assert alone.contents.removed == ["d-00000000000000"]
    alone.contents.full.clear()
    await alone.make_streams()
    assert alone.contents.removed == ["d-00000000000000", shard]


async def test_a_new_endpoint_is_received_once_its_own_streams_are_there(
    alone: OperatorAlone,
) -> None:
    alone.streams.is_away = True
    own = alone.apply("shop", receiver=SHARED, processing=DEDICATED)
    await passes(alone, own, 2)
    assert alone.route_shard(own) is None
    alone.streams.is_away = False
    await alone.make_streams()
    alone.own_processor(own)
    await passes(alone, own, 3)
    assert alone.route_shard(own) == dedicated_shard(own)
    assert alone.own_entry(own) is not None
    assert alone.entry(own) is None
    assert alone.condition(own, "Ready") == ("True", "Ready")
