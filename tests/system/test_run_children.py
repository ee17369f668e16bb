"""A part of `forebay run` is kept up, and goes when it is told to or when the run goes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from forebay.local.child import Child, Command, PartFailed
from forebay.runtime.process_start import RELOAD_STATUS
from support.programs.program import Program
from support.timing.wait import eventually

LIVES = "import signal, sys; print('up', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n"
    "while True: signal.pause()"
)
DIES = "import sys; sys.stderr.write('first\\n'); sys.exit('the disk is on fire')"

RUNS_A_CHILD = """\
import asyncio, sys
from pathlib import Path
from forebay.local.child import Child, Command
arguments = (sys.executable, "-c", sys.argv[1])
command = Command(name="part", arguments=arguments, environment={}, log=Path(sys.argv[2]))
asyncio.run(Child(command, print).run())
"""


class Running:
    """A child under test, and what was reported of it."""

    def __init__(self, folder: Path, program: str, *, niceness: int = 0) -> None:
        self.log = folder / "part.log"
        self.warnings: list[str] = []
        command = Command(
            name="part",
            arguments=(sys.executable, "-c", program),
            environment={"FOREBAY_MARK": "set"},
            log=self.log,
            niceness=niceness,
        )
        self.child = Child(command, self.warnings.append)
        self.task = asyncio.create_task(self.child.run())

    def lines(self) -> list[str]:
        """Return what the part printed."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    async def up(self, times: int = 1) -> int:
        """Wait until the part came up so many times; return its process id."""
        await eventually(lambda: self.lines().count("up") == times, saying="the part to be up")
        assert self.child.pid is not None
        return self.child.pid


@contextlib.asynccontextmanager
async def running(folder: Path, program: str, *, niceness: int = 0) -> AsyncIterator[Running]:
    part = Running(folder, program, niceness=niceness)
    try:
        yield part
    finally:
        part.child.kill()
        await asyncio.gather(part.task, return_exceptions=True)


async def test_a_part_with_new_code_starts_again_at_once_however_often(tmp_path: Path) -> None:
    again = f"print('up', flush=True); raise SystemExit({RELOAD_STATUS})"
    async with running(tmp_path, again) as part:
        # More often than a part may die right after its start.
        await eventually(lambda: part.lines().count("up") > 5)
        assert not part.task.done()
        assert set(part.warnings) == {"part has new code of yours: starting it again"}


async def test_a_part_that_is_killed_is_started_again_and_that_is_reported(tmp_path: Path) -> None:
    async with running(tmp_path, LIVES) as part:
        first = await part.up()
        os.kill(first, signal.SIGKILL)
        second = await part.up(times=2)
        assert first != second
        assert part.warnings == ["part ended (SIGKILL); starting it again in 0.1 s"]
        assert part.child.restarts == 1


async def test_a_part_that_dies_three_times_at_once_ends_the_run_with_its_last_words(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, DIES) as part:
        with pytest.raises(PartFailed) as caught:
            await part.task
        assert part.lines().count("the disk is on fire") == 3
    message = str(caught.value)
    assert message.startswith("part ended 3 times right after its start (exit code 1)")
    assert message.endswith("its last line: the disk is on fire")
    assert str(part.log) in message


async def test_a_part_that_is_told_to_stop_is_not_started_again(tmp_path: Path) -> None:
    async with running(tmp_path, LIVES) as part:
        process = await part.up()
        await part.child.stop(within=5)
        await part.task
        assert not psutil.pid_exists(process)
        assert part.warnings == []


async def test_a_part_that_does_not_stop_in_time_is_killed_and_that_is_reported(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, STUBBORN) as part:
        process = await part.up()
        await part.child.stop(within=0.2)
        await part.task
        assert not psutil.pid_exists(process)
        assert part.warnings == ["part did not end within 0.2 s: it is killed"]


async def test_a_part_that_waits_to_be_started_again_can_be_stopped(tmp_path: Path) -> None:
    async with running(tmp_path, LIVES) as part:
        os.kill(await part.up(), signal.SIGKILL)
        await eventually(lambda: part.warnings)
        await part.child.stop(within=5)
        await part.task
        assert part.lines().count("up") == 1


async def test_a_part_gives_way_and_has_only_its_own_environment(tmp_path: Path) -> None:
    program = f"import os; print(sorted(k for k in os.environ if 'FOREBAY' in k)); {LIVES}"
    async with running(tmp_path, program, niceness=5) as part:
        process = await part.up()
        assert psutil.Process(process).nice() == psutil.Process().nice() + 5
        assert part.lines()[0] == "['FOREBAY_MARK']"


async def test_ctrl_c_in_the_terminal_does_not_reach_a_part(tmp_path: Path) -> None:
    async with running(tmp_path, LIVES) as part:
        assert os.getpgid(await part.up()) != os.getpgid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
async def test_a_part_goes_when_its_run_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    run = Program("the run", tmp_path / "run.log")
    run.launch([sys.executable, "-c", RUNS_A_CHILD, LIVES, str(log)], cwd=tmp_path)
    try:
        await eventually(lambda: log.exists() and "up" in log.read_text())
        [part] = psutil.Process(run.pid).children()
    finally:
        await run.end(signal.SIGKILL, within=5)
    await eventually(lambda: not part.is_running(), saying="the part to end")
