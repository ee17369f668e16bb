"""The same webhooks reach two processors at the same moment: each item is delivered once.

RAW recognises a repeat by its bytes, within two minutes. What comes in other bytes, or after
hours, is recognised by the claims in EVENTS. Here each webhook is in two partitions of RAW at once,
which two processors own.
"""

from typing import Final

from forebay.core.subjects import Lane
from support.inputs.bulk_webhooks import store_all, texts
from support.inputs.tables import ENDPOINT, endpoint, http_destination
from support.processor.shares import processors, shares
from support.programs.stack import Stack
from support.programs.under_load import worked_off
from support.timing.wait import eventually

WEBHOOKS: Final = 2_000


async def test_each_item_is_delivered_once(stack: Stack) -> None:
    stack.tables.write_endpoints(
        endpoint(http_destination(stack.sink.url("/twice")), name=ENDPOINT)
    )
    parts = await processors(stack, 2)
    of_each = [
        min(int(unit.partition(".")[2]) for unit in owned if unit.startswith("raw."))
        for owned in await shares(parts)
    ]
    webhooks = list(texts(WEBHOOKS, "TWICE"))
    await store_all(stack.nats_server.url, webhooks, Lane.LIVE, partitions=of_each)
    wanted = {webhook.token for webhook in webhooks}

    async def cut(metric: str, **labels: str) -> list[float]:
        return [await part.metric(f"forebay_processor_{metric}_total", **labels) for part in parts]

    async def all_cut() -> bool:
        return await cut("webhooks", outcome="split") == [WEBHOOKS, WEBHOOKS]

    await eventually(all_cut, within=30, saying="each processor to split all webhooks")
    await eventually(lambda: stack.sink.keys >= wanted, within=30, saying="all items to arrive")
    await worked_off(stack)
    assert stack.sink.keys == wanted
    assert not stack.sink.repeats
    assert sum(await cut("items", outcome="new")) == WEBHOOKS
    assert sum(await cut("items", outcome="repeat")) == WEBHOOKS
