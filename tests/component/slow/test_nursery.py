"""What comes from a nursery is a process like any other, and none outlives its nursery."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.programs.nursery import Child, Nursery, NurseryProcess
from support.timing.wait import eventually

TELLS = """\
import os, sys
print(sys.argv[1:], os.getcwd(), dict(os.environ), sys.stdin.read())
print("wrong", file=sys.stderr)
sys.exit(7)
"""
WAITS = """\
import signal, sys
print("waits", flush=True)
signal.pause()
"""


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with NurseryProcess(preloaded=()) as process, Nursery(process.address) as made:
        yield made


def start(nursery: Nursery, folder: Path, program: str) -> Child:
    """Start a program in a folder, with what it prints beside it."""
    (folder / "program.py").write_text(program)
    with (
        Path(os.devnull).open("rb") as nothing,
        (folder / "out").open("wb") as out,
        (folder / "err").open("wb") as err,
    ):
        return nursery.start(
            [str(folder / "program.py"), "one", "two"],
            cwd=folder,
            environment={"ONLY": "this"},
            descriptors=(nothing.fileno(), out.fileno(), err.fileno()),
        )


async def waits(folder: Path) -> None:
    await eventually(lambda: (folder / "out").read_text() == "waits\n")


def test_a_child_has_what_it_was_given_and_nothing_else(nursery: Nursery, tmp_path: Path) -> None:
    assert start(nursery, tmp_path, TELLS).wait() == 7
    expected = f"['one', 'two'] {tmp_path} {{'ONLY': 'this'}} \n"
    assert (tmp_path / "out").read_text() == expected
    assert (tmp_path / "err").read_text() == "wrong\n"


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGKILL])
async def test_a_signal_ends_a_child_and_its_status_says_so(
    nursery: Nursery, tmp_path: Path, which: signal.Signals
) -> None:
    child = start(nursery, tmp_path, WAITS)
    await waits(tmp_path)
    assert child.poll() is None
    child.send_signal(which)
    assert child.wait() == -which
    child.send_signal(which)
    assert child.poll() == -which


async def test_a_child_that_was_stopped_is_known_to_stand_still(
    nursery: Nursery, tmp_path: Path
) -> None:
    child = start(nursery, tmp_path, WAITS)
    await waits(tmp_path)
    assert not child.has_stopped()
    child.send_signal(signal.SIGSTOP)
    await eventually(child.has_stopped)
    assert psutil.Process(child.pid).status() == psutil.STATUS_STOPPED


async def test_no_child_outlives_its_nursery(tmp_path: Path) -> None:
    with NurseryProcess(preloaded=()) as process:
        with Nursery(process.address) as nursery:
            child = start(nursery, tmp_path, WAITS)
            await waits(tmp_path)
        await eventually(lambda: not psutil.pid_exists(child.pid))


async def test_two_have_children_of_their_own(tmp_path: Path) -> None:
    first, second = (tmp_path / each for each in ("first", "second"))
    with NurseryProcess(preloaded=()) as process, Nursery(process.address) as longer:
        first.mkdir()
        stays = start(longer, first, WAITS)
        await waits(first)
        with Nursery(process.address) as shorter:
            second.mkdir()
            goes = start(shorter, second, WAITS)
            await waits(second)
        await eventually(lambda: not psutil.pid_exists(goes.pid))
        assert stays.poll() is None


async def test_a_connection_outlives_the_process_and_ends_its_children(tmp_path: Path) -> None:
    with NurseryProcess(preloaded=()) as process:
        nursery = Nursery(process.address).__enter__()
        child = start(nursery, tmp_path, WAITS)
        await waits(tmp_path)
    assert child.poll() is None
    nursery.__exit__()
    await eventually(lambda: not psutil.pid_exists(child.pid))
