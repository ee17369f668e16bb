"""A campaign's statuses pile up, and a reply does not wait for them."""

from pathlib import Path

from support.processor.storm import storm

STATUSES = 10_000
LIVE_PER_SECOND = 20.0


async def test_live_messages_pass_a_storm_of_statuses(tmp_path: Path) -> None:
    found = await storm(tmp_path, STATUSES, LIVE_PER_SECOND, within=45)
    assert found.statuses == STATUSES
    assert set(found.arrivals.values()) == {1}
    early = [each for each in found.live if each.statuses_left > STATUSES / 2]
    assert early, "no live message was sent while most of the storm was waiting"
    # In one line with the statuses each would have waited for all that were left. Counted in
    # statuses and not in seconds: a busy machine slows both.
    overtaken_by = [each.statuses_meanwhile for each in early]
    assert max(overtaken_by) < STATUSES / 4, f"live messages waited for statuses: {overtaken_by}"
