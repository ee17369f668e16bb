"""Fixtures of the component level."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from support import nursery
from support.edge import Edge
from support.plant import Plant
from support.whole_path import WholePath


@pytest.fixture(scope="session", autouse=True)
def _parts_from_a_nursery() -> Iterator[None]:
    """Let parts begin with everything imported: most of what the start of one costs.

    Not where coverage is measured, which is set up when an interpreter starts.
    """
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        yield
        return
    with nursery.in_use():
        yield


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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_path(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WholePath]:
    """Give a receiver and a processor that all tests of the session share, by their endpoints."""
    async with WholePath(tmp_path_factory.mktemp("path")) as running:
        yield running
