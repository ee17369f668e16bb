"""Which table holds which endpoint: by size, and as stable as can be."""

from hypothesis import given
from hypothesis import strategies as st

from forebay.core.endpoint_name import EndpointName
from forebay_operator.builders.names import table_index
from forebay_operator.services.table_placement import TableAllocator

ROOM = 1000


def endpoint(number: int) -> EndpointName:
    return EndpointName("acme", f"e{number}")


@given(st.lists(st.integers(1, 600), min_size=1, max_size=40))
def test_no_table_is_given_more_than_it_has_room_for(sizes: list[int]) -> None:
    allocator = TableAllocator(4, ROOM)
    placed = {}
    for number, size in enumerate(sizes):
        index = allocator.reserve(endpoint(number), size)
        if index is not None:
            placed[endpoint(number)] = (index, size)
    for index in range(4):
        taken = sum(size for place, size in placed.values() if place == index)
        assert taken == allocator.used(index) <= ROOM


def test_an_endpoint_that_fits_is_where_its_name_says() -> None:
    allocator = TableAllocator(16, ROOM)
    for number in range(30):
        assert allocator.reserve(endpoint(number), 10) == table_index(endpoint(number), 16)


def test_one_that_does_not_fit_goes_elsewhere_and_stays_there() -> None:
    allocator = TableAllocator(4, ROOM)
    home = table_index(endpoint(0), 4)
    crowd = next(
        endpoint(number) for number in range(1, 99) if table_index(endpoint(number), 4) == home
    )
    assert allocator.reserve(crowd, 900) == home
    other = allocator.reserve(endpoint(0), 200)
    assert other not in {None, home}
    allocator.release(crowd, home)
    assert allocator.reserve(endpoint(0), 300) == other
    assert allocator.place(endpoint(0)) == other


def test_one_that_fits_nowhere_leaves_all_as_it_was() -> None:
    allocator = TableAllocator(2, ROOM)
    for number in range(2):
        allocator.adopt(endpoint(number), 900, number)
    assert allocator.reserve(endpoint(7), 200) is None
    assert not allocator.is_placed(endpoint(7))
    assert allocator.reserve(endpoint(0), 1001) is None
    assert (allocator.place(endpoint(0)), allocator.used(0)) == (0, 900)


def test_who_moves_keeps_its_room_in_the_old_table_until_it_has_left() -> None:
    allocator = TableAllocator(2, ROOM)
    allocator.adopt(endpoint(0), 500, 0)
    allocator.adopt(endpoint(1), 400, 0)
    assert allocator.reserve(endpoint(0), 700) == 1
    assert (allocator.used(0), allocator.used(1)) == (900, 700)
    allocator.release(endpoint(0), 0)
    assert (allocator.used(0), allocator.place(endpoint(0))) == (400, 1)


def test_room_that_came_free_is_reported_once() -> None:
    allocator = TableAllocator(1, ROOM)
    assert allocator.reserve(endpoint(0), 900) == 0
    assert allocator.reserve(endpoint(1), 50) == 0
    assert not allocator.take_freed(), "who comes takes room"
    assert allocator.reserve(endpoint(0), 800) == 0
    assert allocator.take_freed(), "who shrinks gives some back"
    assert not allocator.take_freed()
    allocator.release(endpoint(1), 0)
    assert allocator.take_freed()
    allocator.release(endpoint(1), 0)
    assert not allocator.take_freed(), "nothing was left to free"
