"""Fixtures of all levels; what they are made of is in `tests/support`, for anyone to import."""

import functools
import gc
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from support.destinations.sink import Sink
from support.inputs.corpus import PAYLOADS, Payload
from support.inputs.tables import Tables
from support.nats.nats_server import NatsServer
from support.programs.stack import Stack

LEVELS = (
    *("unit", "component", "controlplane", "chart", "e2e", "system", "observability", "interop"),
    *("fault", "fuzz"),
)
"""Folders under tests/ whose tests get the marker of the same name."""

_HERE = Path(__file__).parent

# No example has a deadline: the machine is shared, and how long something takes is no property.
# The fast tests try a few examples of each property, others in each run; `make properties` tries
# as many as hypothesis does by itself, which is half of the unit tests' time.
settings.register_profile("few", deadline=None, max_examples=12)
settings.register_profile("many", deadline=None, max_examples=100)
settings.load_profile("few")

# What is imported and collected stays (see `pytest_collection_finish`): looking for garbage in it
# meanwhile is a fifth of the time until the first test.
gc.disable()

# Helpers that judge for many tests: what they saw has to stand in the message.
pytest.register_assert_rewrite("support.receiver.store_outage", "support.programs.under_load")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of our own."""
    parser.addoption(
        "--update-test-data",
        action="store_true",
        help="write what is built now to tests/data/output, instead of comparing with it",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the level that its folder says."""
    for item in items:
        level = _level_of(item.path)
        if level in LEVELS:
            item.add_marker(level)


@functools.cache
def _level_of(file: Path) -> str:
    """Return the folder under tests/ that a file is in; thousands of tests are in a few files."""
    return file.relative_to(_HERE).parts[0]


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the garbage collector's sight.

    It stays to the end, and is large: tests that collect garbage, or look through all objects,
    would go over it each time.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Give a running nats-server of the test's own."""
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def nats_cli() -> str:
    """Give the program `nats` (github.com/nats-io/natscli); without it the test is skipped."""
    cached = Path.home() / ".cache" / "cluster" / "bin" / "nats"
    found = shutil.which("nats") or (str(cached) if cached.exists() else None)
    if found is None:
        pytest.skip("needs the program nats: github.com/nats-io/natscli")
    return found


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """Give a destination that listens."""
    async with Sink() as listening:
        yield listening


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    """Give an empty folder for tables."""
    return Tables(tmp_path / "tables")


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """Give NATS, a sink and tables; parts are started by the test, their logs judged at the end."""
    async with Stack(tmp_path) as running:
        yield running


@pytest.fixture(params=list(PAYLOADS.values()), ids=list(PAYLOADS))
def payload(request: pytest.FixtureRequest) -> Payload:
    """Give each file of the corpus in turn."""
    assert isinstance(request.param, Payload)
    return request.param
