"""An installation fits its load: more of a load never asks for less of anything."""

import dataclasses
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from forebay.core.errors import ConfigurationError
from forebay.core.expected_load import (
    BODY_BYTES,
    CHANNELS,
    DAY_MINUTES,
    OUTAGE_MINUTES,
    RETENTION_HOURS,
    ExpectedLoad,
    Isolation,
)
from forebay.core.sizing import PROCESSORS, SHARDS, InstallationSize, size

LOADS = st.builds(
    ExpectedLoad,
    # Of each the whole range and what is usual: most of what is large in all is refused.
    outgoing=st.integers(0, 1_000) | st.integers(0, 45_000),
    incoming=st.integers(0, 1_000) | st.integers(0, 130_000),
    channels=st.integers(1, CHANNELS),
    retention_hours=st.integers(RETENTION_HOURS[0], 168) | st.integers(*RETENTION_HOURS),
    busy_minutes=st.integers(1, 30) | st.integers(1, DAY_MINUTES),
    outage_minutes=st.integers(0, 120) | st.integers(0, OUTAGE_MINUTES),
    body_bytes=st.integers(*BODY_BYTES) | st.integers(100, 2000),
    isolation=st.sampled_from(Isolation),
    servers=st.sampled_from([1, 3]),
)


def sized(load: ExpectedLoad) -> InstallationSize:
    """Return what a load takes; loads that are refused are no example."""
    try:
        return size(load)
    except ConfigurationError:
        assume(condition=False)
        raise


@given(load=LOADS)
def test_whatever_comes_in_the_figures_are_whole_and_within_what_the_chart_takes(
    load: ExpectedLoad,
) -> None:
    found = sized(load)
    for part in (found.receivers, found.processors):
        assert all(isinstance(each, int) for each in dataclasses.astuple(part))
        assert part.pods >= 2
        assert part.rate >= 1
        assert 10 <= part.cpu <= 1000
    assert found.processors.pods <= found.processors.most_pods <= PROCESSORS
    if load.isolation is Isolation.SHARED:
        assert found.receivers.pods <= found.receivers.most_pods <= 100
    assert 1 <= found.shards <= SHARDS
    assert found.shard.total * found.shards <= found.nats.store
    assert found.nats.store * 1.2 <= found.nats.volume * 1024
    assert found.nats.memory <= found.nats.memory_limit * 0.8 + 1
    assert all(isinstance(each, int) for each in dataclasses.astuple(found.shard))


@given(load=LOADS)
def test_the_load_is_held_while_one_pod_of_each_part_is_away(load: ExpectedLoad) -> None:
    found = sized(load)
    assert found.installations * found.webhooks >= load.webhooks
    assert (found.processors.pods - 1) * found.processors.rate >= found.webhooks
    if load.isolation is Isolation.SHARED:
        assert (found.receivers.pods - 1) * found.receivers.rate >= found.webhooks
    else:
        # Even where one channel gets all: the others have two each.
        channels = math.ceil(load.channels / found.installations)
        left = found.receivers.pods - 2 * (channels - 1)
        assert left - 1 >= math.ceil(found.webhooks / found.receivers.rate)
    assert found.shards * found.shard_rate >= found.webhooks
    assert found.gives_way[1] >= found.webhooks


GROWING = [
    "outgoing",
    "incoming",
    "channels",
    "retention_hours",
    "busy_minutes",
    "outage_minutes",
    "body_bytes",
]


@pytest.mark.parametrize("field", GROWING)
@given(load=LOADS, data=st.data())
def test_more_of_anything_never_takes_less(
    field: str, load: ExpectedLoad, data: st.DataObject
) -> None:
    value = getattr(load, field)
    more = data.draw(st.integers(0, max(1, value)) | st.integers(0, 20_000))
    less, rest = sized(load), sized(dataclasses.replace(load, **{field: value + more}))
    for total in ("total_pods", "total_cpu", "total_memory", "total_disk", "installations"):
        assert getattr(less, total) <= getattr(rest, total), total
    if less.installations == rest.installations:
        assert less.shards <= rest.shards
        assert less.keys <= rest.keys


@pytest.mark.parametrize(
    ("outgoing", "incoming", "webhooks"),
    [(20, 6, 66), (80, 24, 264), (1000, 300, 3300), (0, 0, 1)],
)
def test_the_webhooks_follow_from_the_provider_s_formula(
    outgoing: int, incoming: int, webhooks: int
) -> None:
    assert ExpectedLoad(outgoing=outgoing, incoming=incoming).webhooks == webhooks


def test_what_is_kept_follows_from_the_busy_minutes_of_each_day() -> None:
    found = size(ExpectedLoad(outgoing=100, incoming=0, retention_hours=168, busy_minutes=60))
    assert found.keys == 300 * 3600 * 8, "a day longer than the webhooks"
    assert found.nats.memory == 256 + math.ceil(found.keys * 406 / 1024**2)


def test_a_load_beyond_one_installation_s_partitions_takes_several() -> None:
    found = size(ExpectedLoad(outgoing=30_000, incoming=10_000, channels=100, busy_minutes=5))
    assert (found.installations, found.webhooks) == (3, 33_334)


@pytest.mark.parametrize(
    ("load", "advice"),
    [
        (ExpectedLoad(outgoing=1001, incoming=0), "give --channels 2 or more"),
        (ExpectedLoad(outgoing=-1, incoming=0), "--outgoing is -1: give 0 to"),
        (ExpectedLoad(outgoing=1, incoming=0, channels=0), "--channels is 0: give 1 to 10,000"),
        (ExpectedLoad(outgoing=1, incoming=0, busy_minutes=1441), "--busy, in minutes, is 1,441"),
        (ExpectedLoad(outgoing=1, incoming=0, body_bytes=99), "--body is 99: give 100 to 100,000"),
        (ExpectedLoad(outgoing=1, incoming=0, servers=2), "the chart's NATS has 1 or 3"),
        (
            ExpectedLoad(outgoing=1, incoming=900_000),
            "more than the 127,260 that the model reaches",
        ),
        (
            ExpectedLoad(outgoing=10_000, incoming=0, channels=10, busy_minutes=1440),
            "keep less by --retention or --busy",
        ),
        (
            ExpectedLoad(outgoing=5000, incoming=0, channels=5, body_bytes=100_000),
            "take 52 shards, and an installation has 32 at most",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_give(load: ExpectedLoad, advice: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        size(load)
    assert advice in str(refused.value)
