"""Fixtures of the component level."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.edge import Edge
from support.plant import Plant


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Give a receiver that all tests of the session share: none of them may stop or overload it.

    Tests that use it run on the session's loop: `pytest.mark.asyncio(loop_scope="session")`.
    """
    async with Edge(
        tmp_path_factory.mktemp("edge"), FOREBAY_RECEIVER_BODY_SECONDS="0.5"
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plant(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plant]:
    """Give a processor that all tests of the session share: each test uses endpoints of its own."""
    async with Plant(tmp_path_factory.mktemp("plant")) as running:
        yield running
