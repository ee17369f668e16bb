"""One endpoint's requests in all are shared so that no destination takes those of another."""

from forebay_processor.delivery.endpoint_limit import EndpointLimit, EndpointShare


def fill(share: EndpointShare) -> int:
    """Take all there is for one and return how many places it has."""
    while share.has_room:
        share.take()
    return share.taken


def nothing() -> None:
    """Nobody waits."""


def test_without_a_limit_there_is_always_room() -> None:
    endpoint_limit = EndpointLimit()
    share = endpoint_limit.join(nothing)
    share.taken = 1_000_000
    assert share.has_room


def test_a_greedy_destination_leaves_the_others_their_part() -> None:
    endpoint_limit = EndpointLimit()
    endpoint_limit.configure(40, 4)
    shares = [endpoint_limit.join(nothing) for _ in range(4)]
    # Half of 40 in 4 parts of 5; the other half for whoever wants it.
    assert [fill(share) for share in shares] == [25, 5, 5, 5]
    assert not any(share.has_room for share in shares)


def test_a_destination_that_never_showed_up_has_its_part_as_well() -> None:
    endpoint_limit = EndpointLimit()
    endpoint_limit.configure(40, 4)
    assert fill(endpoint_limit.join(nothing)) == 25


def test_a_limit_below_the_number_of_destinations_is_kept() -> None:
    endpoint_limit = EndpointLimit()
    endpoint_limit.configure(3, 10)
    shares = [endpoint_limit.join(nothing) for _ in range(10)]
    assert sum(fill(share) for share in shares) == 3


def test_a_limit_that_is_lowered_lets_nobody_in_until_it_holds() -> None:
    endpoint_limit = EndpointLimit()
    endpoint_limit.configure(16, 2)
    first, second = endpoint_limit.join(nothing), endpoint_limit.join(nothing)
    assert fill(first) == 12
    endpoint_limit.configure(12, 2)
    assert not second.has_room
    first.give_back()
    assert fill(second) == 1


def test_a_place_that_is_given_back_is_offered_to_the_others_in_turn() -> None:
    endpoint_limit, called = EndpointLimit(), list[str]()
    endpoint_limit.configure(2, 3)
    first = endpoint_limit.join(lambda: called.append("first"))
    endpoint_limit.join(lambda: called.append("second"))
    endpoint_limit.join(lambda: called.append("third"))
    for _ in range(2):
        first.take()
        first.give_back()
    assert called == ["second", "third", "third", "second"]


def test_who_leaves_takes_nothing_along() -> None:
    endpoint_limit, called = EndpointLimit(), list[str]()
    endpoint_limit.configure(2, 2)
    gone, stays = endpoint_limit.join(nothing), endpoint_limit.join(lambda: called.append("stays"))
    gone.taken = 2
    assert not stays.has_room
    gone.leave()
    assert (stays.has_room, called) == (True, ["stays"])
