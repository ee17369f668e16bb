"""What the tables of a pool are to say while endpoints come, grow, move and go."""

from forebay.core.endpoint_name import EndpointName
from forebay.core.tables import Authentication, HeaderCheck, ReceiverRoute
from forebay_operator.services.pool_table_contents import PoolEntries
from forebay_operator.services.table_placement import TABLE_BYTES


def route(name: str, size: int = 0) -> ReceiverRoute:
    header = HeaderCheck(name="authorization", values=("x" * max(1, size),))
    return ReceiverRoute(
        namespace="acme",
        name=name,
        provider="meta",
        authentication=Authentication(headers=(header,)),
    )


def name_of(name: str) -> EndpointName:
    return EndpointName("acme", name)


def write(entries: PoolEntries[ReceiverRoute], index: int) -> dict[EndpointName, ReceiverRoute]:
    content = entries.content(index)
    entries.begin(index, entries.news(index))
    entries.done(index, content)
    return content


def test_what_is_put_is_news_until_it_is_written() -> None:
    entries: PoolEntries[ReceiverRoute] = PoolEntries(4)
    assert entries.put(route("a"))
    index = entries.place(name_of("a"))
    assert entries.news(index) == {name_of("a")}
    assert not entries.is_written(name_of("a"), index)
    assert write(entries, index) == {name_of("a"): route("a")}
    assert entries.is_written(name_of("a"), index)
    assert entries.put(route("a"))
    assert entries.news(index) == set()


def test_who_grows_out_of_its_table_stands_in_both_until_it_is_taken_out_of_the_old_one() -> None:
    entries: PoolEntries[ReceiverRoute] = PoolEntries(2)
    entries.load(0, (route("a", 10), route("b", TABLE_BYTES - 2000)))
    assert entries.put(route("a", 5000))
    assert entries.place(name_of("a")) == 1
    assert entries.content(0)[name_of("a")] == route("a", 10)
    assert entries.content(1) == {name_of("a"): route("a", 5000)}
    assert entries.leftovers(name_of("a")) == [0]
    assert not entries.is_written(name_of("a"), 0)
    write(entries, 1)

    entries.drop_leftover(name_of("a"), 0)
    assert entries.news(0) == {name_of("a")}
    assert name_of("a") not in write(entries, 0)
    assert entries.indices(name_of("a")) == [0, 1]
    entries.forget_left(name_of("a"))
    assert entries.indices(name_of("a")) == [1]


def test_who_stands_in_two_tables_at_the_start_goes_on_from_there() -> None:
    entries: PoolEntries[ReceiverRoute] = PoolEntries(2)
    entries.load(0, (route("a", 10),))
    entries.load(1, (route("a", 20),))
    assert entries.leftovers(name_of("a")) == [1]
    assert entries.put(route("a", 20))
    entries.drop_leftover(name_of("a"), 1)
    assert entries.content(0) == {name_of("a"): route("a", 20)}
    assert entries.content(1) == {}


def test_who_goes_leaves_every_table() -> None:
    entries: PoolEntries[ReceiverRoute] = PoolEntries(2)
    entries.load(0, (route("a", 10), route("b")))
    entries.load(1, (route("a", 20),))
    entries.remove(name_of("a"))
    assert entries.indices(name_of("a")) == [0, 1]
    assert write(entries, 0) == {name_of("b"): route("b")}
    assert write(entries, 1) == {}
    assert entries.get(name_of("a")) is None


def test_a_table_can_be_written_with_the_news_of_one_endpoint_alone() -> None:
    entries: PoolEntries[ReceiverRoute] = PoolEntries(1)
    entries.load(0, (route("a"), route("b"), route("c")))
    entries.put(route("a", 10))
    entries.remove(name_of("b"))
    entries.put(route("d"))
    assert entries.content(0, only=name_of("a")) == {
        name_of("a"): route("a", 10),
        name_of("b"): route("b"),
        name_of("c"): route("c"),
    }
    assert name_of("b") not in entries.content(0, only=name_of("b"))
    assert entries.content(0, only=name_of("d"))[name_of("a")] == route("a")


def test_what_has_no_room_changes_nothing() -> None:
    entries: PoolEntries[ReceiverRoute] = PoolEntries(1)
    entries.load(0, (route("a"), route("b", TABLE_BYTES - 2000)))
    assert not entries.put(route("a", 5000))
    assert not entries.put(route("c", 5000))
    assert entries.get(name_of("a")) == route("a")
    assert entries.news(0) == set()
