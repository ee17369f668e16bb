"""What a destination with batches is held to: its limits count requests, its places items."""

from random import Random

import pytest
from msgspec.structs import replace

from forebay.core.tables import Batch, Destination, HttpTarget
from forebay_processor.delivery.attempt_limiter import AttemptLimiter
from forebay_processor.delivery.destination_limits import BATCH_ITEMS, DestinationLimits
from forebay_processor.delivery.destination_settings import DestinationSettings, DestinationState
from forebay_processor.delivery.endpoint_limit import EndpointLimit
from forebay_processor.delivery.incidents import Incidents
from forebay_processor.shared.stream_time import StreamTime
from support.processor.queue_alone import NAME
from support.timing.clocks import HandClock
from support.timing.wait import eventually

TARGET = HttpTarget(url="http://sink", max_in_flight=6, batch=Batch(max_items=10))


def nothing(*, is_open: bool) -> None:
    """Take no notice of the breaker."""
    del is_open


def limits_of(target: HttpTarget, endpoint_limit: EndpointLimit | None = None) -> DestinationLimits:
    """Return the limits of a destination."""
    time = StreamTime(HandClock())
    incidents = Incidents(time.steady).of(NAME, "sink")
    limits = DestinationLimits(incidents, Random(1), time, nothing)
    limits.configure(settings_of(target, endpoint_limit))
    return limits


def settings_of(target: HttpTarget, endpoint_limit: EndpointLimit | None) -> DestinationSettings:
    config = Destination(name="sink", http=target)
    return DestinationSettings(
        state=DestinationState.OPEN, config=config, endpoint_limit=endpoint_limit
    )


def taken(limiter: AttemptLimiter) -> int:
    """Take all places there are, and return how many those were."""
    count = 0
    while limiter.try_take():
        count += 1
    return count


@pytest.mark.parametrize(("members", "requests", "items"), [(1, 6, 60), (4, 2, 15)])
async def test_places_are_of_items_and_requests_are_of_batches(
    members: int, requests: int, items: int
) -> None:
    limits = limits_of(TARGET)
    limits.share(members)
    assert taken(limits.attempts) == items
    assert limits.requests.taken == requests


async def test_no_more_items_are_under_way_than_may_be_in_memory() -> None:
    limits = limits_of(replace(TARGET, max_in_flight=64, batch=Batch(max_items=1000)))
    assert taken(limits.attempts) == BATCH_ITEMS


async def test_the_rate_is_of_requests() -> None:
    limits = limits_of(replace(TARGET, rate_per_second=20.0))
    assert taken(limits.attempts) == 20
    assert limits.requests.taken == 2
    assert limits.attempts.is_held_off


async def test_the_endpoint_s_share_is_of_requests_and_follows_the_settings() -> None:
    endpoint_limit = EndpointLimit()
    endpoint_limit.configure(4, 1)
    limits = limits_of(TARGET, endpoint_limit)
    assert taken(limits.attempts) == 40
    assert limits.requests.taken == 4
    assert not limits.attempts.is_held_off, "another destination may give back its places soon"
    for _ in range(40):
        limits.attempts.give_back()
    await eventually(lambda: not limits.requests.taken, saying="the requests of nobody to end")
    limits.configure(settings_of(replace(TARGET, batch=None), endpoint_limit))
    assert taken(limits.attempts) == 4
    for _ in range(4):
        limits.attempts.give_back()
    limits.configure(settings_of(TARGET, endpoint_limit))
    assert taken(limits.attempts) == 40
    assert limits.requests.taken == 4
