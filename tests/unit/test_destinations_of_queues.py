"""A destination, with its connections and its secrets, is there for as long as a table names it."""

import gc
import time
import weakref

import pytest

from forebay.core.naming import EndpointName
from forebay.core.subjects import Lane, RetrySubject
from forebay.core.tables import ProcessorEndpoint, ProcessorTable
from forebay_processor.delivery.queues import DestinationQueues
from forebay_processor.destinations.port import DestinationPort
from forebay_processor.destinations.registry import Destinations
from forebay_processor.metrics import ProcessorMetrics
from forebay_processor.shared.endpoints import Endpoints
from forebay_processor.shared.stream_time import StreamTime
from support.destinations.http_destination import own_client
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


def is_let_go(port: "weakref.ref[DestinationPort]") -> bool:
    gc.collect()
    return port() is None


@pytest.mark.parametrize(
    "after",
    [table(endpoint(KEPT)), table(deleted=(ENDPOINT,))],
    ids=["the destination", "its endpoint"],
)
async def test_what_is_removed_is_let_go(after: dict[str, ProcessorTable]) -> None:
    async with own_client() as client:
        endpoints, destinations = Endpoints(), Destinations(client, time.time)
        metrics = ProcessorMetrics(pool="test")
        queues = DestinationQueues(endpoints, destinations, metrics, StreamTime(HandClock()))
        endpoints.replace(table(endpoint(KEPT, GONE)))
        queues.of(NAME, GONE.name)
        port = weakref.ref(destinations.of(NAME, GONE))
        assert not is_let_go(port)
        endpoints.replace(after)
        assert is_let_go(port)


async def test_what_no_table_names_for_a_while_is_kept() -> None:
    async with own_client() as client:
        endpoints, destinations = Endpoints(), Destinations(client, time.time)
        metrics = ProcessorMetrics(pool="test")
        queues = DestinationQueues(endpoints, destinations, metrics, StreamTime(HandClock()))
        endpoints.replace(table(endpoint(KEPT)))
        queues.of(NAME, KEPT.name)
        port = weakref.ref(destinations.of(NAME, KEPT))
        endpoints.replace({})
        assert not is_let_go(port)
        endpoints.replace(table(endpoint(KEPT)))
        assert port() is destinations.of(NAME, KEPT)


async def test_queues_of_an_endpoint_that_is_gone_go_when_nothing_waits_in_them() -> None:
    async with own_client() as client:
        endpoints, destinations = Endpoints(), Destinations(client, time.time)
        metrics = ProcessorMetrics(pool="test")
        queues = DestinationQueues(endpoints, destinations, metrics, StreamTime(HandClock()))
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
