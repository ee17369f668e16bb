"""Cases from the field: posted to a receiver, split, delivered as items and as bodies."""

import time
from collections.abc import Sequence

import pytest

from support.destinations.sink import Arrival
from support.inputs.cases import CASES
from support.programs.whole_path import WholePath

pytestmark = pytest.mark.asyncio(loop_scope="session")


def bodies_of(name: str) -> list[bytes]:
    return [post.body for post in CASES[name].posts(name)]


def ids(arrivals: Sequence[Arrival]) -> set[str]:
    return {arrival.key for arrival in arrivals}


@pytest.mark.parametrize("name", CASES)
async def test_a_case_arrives_as_is_right(whole_path: WholePath, name: str) -> None:
    case = CASES[name]
    own = await whole_path.endpoint(case.provider)
    began, posts = time.time(), list(case.posts(name))
    for post in posts:
        if post.at and case.provider != "generic":
            # As a receiver stores it that gets it then.
            received = str(int((began + post.at) * 1000))
            await whole_path.processor.store(
                own, post.body, headers={"Forebay-Received-At": received}
            )
        else:
            await whole_path.post(own, post.body)
    items, raw = await whole_path.arrived(own)
    assert (len(items), len(ids(items))) == (case.items, case.items)
    wanted = len({post.body for post in posts}) if case.bodies is None else case.bodies
    assert (len(raw), len(ids(raw))) == (wanted, wanted)
    assert {arrival.body for arrival in raw} == {post.body for post in posts}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.sent_at == (0,)])
async def test_a_case_that_is_sent_again_brings_nothing_more(
    whole_path: WholePath, name: str
) -> None:
    own = await whole_path.endpoint()
    bodies = bodies_of(name)
    now = str(int(time.time() * 1000))
    for body in (*bodies, *bodies):
        await whole_path.processor.store(own, body, headers={"Forebay-Received-At": now})
    items, raw = await whole_path.arrived(own)
    assert (len(items), len(raw)) == (CASES[name].items, len(bodies))


async def test_the_same_message_is_one_whoever_it_is_said_to_be_of(whole_path: WholePath) -> None:
    """In both orders, and for persons whose two conversations are in different partitions."""
    by_number, by_both = bodies_of("same-wamid-two-identities")
    own = await whole_path.endpoint()
    for person in range(12):
        pair = [
            body.replace(b"15550000008", b"155500001%02d" % person)
            .replace(b"US.808", b"US.9%02d" % person)
            .replace(b"wamid.C08", b"wamid.P%02d" % person)
            for body in (by_number, by_both)
        ]
        await whole_path.post(own, *(pair if person % 2 else reversed(pair)))
    items, raw = await whole_path.arrived(own)
    assert (len(items), len(ids(items)), len(raw)) == (12, 12, 24)
    assert not any(arrival.event.get("variant") for arrival in items)


async def test_payments_are_not_superseded_by_their_messages_statuses(
    whole_path: WholePath,
) -> None:
    own = await whole_path.endpoint()
    await whole_path.post(own, *bodies_of("payment-statuses"))
    items, _ = await whole_path.arrived(own)
    payments = [each for each in items if each.event["itemkey"].startswith("pay:")]
    assert payments
    assert not any(each.event.get("superseded") for each in payments)
