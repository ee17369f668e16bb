"""At rest a ready endpoint is not passed at all; what changes for it has it passed soon."""

from typing import Any

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import StreamKind
from forebay_operator.models.pod_reports import OpenBreaker
from forebay_operator.models.stored_rows import RowPosition, StreamPosition
from support.operator.operator_alone import OperatorAlone

SHARED: dict[str, Any] = {"receiver": {"isolation": "Shared"}}
PROCESSOR = "10.0.0.1"
LONG_AGO = 1_000_000.0


async def started(*names: str) -> tuple[OperatorAlone, list[EndpointName]]:
    """Return an operator whose Shared endpoints are all ready, and nobody waits to be passed."""
    alone = OperatorAlone()
    alone.pods.opened[PROCESSOR] = ()
    await alone.start()
    owns = [alone.apply(name, **SHARED) for name in names]
    for own in owns:
        assert (await alone.settle(own)).result == "ok"
    assert await polled(alone) == []
    return alone, owns


async def polled(alone: OperatorAlone) -> list[EndpointName]:
    """Poll once; return who is to be passed, and take them."""
    await alone.sweep.poll()
    found: list[EndpointName] = []
    while len(alone.queue):
        key, _ = await alone.queue.get()
        alone.queue.done(key)
        if isinstance(key, EndpointName):
            found.append(key)
    return sorted(found)


async def test_a_ready_shared_endpoint_waits_for_its_resync_only() -> None:
    alone, (sales, _) = await started("sales", "support")
    outcome = await alone.reconcile(sales, resync=False)
    assert outcome.result == "ok"
    assert outcome.again_in is None
    assert await polled(alone) == []


async def test_one_with_receivers_of_its_own_is_polled() -> None:
    alone = OperatorAlone()
    await alone.start()
    own = await alone.settled_with_its_own("sales")
    assert (await alone.reconcile(own, resync=False)).again_in == 10.0


async def test_who_has_a_backlog_is_passed_and_nobody_else() -> None:
    alone, (sales, _) = await started("sales", "support")
    alone.streams.places[StreamKind.RETRY] = StreamPosition(1, 1, 1)
    alone.streams.stored[StreamKind.RETRY] = [RowPosition(1, sales, "03.live", LONG_AGO)]
    assert await polled(alone) == [sales]
    await alone.reconcile(sales, resync=False)
    status = alone.cluster.endpoint_documents[sales]["status"]
    assert status["backlog"]["items"] == 1
    assert await polled(alone) == []


async def test_whose_destination_is_down_is_passed_and_nobody_else() -> None:
    alone, (_, support) = await started("sales", "support")
    alone.pods.opened[PROCESSOR] = (OpenBreaker(support, "log", False, "HTTP 503"),)  # noqa: FBT003
    alone.sweep._observer._breakers._known = None  # noqa: SLF001  # as if half a check had gone by
    assert await polled(alone) == [support]
    await alone.reconcile(support, resync=False)
    assert alone.condition(support, "DestinationsHealthy") == ("False", "BreakerOpen")
    assert await polled(alone) == []


async def test_all_are_passed_where_a_shared_pod_comes_or_goes() -> None:
    alone, owns = await started("sales", "support")
    alone.pod("processors-2", alone.config.processors.pods.match_labels)
    assert await polled(alone) == owns
    assert await polled(alone) == []


async def test_a_poll_without_nats_passes_nobody() -> None:
    alone, _ = await started("sales", "support")
    alone.streams.is_away = True
    assert await polled(alone) == []
