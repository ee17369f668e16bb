"""A campaign comes in while its destination is down; then all of it goes out, once and in order."""

from pathlib import Path
from typing import Final

from forebay.core.tables import Retry
from support.processor.campaign import Plan, run_campaign
from support.processor.campaign_of_processes import WorldOfProcesses, shard_for

PLAN: Final = Plan(
    messages=1_000, rate=500, people=300, others=10, kill_seconds=3, drain_seconds=30
)

PLACES: Final = 64
"""Attempts that a kill may catch under way (`http.maxInFlight`)."""


async def test_a_campaign_waits_for_its_destination_and_is_whole(tmp_path: Path) -> None:
    retry = Retry(initial_delay_seconds=0.5, max_delay_seconds=2)
    async with WorldOfProcesses(tmp_path, shard_for(PLAN.items()), retry) as world:
        found = await run_campaign(world, PLAN)
    assert found.answers.keys() == {200}, found.answers
    assert (found.missing, found.out_of_order, found.others_lost) == (0, 0, 0)
    kills = len(found.takeovers)
    assert kills
    assert not found.given_up
    assert found.repeated <= kills * PLACES
