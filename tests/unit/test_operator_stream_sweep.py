"""One poll at a shard's streams: how much it asks, and whom it believes about RETRY."""

from collections.abc import Sequence
from datetime import UTC, datetime

from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import StreamKind
from forebay_operator.adapters.streams import NoStreams
from forebay_operator.models.stored_rows import ParkedItems, RowPosition, StreamPosition
from forebay_operator.services.lane_rows import READ_MOST
from forebay_operator.services.stream_sweep import ASKED_AT_A_POLL, ShardSweep

SHOPS = [EndpointName("acme", f"shop-{number:03d}") for number in range(200)]
NOW = datetime.now(UTC).timestamp()
MANY = 10 * READ_MOST


class Asked(NoStreams):
    """Counts for whom the latest webhook was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[EndpointName] = []

    @override
    async def latest(self, shard: str, endpoint: EndpointName) -> datetime | None:
        self.asked.append(endpoint)
        return await super().latest(shard, endpoint)


class Polled:
    """A sweep over streams that a test fills."""

    def __init__(self, *counted: ParkedItems) -> None:
        self.streams = Asked()
        self.counted: Sequence[ParkedItems] | None = counted
        self.questions = 0
        self.sweep = ShardSweep("0", self.streams, self._ask)

    async def _ask(self) -> Sequence[ParkedItems] | None:
        self.questions += 1
        return self.counted

    def park(self, messages: int, rows: Sequence[int]) -> None:
        """Let RETRY hold so many, the first of which are of these shops."""
        self.streams.places[StreamKind.RETRY] = StreamPosition(1, messages, messages)
        self.streams.stored[StreamKind.RETRY] = [
            RowPosition(number, SHOPS[shop], "03.live", NOW - 50)
            for number, shop in enumerate(rows, start=1)
        ]

    async def poll(self) -> dict[str, int]:
        """Poll once; return what waits."""
        await self.sweep.poll(SHOPS)
        return {name.name: each.items for name, each in (self.sweep.waiting or {}).items()}


async def test_at_rest_no_row_is_read_and_no_processor_asked() -> None:
    polled = Polled()
    for kind in (StreamKind.RAW, StreamKind.EVENTS, StreamKind.RETRY):
        polled.streams.places[kind] = StreamPosition(1, 0, 0)
    for _ in range(10):
        assert await polled.poll() == {}
    assert polled.streams.read == []
    assert polled.questions == 0


async def test_few_parked_items_are_counted_by_their_rows() -> None:
    polled = Polled(ParkedItems(SHOPS[0], 99, 1.0))
    polled.park(3, [1, 1, 2])
    assert await polled.poll() == {"shop-001": 2, "shop-002": 1}
    assert polled.questions == 0


async def test_of_many_the_processors_are_believed() -> None:
    polled = Polled(ParkedItems(SHOPS[5], MANY - 1, 700.0), ParkedItems(SHOPS[6], 1, 3.0))
    polled.park(MANY, [5] * READ_MOST)
    assert await polled.poll() == {"shop-005": MANY - 1, "shop-006": 1}
    assert polled.streams.read == []
    oldest = (polled.sweep.waiting or {})[SHOPS[5]].oldest
    assert oldest is not None
    assert abs(datetime.now(UTC).timestamp() - oldest.timestamp() - 700) <= 2


async def test_while_a_new_owner_counts_what_was_counted_before_stands() -> None:
    polled = Polled(ParkedItems(SHOPS[5], MANY, 700.0))
    polled.park(MANY, [5] * READ_MOST)
    await polled.poll()
    polled.counted = [ParkedItems(SHOPS[5], MANY // 3, 700.0)]
    assert await polled.poll() == {"shop-005": MANY}
    polled.counted = None
    assert await polled.poll() == {"shop-005": MANY}


async def test_without_processors_many_are_shared_out_as_the_oldest_rows() -> None:
    polled = Polled()
    polled.counted = None
    polled.park(MANY, [number % 4 for number in range(READ_MOST)])
    found = await polled.poll()
    assert found == {f"shop-00{number}": MANY // 4 for number in range(4)}
    assert polled.streams.read == [(StreamKind.RETRY, 1, READ_MOST)]


async def test_another_shards_items_are_none_of_this_one() -> None:
    stranger = EndpointName("acme", "of-another-shard")
    polled = Polled(ParkedItems(SHOPS[5], MANY, 9.0), ParkedItems(stranger, 5 * MANY, 9.0))
    polled.park(MANY, [5])
    assert await polled.poll() == {"shop-005": MANY}


async def test_the_latest_webhook_comes_of_the_rows_and_is_asked_for_once_at_the_start() -> None:
    polled = Polled()
    polled.streams.times = dict.fromkeys(SHOPS, datetime(2026, 1, 1, tzinfo=UTC))
    polled.streams.places[StreamKind.RAW] = StreamPosition(1, 2, 2)
    polled.streams.stored[StreamKind.RAW] = [
        RowPosition(1, SHOPS[0], "03.live", NOW - 9),
        RowPosition(2, SHOPS[0], "03.live", NOW - 5),
    ]
    for _ in range(10):
        await polled.poll()
    first = polled.sweep.latest(SHOPS[0])
    assert first is not None
    assert first.timestamp() == int(NOW - 5)
    assert polled.sweep.latest(SHOPS[199]) == datetime(2026, 1, 1, tzinfo=UTC)
    # All but the one whose rows were read, each once, and never many at a poll.
    assert sorted(polled.streams.asked) == SHOPS[1:]


async def test_not_more_than_some_are_asked_for_at_a_poll() -> None:
    polled = Polled()
    await polled.poll()
    assert len(polled.streams.asked) == ASKED_AT_A_POLL
