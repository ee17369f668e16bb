"""The floors of an endpoint follow its schedule, by a clock that the test sets."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forebay.core.endpoint_name import EndpointName
from support.operator.operator_alone import OperatorAlone

Json = Any

NINE = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
"""Monday, 9 o'clock in Vienna."""

CAMPAIGN: Json = {
    "name": "campaign",
    "cron": "0 9 * * MON",
    "timeZone": "Europe/Vienna",
    "duration": "2h",
    "leadTime": "10m",
    "messagesPerSecond": 1000,
}


@pytest.fixture
async def operator() -> OperatorAlone:
    """Give an operator, an hour before the campaign."""
    running = OperatorAlone()
    running.clock.is_set_to = NINE - timedelta(hours=1)
    await running.start()
    return running


async def endpoint(operator: OperatorAlone, **spec: Json) -> EndpointName:
    """Return an endpoint with that campaign, settled."""
    own = operator.apply("shop", throughput={"schedule": [CAMPAIGN]}, **spec)
    operator.own_pod(own)
    await operator.settle(own)
    return own


async def passes(operator: OperatorAlone, own: EndpointName, now: datetime) -> None:
    """Let it be that time, and have the endpoint checked as it is between two resyncs."""
    operator.clock.is_set_to = now
    await operator.reconcile(own, resync=False)


def of_kind(operator: OperatorAlone, kind: str) -> Json:
    (found,) = [each for key, each in operator.cluster.objects.items() if key.kind == kind]
    return found


def floors(operator: OperatorAlone, own: EndpointName) -> tuple[int, str, int]:
    """Return the fewest pods, the CPU of one, and what a receiver holds of the endpoint."""
    autoscaler = of_kind(operator, "HorizontalPodAutoscaler")
    (container,) = of_kind(operator, "Deployment")["spec"]["template"]["spec"]["containers"]
    return (
        autoscaler["spec"]["minReplicas"],
        container["resources"]["requests"]["cpu"],
        operator.route_of_own(own)["max_in_flight"],
    )


def schedule(operator: OperatorAlone, own: EndpointName) -> Json:
    return operator.cluster.endpoint_documents[own]["status"].get("schedule")


QUIET = (2, "18m", 792)
BUSY = (4, "59m", 9900)


async def test_floors_are_raised_ahead_of_time_and_lowered_at_the_end(
    operator: OperatorAlone,
) -> None:
    own = await endpoint(operator)
    assert floors(operator, own) == QUIET
    await passes(operator, own, NINE - timedelta(minutes=10, seconds=1))
    assert floors(operator, own) == QUIET
    await passes(operator, own, NINE - timedelta(minutes=10))
    assert floors(operator, own) == BUSY
    await passes(operator, own, NINE + timedelta(minutes=119))
    assert floors(operator, own) == BUSY
    await passes(operator, own, NINE + timedelta(minutes=120))
    assert floors(operator, own) == QUIET


async def test_the_status_says_which_window_counts_and_which_is_next(
    operator: OperatorAlone,
) -> None:
    own = await endpoint(operator)
    assert schedule(operator, own) == {
        "nextWindow": "campaign",
        "nextBegins": "2026-12-07T08:00:00Z",
    }
    await passes(operator, own, NINE)
    assert schedule(operator, own) == {
        "window": "campaign",
        "begins": "2026-12-07T08:00:00Z",
        "ends": "2026-12-07T10:00:00Z",
        "nextWindow": "campaign",
        "nextBegins": "2026-12-14T08:00:00Z",
    }


async def test_it_is_an_event_of_its_own_and_no_secret_that_changed(
    operator: OperatorAlone,
) -> None:
    own = await endpoint(operator)
    await passes(operator, own, NINE)
    await passes(operator, own, NINE + timedelta(hours=3))
    reasons = [reason for _, reason in operator.cluster.recorded]
    assert reasons.count("Scheduled") == 2
    assert "Rotated" not in reasons


@pytest.mark.parametrize(("isolation", "usual"), [("Dedicated", 10.0), ("Shared", 3000.0)])
async def test_a_check_comes_when_a_window_begins_to_count(
    operator: OperatorAlone, isolation: str, usual: float
) -> None:
    own = await endpoint(operator, receiver={"isolation": isolation})
    for before, seconds in ((timedelta(hours=1), usual), (timedelta(minutes=10, seconds=3), 3.0)):
        operator.clock.is_set_to = NINE - before
        operator.all_read()
        outcome = await operator.reconcile(own, resync=False)
        assert (outcome.result, outcome.again_in) == ("ok", seconds)


async def test_without_a_window_that_changes_a_check_applies_nothing(
    operator: OperatorAlone,
) -> None:
    own = await endpoint(operator)
    operator.all_read()
    before = dict(operator.cluster.objects)
    await passes(operator, own, NINE - timedelta(minutes=30))
    assert operator.cluster.objects == before


async def test_of_a_shared_endpoint_its_place_at_the_receivers_follows(
    operator: OperatorAlone,
) -> None:
    own = operator.apply(
        "shop", throughput={"schedule": [CAMPAIGN]}, receiver={"isolation": "Shared"}
    )
    await operator.settle(own)
    assert [each["max_in_flight"] for each in routes(operator)] == [792]
    await passes(operator, own, NINE)
    assert [each["max_in_flight"] for each in routes(operator)] == [9900]


def routes(operator: OperatorAlone) -> list[Json]:
    return list((operator.table("receivers") or {"routes": ()})["routes"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cron": "0 9 * *"}, "InvalidSpec"),
        ({"cron": "0 0 30 2 *"}, "InvalidSpec"),
        ({"timeZone": "Europe/Nowhere"}, "InvalidSpec"),
        ({"messagesPerSecond": 1001}, "LimitExceeded"),
    ],
)
async def test_a_window_that_cannot_be_is_a_condition(
    operator: OperatorAlone, change: Json, reason: str
) -> None:
    own = operator.apply("shop", throughput={"schedule": [CAMPAIGN | change]})
    outcome = await operator.reconcile(own)
    assert outcome.result == "refused"
    assert operator.condition(own, "Accepted") == ("False", reason)


async def test_what_was_served_goes_on_while_an_edit_of_the_schedule_is_wrong(
    operator: OperatorAlone,
) -> None:
    own = await endpoint(operator)
    operator.apply("shop", throughput={"schedule": [CAMPAIGN | {"cron": "x * * * *"}]})
    await operator.reconcile(own)
    assert floors(operator, own) == QUIET
    assert operator.condition(own, "Accepted") == ("False", "InvalidSpec")
