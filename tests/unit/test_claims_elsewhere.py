"""An endpoint that was moved: what its other streams have is a repeat, and a rank, here too."""

from collections.abc import Sequence
from typing import Final

import pytest
from typing_extensions import override

from forebay.core import envelope
from forebay.core.subjects import in_any_partition
from forebay.core.tables import OtherStreams
from forebay.runtime.jetstream.errors import StoreUnavailable
from forebay_processor.delivery.status_order import StatusQuery, superseded
from support.processor.split_alone import MemoryStreams, SplitAlone, texts_of
from support.timing.wait import eventually

OTHER: Final = "d-d21b2cdf12b74c"


class TwoShards(MemoryStreams):
    """EVENTS of its own shard, and what another one has claimed, by claim."""

    def __init__(self) -> None:
        super().__init__()
        self.elsewhere: dict[str, str] = {}
        self.asked: list[tuple[str, int]] = []
        self.is_away = False

    @override
    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        if self.is_away:
            message = "NATS gave no answer"
            raise StoreUnavailable(message)
        self.asked.append((stream, len(subjects)))
        assert stream == f"FOREBAY_EVENTS_{OTHER}"
        places = list(self.elsewhere)
        # As the server says it: under the subject itself, and not under what it was asked by.
        return {
            each.replace("*", "03"): 1000 + places.index(each)
            for each in subjects
            if each in self.elsewhere
        }

    @override
    async def digests(self, stream: str, sequences: Sequence[int]) -> dict[int, str]:
        if stream == "FOREBAY_EVENTS_0":
            return await super().digests(stream, sequences)
        digests = list(self.elsewhere.values())
        return {each: digests[each - 1000] for each in sequences}

    def claim_there(self, other: MemoryStreams) -> None:
        """Take what another splitter stored as what the other shard has."""
        for subject, _, headers in other.events.values():
            claim = in_any_partition(subject).replace("event.0.", f"event.{OTHER}.")
            self.elsewhere[claim] = headers[envelope.DIGEST]


@pytest.fixture
async def alone() -> SplitAlone:
    return SplitAlone(streams=TwoShards(), others=OtherStreams(shards=(OTHER,)))


def streams_of(alone: SplitAlone) -> TwoShards:
    assert isinstance(alone.streams, TwoShards)
    return alone.streams


async def split(body: bytes) -> MemoryStreams:
    """Return what a splitter stores of a webhook at an endpoint that was never moved."""
    before = SplitAlone()
    async with before.running():
        before.hand_out(before.message(body))
        await eventually(lambda: before.acks.acked == [1])
    return before.streams


async def test_what_was_stored_before_the_move_is_a_repeat(alone: SplitAlone) -> None:
    streams = streams_of(alone)
    streams.claim_there(await split(texts_of(("a1", "1"), ("b1", "2"))))
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a1", "1"), ("a2", "1"), ("b1", "2"))))
        await eventually(lambda: alone.acks.acked == [1])
    assert streams.keys == ["msg:1065:a2"]
    # One question for the whole wave.
    assert streams.asked == [(f"FOREBAY_EVENTS_{OTHER}", 3)]


async def test_other_content_under_a_key_of_before_is_a_variant(alone: SplitAlone) -> None:
    streams = streams_of(alone)
    streams.claim_there(await split(texts_of(("a1", "1"))))
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a1", "1"), text="another")))
        await eventually(lambda: alone.acks.acked == [1])
        (key,) = streams.keys
        assert key.startswith("msg:1065:a1~")
        # And that is a repeat the next time, here as there.
        alone.hand_out(alone.message(texts_of(("a1", "1"), text="another")))
        await eventually(lambda: alone.acks.acked == [1, 2])
    assert streams.keys == [key]


async def test_nothing_is_stored_while_the_other_streams_give_no_answer(alone: SplitAlone) -> None:
    streams = streams_of(alone)
    streams.is_away = True
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a1", "1"))))
        with pytest.raises(AssertionError):
            await eventually(lambda: bool(streams.keys or alone.acks.acked), within=0.5)
        streams.claim_there(await split(texts_of(("a1", "1"))))
        streams.is_away = False
        await eventually(lambda: alone.acks.acked == [1])
    assert streams.keys == []


async def test_nobody_else_pays_for_it() -> None:
    alone = SplitAlone(streams=TwoShards())
    async with alone.running():
        alone.hand_out(alone.message(texts_of(("a1", "1"))))
        await eventually(lambda: alone.acks.acked == [1])
    assert streams_of(alone).asked == []


class Ranks:
    """EVENTS of two shards; `mine` are the subjects that are claimed in the own one."""

    def __init__(self, mine: dict[str, int], elsewhere: set[str]) -> None:
        self.mine = mine
        self.elsewhere = elsewhere

    async def claims(self, stream: str, subjects: Sequence[str]) -> dict[str, int]:
        """Return what is claimed there."""
        if stream == "FOREBAY_EVENTS_0":
            return {each: self.mine[each] for each in subjects if each in self.mine}
        assert stream == f"FOREBAY_EVENTS_{OTHER}"
        return {each.replace("*", "01"): 7 for each in subjects if each in self.elsewhere}


@pytest.mark.parametrize(
    ("others", "late"), [((OTHER,), {5}), ((), set[int]())], ids=["moved", "never moved"]
)
async def test_a_higher_status_of_before_the_move_makes_a_status_late(
    others: tuple[str, ...], late: set[int]
) -> None:
    own = "forebay.event.0.03.status.acme.shop.statuses.sent"
    read = "forebay.event.0.03.status.acme.shop.statuses.read"
    there = f"forebay.event.{OTHER}.*.status.acme.shop.statuses.read"
    ranks = Ranks({own: 5}, {there})
    query = StatusQuery(5, own, [read], is_ordered=True, other_shards=others)
    assert await superseded(ranks, [query]) == late
