"""What several fault tests begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.receiver.store_outage import StoreOutage


@pytest.fixture
async def outage(tmp_path: Path) -> AsyncIterator[StoreOutage]:
    """Give NATS with an empty RAW."""
    async with StoreOutage(tmp_path) as running:
        yield running
