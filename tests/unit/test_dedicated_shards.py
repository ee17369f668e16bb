"""The shard of one endpoint's own: what it is called, and how many partitions it has."""

from collections import Counter
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    DEDICATED_PARTITIONS,
    PARTITIONS,
    conversation_partition,
    conversation_token,
    dedicated_shard,
    endpoint_partition,
    is_dedicated,
    partitions_of,
)
from forebay.runtime.jetstream.streams import consumer_configs
from forebay_processor.ownership.assignment import KINDS, next_table, owned, partition_ids, surplus
from forebay_processor.shared.lease_table import LeaseTable

SHOP: Final = EndpointName("acme", "shop")

labels = st.from_regex("[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?", fullmatch=True)


def test_the_name_is_a_stored_format() -> None:
    assert dedicated_shard(SHOP) == "d-d21b2cdf12b74c"
    assert (DEDICATED_PARTITIONS, partitions_of("d-d21b2cdf12b74c")) == (4, 4)


@pytest.mark.parametrize(
    "shard", ["0", "d", "d-1", "d-D21B2CDF12B74C", "d-d21b2cdf12b74c0", "east"]
)
def test_an_installation_s_shard_has_as_many_partitions_as_ever(shard: str) -> None:
    assert not is_dedicated(shard)
    assert partitions_of(shard) == PARTITIONS


@given(namespace=labels, name=labels)
def test_it_is_a_name_of_a_shard_and_of_no_other_endpoint(namespace: str, name: str) -> None:
    shard = dedicated_shard(EndpointName(namespace, name))
    assert is_dedicated(shard)
    assert len(shard) == 16
    assert shard != dedicated_shard(EndpointName(name, f"{namespace}-"))


@given(people=st.sets(st.integers(0, 10**9), min_size=200, max_size=200))
def test_each_conversation_has_one_of_its_partitions(people: set[int]) -> None:
    shard = dedicated_shard(SHOP)
    tokens = [conversation_token("1065", str(person)) for person in people]
    found = Counter(conversation_partition(SHOP, token, shard) for token in tokens)
    assert found.keys() == set(range(DEDICATED_PARTITIONS))
    assert endpoint_partition(SHOP, shard) in range(DEDICATED_PARTITIONS)


def test_its_consumers_are_those_of_its_partitions() -> None:
    split, deliver = (
        consumer_configs(step, dedicated_shard(SHOP)) for step in ("split", "deliver")
    )
    assert len(split) + len(deliver) == 28


def test_its_processors_share_what_there_is() -> None:
    table = LeaseTable()
    for member in ("a", "b"):
        table = next_table(table, member, listener_id=member, partitions=DEDICATED_PARTITIONS)
    assert surplus(table, "a", DEDICATED_PARTITIONS) == [
        "raw.02", "raw.03", "event.02", "event.03",
    ]  # fmt: skip
    given_back = surplus(table, "a", DEDICATED_PARTITIONS)
    table = next_table(
        table, "a", listener_id="a", released=given_back, partitions=DEDICATED_PARTITIONS
    )
    table = next_table(table, "b", listener_id="b", partitions=DEDICATED_PARTITIONS)
    mine = [set(owned(table, member)) for member in ("a", "b")]
    everything = {each for kind in KINDS for each in partition_ids(kind, DEDICATED_PARTITIONS)}
    assert mine[0] | mine[1] == everything
    assert [len(each) for each in mine] == [4, 4]
