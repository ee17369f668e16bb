"""What a processor remembers of items that it has stored, so as not to ask NATS about repeats."""

import msgspec

from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import encode_item
from forebay.core.item import Item, variant_of
from forebay.core.subjects import Lane, RawSubject
from forebay_processor.splitting import repeat_check
from forebay_processor.splitting.cutting import Part, Webhook
from forebay_processor.splitting.repeat_check import KnownItems
from support.inputs.splitting import split
from support.processor.split_alone import NAME, SplitAlone, texts_of

BODY = texts_of(("a", "1"))
OTHER_CONTENT = texts_of(("a", "1"), text="good-bye")


def part_of(item: Item, endpoint: EndpointName = NAME) -> Part:
    webhook = Webhook(SplitAlone().message(BODY), RawSubject("0", 0, Lane.LIVE, endpoint))
    return Part(webhook, item, item.lane, encode_item(item), None)


def item_of(body: bytes) -> Item:
    (item,) = split("meta", body, 0.0)
    return item


async def test_an_item_is_known_by_its_key_and_its_content() -> None:
    known = KnownItems()
    known.add(part_of(item_of(BODY)))
    assert part_of(item_of(BODY)) in known
    assert part_of(item_of(OTHER_CONTENT)) not in known


async def test_the_same_message_at_another_endpoint_is_not_known() -> None:
    known = KnownItems()
    known.add(part_of(item_of(BODY)))
    assert part_of(item_of(BODY), EndpointName("other", NAME.name)) not in known
    assert part_of(item_of(BODY), EndpointName(NAME.namespace, "other")) not in known


async def test_a_variant_is_known_under_both_of_its_keys() -> None:
    known = KnownItems()
    known.add(part_of(variant_of(item_of(BODY))))
    assert part_of(item_of(BODY)) in known
    assert part_of(variant_of(item_of(BODY))) in known


async def test_as_many_are_remembered_as_there_may_be() -> None:
    known = KnownItems()
    part = part_of(item_of(BODY))
    first = part.item
    for number in range(repeat_check.REMEMBERED + 1):
        part.item = msgspec.structs.replace(first, key=f"msg:1065:{number}")
        known.add(part)
    assert part in known
    part.item = msgspec.structs.replace(first, key="msg:1065:1")
    assert part in known
    part.item = msgspec.structs.replace(first, key="msg:1065:0")
    assert part not in known
