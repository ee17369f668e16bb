"""When `lastEventTime` takes a new value: a minute after the one before at the earliest."""

from datetime import UTC, datetime, timedelta

from forebay_operator.adapters.streams import NoStreams
from forebay_operator.models.endpoint import ClusterEndpoint, write_time
from forebay_operator.services.endpoint_backlog import StreamBacklogReader


def ago(seconds: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)


def with_latest(when: datetime | None) -> ClusterEndpoint:
    """Return an endpoint whose status has this time."""
    return ClusterEndpoint.of(
        {
            "metadata": {
                "namespace": "acme",
                "name": "sales",
                "uid": "1",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "status": {} if when is None else {"lastEventTime": write_time(when)},
        }
    )


async def latest(known: datetime | None, stored: datetime | None) -> datetime | None:
    streams, endpoint = NoStreams(), with_latest(known)
    if stored is not None:
        streams.times[endpoint.endpoint] = stored
    return await StreamBacklogReader(streams).latest("0", endpoint)


async def test_the_first_time_is_written_at_once() -> None:
    stored = ago(1)
    assert await latest(None, stored) == stored
    assert await latest(None, None) is None


async def test_a_newer_time_is_written_after_a_minute() -> None:
    known, stored = ago(61), ago(1)
    assert await latest(known, stored) == stored


async def test_a_newer_one_within_the_minute_is_not() -> None:
    known = ago(30)
    assert await latest(known, ago(1)) == known


async def test_what_was_purged_was_stored_nevertheless() -> None:
    known = ago(1000)
    assert await latest(known, None) == known
    assert await latest(known, ago(2000)) == known


async def test_an_old_webhook_is_not_followed_by_the_next_within_the_minute() -> None:
    streams, known = NoStreams(), ago(600)
    backlog, endpoint = StreamBacklogReader(streams), with_latest(known)
    streams.times[endpoint.endpoint] = ago(300)
    first = await backlog.latest("0", endpoint)
    assert first == streams.times[endpoint.endpoint]
    streams.times[endpoint.endpoint] = ago(0)
    assert await backlog.latest("0", with_latest(first)) == first


async def test_without_nats_it_stays_as_it_was() -> None:
    streams, known = NoStreams(), ago(600)
    streams.is_away = True
    assert await StreamBacklogReader(streams).latest("0", with_latest(known)) == known
