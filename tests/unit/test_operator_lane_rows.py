"""What waits in RAW and EVENTS is shared out to endpoints: exactly where the rows are known."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from forebay.core.endpoint_name import EndpointName
from forebay_operator.models.stored_rows import LanePosition, RowPosition, StreamPosition
from forebay_operator.services.lane_rows import LaneRows, Shares

SHOPS = [EndpointName("acme", f"shop-{number}") for number in range(4)]
LANES = ("00.live", "00.status", "07.live")


def row(sequence: int, shop: int, lane: str = LANES[0]) -> RowPosition:
    return RowPosition(sequence, SHOPS[shop], lane, 1000.0 + sequence)


class Stream:
    """A stream with lanes, each processed up to a floor."""

    def __init__(self, rows: Iterable[RowPosition] = ()) -> None:
        self.rows = list(rows)
        self.floors = dict.fromkeys(LANES, 0)
        self.read = 0

    def place(self) -> StreamPosition:
        """Return how it is now."""
        lanes = tuple(
            LanePosition(lane, floor, len(self.waiting_in(lane)))
            for lane, floor in self.floors.items()
        )
        last = self.rows[-1].sequence if self.rows else 0
        return StreamPosition(1, last, len(self.rows), lanes)

    def waiting_in(self, lane: str) -> list[RowPosition]:
        """Return what is above a lane's floor."""
        return [
            each for each in self.rows if each.lane == lane and each.sequence > self.floors[lane]
        ]

    def polled_at(self, known: LaneRows) -> dict[str, int]:
        """Poll once; return what waits by endpoint."""
        place = self.place()
        found = [
            each
            for start, end in known.plan(place)
            for each in self.rows
            if start <= each.sequence <= end
        ]
        self.read += len(found)
        known.take(found, place)
        shares = Shares()
        known.add_to(shares)
        return {endpoint.name: waiting.items for endpoint, waiting in shares.waiting()}

    def truth(self) -> dict[str, int]:
        """Return the same by counting."""
        found: dict[str, int] = {}
        for lane in LANES:
            for each in self.waiting_in(lane):
                found[each.endpoint.name] = found.get(each.endpoint.name, 0) + 1
        return found


STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from(LANES)), max_size=8),
        st.sampled_from(LANES),
        st.integers(0, 12),
    ),
    max_size=12,
)


@given(steps=STEPS, reads_all=st.booleans())
def test_while_all_rows_are_read_the_numbers_are_exact(
    steps: list[tuple[list[tuple[int, str]], str, int]], *, reads_all: bool
) -> None:
    stream, known = Stream(), LaneRows(reads_all=reads_all)
    for stored, lane, processed in steps:
        for shop, of_lane in stored:
            stream.rows.append(row(len(stream.rows) + 1, shop, of_lane))
        for each in stream.waiting_in(lane)[:processed]:
            stream.floors[lane] = each.sequence
        assert stream.polled_at(known) == stream.truth()
    # Each row was read once, whoever waits how long.
    assert stream.read <= len(stream.rows)


def test_what_is_processed_is_not_read_at_all() -> None:
    stream, known = Stream(row(number, 0) for number in range(1, 101)), LaneRows(reads_all=False)
    stream.floors = dict.fromkeys(LANES, 100)
    assert stream.polled_at(known) == {}
    assert stream.read == 0


def test_a_storm_is_read_in_part_and_shared_out_whole() -> None:
    """Three quarters are of one shop: what is read at a poll says so, and the server how many."""
    rows = [row(number, int(number % 4 == 0)) for number in range(1, 100_001)]
    stream, known = Stream(rows), LaneRows(reads_all=True, read_most=2_000)
    found = stream.polled_at(known)
    assert stream.read == 2_000
    assert known.has_skipped
    assert sum(found.values()) == 100_000
    assert abs(found["shop-0"] - 75_000) <= 200
    # What comes after it is read as it comes.
    stream.rows.extend(row(number, 2) for number in range(100_001, 100_051))
    found = stream.polled_at(known)
    assert not known.has_skipped
    assert stream.read == 2_050
    assert abs(sum(found.values()) - 100_050) <= 2  # each is a whole number


def test_rows_that_are_kept_are_bounded() -> None:
    known = LaneRows(reads_all=True, read_most=1_000, kept_most=300)
    stream = Stream()
    for start in range(0, 5_000, 500):
        stream.rows.extend(row(start + number + 1, number % 2) for number in range(500))
        found = stream.polled_at(known)
        assert sum(found.values()) == len(stream.rows)
    assert sum(map(len, known._rows.values())) == 300  # noqa: SLF001  # the bound is the promise


def test_one_that_is_stuck_keeps_its_name_though_later_ones_are_processed() -> None:
    """An endpoint that no table knows: its webhook comes again and again, others go by."""
    stream, known = (
        Stream([row(1, 3), *(row(number, 0) for number in range(2, 50))]),
        LaneRows(reads_all=True),
    )
    assert stream.polled_at(known) == {"shop-3": 1, "shop-0": 48}
    place = stream.place()._replace(lanes=(LanePosition(LANES[0], 0, 1),))
    assert known.plan(place) == []
    known.take([], place)
    shares = Shares()
    known.add_to(shares)
    assert {each.name: waiting.items for each, waiting in shares.waiting()} == {"shop-3": 1}


def test_a_stream_that_is_made_anew_is_read_from_its_beginning() -> None:
    stream, known = Stream(row(number, 0) for number in range(1, 50)), LaneRows(reads_all=True)
    assert stream.polled_at(known) == {"shop-0": 49}
    anew = Stream([row(1, 1), row(2, 1)])
    assert anew.polled_at(known) == {"shop-1": 2}


def test_a_consumer_that_begins_again_has_its_rows_read_again() -> None:
    stream, known = Stream(row(number, 0) for number in range(1, 50)), LaneRows(reads_all=False)
    stream.floors = dict.fromkeys(LANES, 49)
    assert stream.polled_at(known) == {}
    stream.floors[LANES[0]] = 10
    assert stream.polled_at(known) == {"shop-0": 39}
