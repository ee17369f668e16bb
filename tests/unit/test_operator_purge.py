"""Which messages go with a deleted endpoint: all of its own, and nobody else's."""

from fnmatch import fnmatchcase

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    EventSubject,
    Lane,
    RawSubject,
    RetrySubject,
    StreamKind,
    endpoint_partition,
)
from forebay_operator.adapters.shard_contents import endpoint_filters

OWN = EndpointName("acme", "sales")
OTHERS = [
    EndpointName("acme", "sales-2"),
    EndpointName("acme", "sale"),
    EndpointName("acme-2", "sales"),
    EndpointName("sales", "acme"),
]


def subjects(endpoint: EndpointName, shard: str = "0") -> list[tuple[StreamKind, str]]:
    """Return a subject of an endpoint in each lane of each stream that is purged."""
    found: list[tuple[StreamKind, str]] = []
    for lane in Lane:
        raw = RawSubject(shard, endpoint_partition(endpoint, shard), lane, endpoint)
        found.append((StreamKind.RAW, str(raw)))
    for lane in (Lane.LIVE, Lane.STATUS, Lane.BULK):
        event = EventSubject(shard, 5, lane, endpoint, "messages", "ab12")
        row = RetrySubject(shard, 5, lane, endpoint, "crm", "c0ffee", "ab12")
        found += [(StreamKind.EVENTS, str(event)), (StreamKind.RETRY, str(row))]
    return found


def is_purged(kind: StreamKind, subject: str) -> bool:
    """Say whether a subject is among those that go with OWN, as NATS compares them."""
    wanted = endpoint_filters("0", OWN)[kind].split(".")
    tokens = subject.split(".")
    if wanted[-1] == ">":
        wanted, tokens = wanted[:-1], tokens[: len(wanted) - 1]
    return len(wanted) == len(tokens) and all(map(fnmatchcase, tokens, wanted))


def test_all_of_an_endpoint_s_own_goes() -> None:
    assert [each for each in subjects(OWN) if not is_purged(*each)] == []


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_nothing_of_another_endpoint_goes(other: EndpointName) -> None:
    assert [each for each in subjects(other) if is_purged(*each)] == []


def test_nothing_of_another_shard_goes() -> None:
    assert [each for each in subjects(OWN, shard="1") if is_purged(*each)] == []


def test_dead_letters_stay() -> None:
    assert StreamKind.DEAD not in endpoint_filters("0", OWN)
