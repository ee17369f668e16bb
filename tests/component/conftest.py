"""Fixtures of the component level."""

import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from nats.aio.client import Client

from forebay.runtime.jetstream.streams import ensure_shard
from support.nats.nats_server import NatsServer, stores_in
from support.processor.processor_harness import ProcessorHarness
from support.programs import nursery
from support.programs.stack import SHARD
from support.programs.whole_path import WholePath
from support.receiver.receiver_harness import ReceiverHarness

if TYPE_CHECKING:
    from support.destinations.postgres_server import PostgresServer

NURSERY = "FOREBAY_TESTS_NURSERY"
"""The variable by which workers know where the nursery of their run listens."""


def pytest_configure(config: pytest.Config) -> None:
    """Start the process from which parts are forked: one for all workers of a run.

    Not where coverage is measured, which is set up when an interpreter starts.
    """
    if NURSERY in os.environ or "COVERAGE_PROCESS_CONFIG" in os.environ:
        return
    resources = contextlib.ExitStack()
    os.environ[NURSERY] = resources.enter_context(nursery.NurseryProcess()).address
    resources.callback(os.environ.pop, NURSERY)
    config.add_cleanup(resources.close)


@pytest.fixture(scope="session", autouse=True)
def _parts_from_a_nursery() -> Iterator[None]:
    """Let parts begin with everything imported: most of what the start of one costs."""
    if NURSERY not in os.environ:
        yield
        return
    with nursery.in_use(os.environ[NURSERY]):
        yield


_schemas = (f"schema_{number}" for number in itertools.count())

MEMORY = Path("/dev/shm")  # noqa: S108  # Linux' file system in memory
ROOM = 2 * 1024**3
"""Bytes that have to be free there: containers are often given 64 MiB, which is not enough."""


@pytest.fixture(scope="session", autouse=True)
def _stores_in_memory() -> Iterator[None]:
    """Let servers store in memory where there is room.

    A shard's streams and consumers are 356 files: on a disk they take three times the processor
    time. What a killed server leaves is there all the same, as it is in a disk's cache.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM:
        yield
        return
    with (
        tempfile.TemporaryDirectory(prefix="forebay-tests-", dir=MEMORY) as folder,
        stores_in(Path(folder)),
    ):
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver that all tests of the session share: none of them may stop or overload it.

    Tests that use it run on the session's loop: `pytest.mark.asyncio(loop_scope="session")`. It
    waits for slow requests for as long as may be: the machine may be busy.
    """
    patience = {"FOREBAY_RECEIVER_BODY_SECONDS": "4", "FOREBAY_RECEIVER_BUDGET_SECONDS": "4.5"}
    async with ReceiverHarness(tmp_path_factory.mktemp("edge"), **patience) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def impatient_receiver(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[ReceiverHarness]:
    """Give another one, which waits half a second for a request to end."""
    async with ReceiverHarness(
        tmp_path_factory.mktemp("impatient"), FOREBAY_RECEIVER_BODY_SECONDS="0.5"
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def processor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProcessorHarness]:
    """Give a processor that all tests of the session share: each test uses endpoints of its own."""
    async with ProcessorHarness(tmp_path_factory.mktemp("processor")) as running:
        yield running


@pytest.fixture
async def client(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Give a connection to a NATS with streams and no processor."""
    async with nats_server.client() as connected:
        await ensure_shard(connected, SHARD)
        yield connected


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_path(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WholePath]:
    """Give a receiver and a processor that all tests of the session share, by their endpoints."""
    async with WholePath(tmp_path_factory.mktemp("path")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator["PostgresServer"]:
    """Give a PostgreSQL to the tests of a module: each uses a `schema` of its own."""
    # Late: asyncpg is for modules that use this.
    from support.destinations.postgres_server import PostgresServer  # noqa: PLC0415

    async with PostgresServer(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def schema() -> str:
    """Give the name of a schema that nobody has."""
    return next(_schemas)
