"""How a watch's loop is closed: what kopf leaves open is no error, anything else still is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from forebay_operator.handlers.watches import until_stopped

LEFT_OPEN: list[AsyncIterator[int]] = []
"""Keeps a generator alive until its loop is closed, as a frame of kopf's does."""


@contextlib.asynccontextmanager
async def block() -> AsyncIterator[None]:
    try:
        yield
    finally:
        await asyncio.sleep(0)


async def events() -> AsyncIterator[int]:
    """Yield within a block, as kopf's stream of events does."""
    async with block():
        yield 1


async def stopped_in_the_middle() -> None:
    LEFT_OPEN.append(events())
    await anext(LEFT_OPEN[-1])


async def with_trouble_at_the_end() -> None:
    loop = asyncio.get_running_loop()

    async def troubled() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            loop.call_exception_handler({"message": "something else"})

    LEFT_OPEN.append(troubled())
    await anext(LEFT_OPEN[-1])


def test_asyncio_calls_what_is_left_open_an_error(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(stopped_in_the_middle())
    assert "closing of asynchronous generator" in caplog.text


def test_a_watch_that_leaves_a_stream_open_ends_without_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asyncio.run(until_stopped(stopped_in_the_middle()))
    assert not caplog.records


def test_any_other_error_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(until_stopped(with_trouble_at_the_end()))
    assert "something else" in caplog.text
