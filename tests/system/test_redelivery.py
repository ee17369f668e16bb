"""The provider sends everything three times: the destination gets it once, repeats are counted."""

from pathlib import Path

from support.processor.redelivery import TIMES, drill

WEBHOOKS = 1_000


async def test_webhooks_sent_three_times_are_delivered_once(tmp_path: Path) -> None:
    found = await drill(tmp_path, WEBHOOKS, seconds=5, seed=7)
    assert (found.missing, found.arrived_again) == (0, 0)
    assert found.new_items == WEBHOOKS
    # Every webhook that was taken is in RAW or counted as a repeat, and so is every item.
    accepted = found.answers["200"]
    assert accepted == TIMES * WEBHOOKS
    assert found.stored == WEBHOOKS / 2 + TIMES * WEBHOOKS / 2
    assert found.refused_claims == found.stored - WEBHOOKS
    # What was stored though its answer came too late counts as a repeat when it comes again.
    assert found.refused_by_raw - (accepted - found.stored) <= found.answers.get("503", 0)
    assert found.refused_by_raw >= accepted - found.stored
