"""Destination `python`: what a handler does decides about its item, and about nothing else."""

import asyncio
import contextlib
import importlib
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
import structlog
from msgspec.structs import replace

from forebay.core.python_target import PythonTarget, is_module_allowed
from forebay_processor.destinations.port import Attempt, Delivered, Failed, Rejected, Trouble
from forebay_processor.destinations.python.destination import PythonDestination
from forebay_processor.destinations.python.modules import PythonModules
from support.processor.attempts import attempt
from support.timing.wait import eventually

FOLDER: Final = Path(__file__).parents[1] / "data" / "input" / "handlers"
NAME: Final = "handlers_of_tests"


@pytest.fixture(autouse=True)
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give the module with handlers, new for each test."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(FOLDER)])
    sys.modules.pop(NAME, None)
    module = importlib.import_module(NAME)
    yield module
    module.release.set()
    sys.modules.pop(NAME, None)


def target(function: str, **settings: Any) -> PythonTarget:  # noqa: ANN401  # any setting
    return PythonTarget(handler=f"{NAME}:{function}", **{"timeout_seconds": 5.0, **settings})


@contextlib.asynccontextmanager
async def handling(
    function: str,
    allowed: tuple[str, ...] = (NAME,),
    **settings: Any,  # noqa: ANN401  # any setting
) -> AsyncIterator[PythonDestination]:
    async with PythonModules(allowed) as modules:
        destination = PythonDestination(target(function, **settings), modules)
        yield destination
        destination.close()


async def outcome(function: str, **settings: Any) -> object:  # noqa: ANN401  # any setting
    async with handling(function, **settings) as destination:
        return await destination.deliver(attempt())


@pytest.mark.parametrize("function", ["take", "take_plain", "return_awaitable", "an_object"])
async def test_what_returns_is_delivered(function: str, handlers: ModuleType) -> None:
    assert await outcome(function) == Delivered()
    assert handlers.calls == [attempt().token]


async def test_a_handler_runs_in_no_thread_of_the_processor(handlers: ModuleType) -> None:
    for function in ("take", "take_plain"):
        await outcome(function)
    assert handlers.threads == {f"handler-{NAME}", f"handler-{NAME}-1"}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("ask_again", Failed("the handler asks to try again", 7.5, said="the shop is busy …")),
        ("reject", Rejected("the handler rejects it", "no such customer")),
        ("fail", Failed("the handler raised KeyError")),
        ("fail_plain", Failed("the handler raised KeyError")),
        ("stop_iteration", Failed("the handler raised RuntimeError")),
        ("exit_process", Failed("the handler raised RuntimeError")),
        ("exit_plain", Failed("the handler raised RuntimeError")),
        ("cancel_itself", Failed("the handler raised CancelledError")),
        ("time_out_by_itself", Failed("the handler raised TimeoutError")),
    ],
)
async def test_what_is_raised_decides_and_the_handler_goes_on(
    function: str, expected: object
) -> None:
    async with PythonModules((NAME,)) as modules:
        bad, good = (PythonDestination(target(each), modules) for each in (function, "take"))
        assert await bad.deliver(attempt()) == expected
        assert await good.deliver(attempt()) == Delivered()


async def test_the_text_of_an_exception_is_in_no_log_line() -> None:
    with structlog.testing.capture_logs() as lines:
        async with handling("fail") as destination:
            for _ in range(3):
                await destination.deliver(attempt(key="msg:1:wamid.private"))
    (line,) = lines
    assert line["event"] == "handler_raised"
    assert line["handler"] == f"{NAME}:fail"
    assert line["place"].startswith("KeyError in fail, line ")
    assert "private" not in str(line)


@pytest.mark.parametrize("function", ["sleep", "hang", "refuse_to_end"])
async def test_what_never_returns_is_given_up(function: str, handlers: ModuleType) -> None:
    async with handling(function, timeout_seconds=0.1) as destination:
        assert await destination.deliver(attempt()) == Failed("timeout")
        handlers.release.set()


async def test_the_end_waits_for_no_call_that_does_not_end(
    handlers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_processor.destinations.python.handler_module.STOP_SECONDS", 0.2)
    with structlog.testing.capture_logs() as lines:
        async with handling("refuse_to_end", timeout_seconds=0.1) as destination:
            assert await destination.deliver(attempt()) == Failed("timeout")
    assert [each["event"] for each in lines] == ["handler_not_stopped"]
    handlers.release.set()


async def test_a_stop_that_fails_is_said_and_ends_no_processor() -> None:
    with structlog.testing.capture_logs() as lines:
        async with handling("take", stop="exit_at_stop") as destination:
            assert await destination.deliver(attempt()) == Delivered()
    assert [(each["event"], each["kind"]) for each in lines] == [
        ("handler_stop_failed", "SystemExit")
    ]


@pytest.mark.parametrize("function", ["hang", "refuse_to_end"])
async def test_what_goes_on_though_it_was_given_up_is_bounded_and_said(
    function: str, handlers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_processor.destinations.python.handler_module.STUCK_SECONDS", 0.0)
    async with PythonModules((NAME,)) as modules:
        settings = target(function, timeout_seconds=0.1, max_in_flight=2)
        destination = PythonDestination(settings, modules)
        for _ in range(2):
            assert await destination.deliver(attempt()) == Failed("timeout")
        result = await destination.deliver(attempt())
        assert isinstance(result, Failed)
        assert result.error.startswith("2 calls did not return in time and go on")
        assert result.trouble is Trouble.DESTINATION
        handlers.release.set()
        # Once they have ended it is tried as ever.
        await eventually(lambda: _is(destination, Delivered()))


async def _is(destination: PythonDestination, expected: object) -> bool:
    return await destination.deliver(attempt()) == expected


async def test_a_call_that_can_be_cancelled_does_not_count_as_stuck() -> None:
    async with handling("sleep", timeout_seconds=0.05, max_in_flight=1) as destination:
        for _ in range(3):
            assert await destination.deliver(attempt()) == Failed("timeout")


async def test_a_handler_that_blocks_its_loop_is_named_and_holds_up_nothing_else() -> None:
    with structlog.testing.capture_logs() as lines:
        async with handling("block") as destination:
            task = asyncio.create_task(destination.deliver(attempt(key="msg:1:private")))
            turns = 0
            while not task.done():
                await asyncio.sleep(0.01)
                turns += 1
            assert task.result() == Delivered()
    (line,) = [each for each in lines if each["event"] == "handler_blocks_loop"]
    assert line["module"] == NAME
    assert line["place"].startswith("handlers_of_tests.py:")
    assert line["place"].endswith(" in block")
    assert "private" not in str(line)
    # The processor's own loop went on meanwhile: it was not blocked once for the whole time.
    assert turns > 20


async def test_pools_are_opened_and_closed_once_for_all_destinations(handlers: ModuleType) -> None:
    hooks = {"start": "open_pools", "stop": "close_pools"}
    async with PythonModules((NAME,)) as modules:
        one = PythonDestination(target("take", **hooks), modules)
        results = await asyncio.gather(*(one.deliver(attempt(key=f"k{n}")) for n in range(20)))
        assert results == [Delivered()] * 20
        # Other settings are another destination, which is made before the old one is closed.
        two = PythonDestination(target("take", max_in_flight=1, **hooks), modules)
        await two.deliver(attempt())
        one.close()
        await two.deliver(attempt())
        assert handlers.calls.count("start") == 1
        assert "stop" not in handlers.calls
        two.close()
        await eventually(lambda: handlers.calls[-1] == "stop")
    assert handlers.calls[0] == "start"
    assert handlers.calls.count("stop") == 1


async def test_the_end_of_the_process_stops_what_was_started(handlers: ModuleType) -> None:
    async with PythonModules((NAME,)) as modules:
        destination = PythonDestination(
            target("take", start="open_pools", stop="close_pools"), modules
        )
        await destination.deliver(attempt())
    assert handlers.calls == ["start", attempt().token, "stop"]


async def test_a_start_that_fails_is_tried_again_and_says_no_text(
    handlers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay_processor.destinations.python.handler_module.PAUSE_SECONDS", 0.0)
    async with handling("take", start="fail_to_open") as destination:
        result = await destination.deliver(attempt())
        assert result == Failed(
            f"fail_to_open of {NAME} failed: ValueError", trouble=Trouble.DESTINATION
        )
        monkeypatch.setattr(handlers, "fail_to_open", handlers.open_pools)
        assert await destination.deliver(attempt()) == Delivered()


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ("no_such_module_at_all:handle", "there is no module no_such_module_at_all"),
        (f"{NAME}:nothing", f"{NAME} has no function nothing"),
        (f"{NAME}:no_function", f"{NAME} has no function no_function"),
        (f"{NAME}:system", f"system is not of {NAME}, but of a module that may not run"),
    ],
)
async def test_what_cannot_be_called_refuses_the_destination(handler: str, error: str) -> None:
    allowed = (NAME, "no_such_module_at_all")
    async with PythonModules(allowed) as modules:
        destination = PythonDestination(replace(target("take"), handler=handler), modules)
        assert await destination.deliver(attempt()) == Failed(error, trouble=Trouble.REFUSED)
        destination.close()


@pytest.mark.parametrize("allowed", [(), ("other",), (f"{NAME}.sub",), ("handlers",)])
async def test_a_module_that_is_not_allowed_is_not_even_imported(allowed: tuple[str, ...]) -> None:
    sys.modules.pop(NAME, None)
    async with handling("take", allowed) as destination:
        result = await destination.deliver(attempt())
    assert isinstance(result, Failed)
    assert result.trouble is Trouble.REFUSED
    assert "FOREBAY_PROCESSOR_PYTHON_MODULES" in result.error
    assert NAME not in sys.modules


def test_a_name_allows_what_is_below_it_and_nothing_beside_it() -> None:
    assert is_module_allowed("acme.bot", ["acme"])
    assert is_module_allowed("acme", ["acme"])
    assert is_module_allowed("anything", ["*"])
    assert not is_module_allowed("acmebot", ["acme"])
    assert not is_module_allowed("acme", ["acme.bot"])
    assert not is_module_allowed("os", [])


@pytest.mark.parametrize("after", [float("nan"), float("inf"), -5, "5", None, 1e9])
async def test_a_wish_that_is_none_is_bounded(
    after: object, handlers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wish(_: object) -> None:
        raise handlers.Retry(None, after=after)

    monkeypatch.setattr(handlers, "wish", wish, raising=False)
    wish.__module__ = NAME
    result = await outcome("wish")
    assert isinstance(result, Failed)
    assert 0.0 <= result.retry_after <= 3600.0


async def test_twenty_calls_are_under_way_at_once() -> None:
    async with handling("wait_50_ms") as destination:
        await destination.deliver(attempt())
        began = time.monotonic()
        many: list[Attempt] = [attempt(key=f"k{n}") for n in range(20)]
        assert set(map(type, await asyncio.gather(*map(destination.deliver, many)))) == {Delivered}
        # One after the other they would take a second at least.
        assert time.monotonic() - began < 0.9


def test_a_handler_imports_nothing_of_a_processor() -> None:
    import subprocess  # noqa: PLC0415  # this test's only

    heavy = ("aiohttp", "pydantic", "nats", "forebay_processor", "structlog", "uvloop")
    code = f"import sys, forebay.handler; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
