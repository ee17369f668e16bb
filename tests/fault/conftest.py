"""What several fault tests begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.ordeal import Ordeal


@pytest.fixture
async def ordeal(tmp_path: Path) -> AsyncIterator[Ordeal]:
    """Give NATS with an empty RAW."""
    async with Ordeal(tmp_path) as running:
        yield running
