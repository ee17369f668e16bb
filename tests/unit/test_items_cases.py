"""Inputs from the field come out as the items that they are: none lost, none twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.core.body_item import body_item
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import EVENT_ID, StoredItem, decode_item, encode_item
from forebay.core.item import Item, variant_of
from forebay.core.status_ranks import higher_claims
from forebay.core.subjects import EventSubject, Lane
from support.inputs.cases import CASES, Case
from support.inputs.splitting import split

FIRST = 1_795_930_000.0
SHOP = EndpointName("demo", "shop")
pytestmark = pytest.mark.parametrize("name", CASES)


def items_of(name: str) -> Iterator[tuple[Item, Item]]:
    """Give each item of a case's webhooks, with the whole webhook as an item."""
    case = CASES[name]
    for post in case.posts(name):
        event = f"event-{post.number}" if case.provider == "generic" else None
        received = FIRST + post.at
        items = split(case.provider, post.body, received, event)
        headers = {EVENT_ID: event} if event else {}
        whole = body_item(post.body, headers, items, received)
        for item in items:
            yield item, whole


def claimed_items(items: Iterator[Item]) -> list[Item]:
    """Return the items that a store of claims lets through."""
    claimed: dict[tuple[str, str], Item] = {}
    for item in items:
        first = claimed.setdefault((item.kind, item.key), item)
        if first.digest != item.digest:
            variant = variant_of(item)
            claimed.setdefault((variant.kind, variant.key), variant)
    return list(claimed.values())


def test_it_comes_out_as_the_items_that_it_holds(name: str) -> None:
    items = claimed_items(item for item, _ in items_of(name))
    assert len(items) == CASES[name].items
    assert len({item.token for item in items}) == len(items)


def test_as_whole_webhooks_it_is_as_many_as_there_are_events(name: str) -> None:
    case: Case = CASES[name]
    bodies = {post.body for post in case.posts(name)}
    whole = {item.token for _, item in items_of(name)}
    assert len(whole) == (case.bodies or len(bodies))


def test_every_item_can_be_stored_and_read_again(name: str) -> None:
    for item in claimed_items(item for item, _ in items_of(name)):
        stored = decode_item(encode_item(item))
        assert (stored.key, stored.variant, stored.repaired) == (
            item.key,
            item.variant,
            item.repaired,
        )


def test_nothing_of_a_payment_is_behind_a_status_of_its_message(name: str) -> None:
    def higher(item: Item) -> list[str]:
        stored: StoredItem = decode_item(encode_item(item))
        subject = EventSubject("0", 0, Lane.STATUS, SHOP, item.kind, item.token)
        return [each.rpartition(".")[2] for each in higher_claims(subject, stored)]

    items = claimed_items(item for item, _ in items_of(name))
    payments = {item.token for item in items if item.key.startswith("pay:")}
    assert len(payments) == (5 if name == "payment-statuses" else 0)
    for item in items:
        assert not payments & set(higher(item))
        assert item.token not in payments or not higher(item)


def test_the_case_has_its_file(name: str) -> None:
    folder = Path(__file__).parents[1] / "data" / "cases"
    assert {path.stem for path in folder.glob("*.json")} == set(CASES)
    assert (folder / f"{name}.json").exists()
