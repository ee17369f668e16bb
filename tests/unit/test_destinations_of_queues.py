"""A destination, with its connections and its secrets, is there for as long as a table names it."""

import contextlib
import gc
import time
import weakref
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RetrySubject
from forebay.core.tables import ProcessorEndpoint, ProcessorTable
from forebay_processor.delivery.failing_destinations import troubles_of
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.destinations.port import DestinationPort, Failed
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.stream_time import StreamTime
from support.destinations.clients import own_clients
from support.inputs.tables import ENDPOINT, endpoint, http_destination
from support.processor.queue_alone import QueueAlone
from support.timing.clocks import HandClock

KEPT = http_destination("http://kept.test/", name="kept")
GONE = http_destination("http://gone.test/", name="gone")
NAME = EndpointName.parse(ENDPOINT)


def table(
    *endpoints: ProcessorEndpoint, deleted: tuple[str, ...] = ()
) -> dict[str, ProcessorTable]:
    """Return tables that name these endpoints."""
    return {"t": ProcessorTable(generation="1", endpoints=endpoints, deleted=deleted)}


@contextlib.asynccontextmanager
async def delivery() -> AsyncIterator[tuple[Endpoints, Destinations, DestinationQueues]]:
    """Yield what names destinations, what has their connections, and the queues of both."""
    async with own_clients() as clients:
        endpoints, destinations = Endpoints(), Destinations(clients, time.time)
        metrics = ProcessorMetrics(pool="test")
        yield (
            endpoints,
            destinations,
            DestinationQueues(endpoints, destinations, metrics, StreamTime(HandClock())),
        )


def is_let_go(port: "weakref.ref[DestinationPort]") -> bool:
    gc.collect()
    return port() is None


@pytest.mark.parametrize(
    "after",
    [table(endpoint(KEPT)), table(deleted=(ENDPOINT,))],
    ids=["the destination", "its endpoint"],
)
async def test_what_is_removed_is_let_go(after: dict[str, ProcessorTable]) -> None:
    async with delivery() as (endpoints, destinations, queues):
        endpoints.replace(table(endpoint(KEPT, GONE)))
        queues.of(NAME, GONE.name)
        port = weakref.ref(destinations.of(NAME, GONE))
        assert not is_let_go(port)
        endpoints.replace(after)
        assert is_let_go(port)


async def test_what_no_table_names_for_a_while_is_kept() -> None:
    async with delivery() as (endpoints, destinations, queues):
        endpoints.replace(table(endpoint(KEPT)))
        queues.of(NAME, KEPT.name)
        port = weakref.ref(destinations.of(NAME, KEPT))
        endpoints.replace({})
        assert not is_let_go(port)
        endpoints.replace(table(endpoint(KEPT)))
        assert port() is destinations.of(NAME, KEPT)


async def test_queues_of_an_endpoint_that_is_gone_go_when_nothing_waits_in_them() -> None:
    async with delivery() as (endpoints, _, queues):
        endpoints.replace(table(endpoint(KEPT, GONE)))
        queue = weakref.ref(queues.of(NAME, GONE.name))
        waiting = queues.of(NAME, KEPT.name)
        alone = QueueAlone()
        subject = RetrySubject("0", 0, Lane.LIVE, NAME, KEPT.name, "c0", "k")
        waiting.backlogs.count(waiting.backlogs.of_subject(alone.partitions[0], subject), 1)

        endpoints.replace(table(endpoint(KEPT)))
        assert len(list(queues)) == 2, "what waits at a removed destination becomes dead letters"
        endpoints.replace(table(deleted=(ENDPOINT,)))
        gc.collect()
        assert queue() is None
        assert list(queues) == [waiting], "something waits in it"
        waiting.backlogs.drop(alone.partitions[0])
        endpoints.replace(table(deleted=(ENDPOINT,)))
        assert list(queues) == []


async def test_queues_of_what_no_table_names_go_at_the_second_check_that_finds_nothing() -> None:
    async with delivery() as (endpoints, _, queues):
        endpoints.replace(table(endpoint(KEPT, GONE)))
        kept, gone = queues.of(NAME, KEPT.name), queues.of(NAME, GONE.name)
        queues.forget_idle()
        queues.forget_idle()
        assert list(queues) == [kept, gone], "the tables name both"

        endpoints.replace(table(endpoint(KEPT)))
        partition = QueueAlone().partitions[0]
        subject = RetrySubject("0", 0, Lane.LIVE, NAME, GONE.name, "c0", "k")
        gone.backlogs.count(gone.backlogs.of_subject(partition, subject), 1)
        queues.forget_idle()
        queues.forget_idle()
        assert list(queues) == [kept, gone], "something waits in it"

        gone.backlogs.drop(partition)
        queues.forget_idle()
        assert list(queues) == [kept, gone], "somebody may be about to use it"
        queues.forget_idle()
        assert list(queues) == [kept]

        # An endpoint that is in no table, and not listed as deleted either.
        endpoints.replace({})
        queues.forget_idle()
        queues.forget_idle()
        assert list(queues) == []


async def test_a_queue_whose_destination_comes_back_between_two_checks_stays() -> None:
    async with delivery() as (endpoints, _, queues):
        endpoints.replace(table(endpoint(KEPT, GONE)))
        queue = queues.of(NAME, GONE.name)
        for after in (table(endpoint(KEPT)), table(endpoint(KEPT, GONE)), table(endpoint(KEPT))):
            endpoints.replace(after)
            queues.forget_idle()
        assert list(queues) == [queue]


async def test_what_failed_at_a_destination_is_forgotten_when_it_is_removed() -> None:
    async with delivery() as (endpoints, _, queues):
        endpoints.replace(table(endpoint(KEPT, GONE)))
        for each in (KEPT, GONE):
            queues.of(NAME, each.name)
            queues.incidents.of(NAME, each.name).failed(Failed("status 500"), 0.0)
        endpoints.replace(table(endpoint(KEPT)))
        assert [each.destination for each in queues.incidents.failing()] == [KEPT.name]
        endpoints.replace(table(deleted=(ENDPOINT,)))
        assert not list(queues.incidents.failing())


async def test_what_there_is_to_see_is_what_fails_and_what_is_paused() -> None:
    async with delivery() as (endpoints, _, queues):
        endpoints.replace(table(endpoint(KEPT, GONE)))
        for each in (KEPT, GONE):
            queues.of(NAME, each.name)
        assert troubles_of(queues) == {"destinations": [], "paused": [], "more": 0}

        now = queues.incidents.clock()
        queues.incidents.of(NAME, GONE.name).failed(Failed("status 500"), now + 1000)
        found = troubles_of(queues)["destinations"]
        assert isinstance(found, list)
        (failing,) = found
        assert failing["destination"] == GONE.name
        assert (failing["state"], failing["reason"]) == ("Failing", "status 500")
        assert 900 < failing["next_attempt_seconds"] <= 1000

        endpoints.replace(table(replace(endpoint(KEPT), paused=True)))
        assert troubles_of(queues)["paused"] == [ENDPOINT]
