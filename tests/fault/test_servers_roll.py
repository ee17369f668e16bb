"""Three nats-servers go and come back one after the other under webhooks: hardly any gets a 503.

What is asserted of every answer is said in `support.receiver.store_outage`. `make drill-roll` is
the long form, and records.
"""

from pathlib import Path

import pytest

from support.receiver.rolling import Way, rolled

MOST = 0.001
"""Of the answers, those of 503 while the servers roll."""


@pytest.mark.timeout(150)
@pytest.mark.parametrize("way", ["handed over", "stopped"])
async def test_servers_roll_and_hardly_anything_is_refused(tmp_path: Path, way: Way) -> None:
    roll = await rolled(tmp_path, way)
    assert roll.share < MOST, roll
    # Else nothing was shown: there was something to wait for.
    assert sum(roll.waited.values()) > 0, roll
