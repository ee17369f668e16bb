"""One eventful run for all tests of this level."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.observability.eventful_run import EventfulRun


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EventfulRun]:
    """Give the run, with a Prometheus that has read it for some seconds."""
    async with EventfulRun(tmp_path_factory.mktemp("run")) as going:
        await going.traffic(seconds=2)
        await going.go_wrong()
        await going.traffic(seconds=4)
        yield going
