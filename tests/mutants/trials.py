"""Trying one mutation: its covering tests run on a copy with the fault in it."""

import enum
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mutants.catalogue import Mutation, Selection
from mutants.trees import Tree

__all__ = ["Ended", "Outcome", "Trial", "pytest_on", "try_mutation"]

LIMIT_SECONDS: Final = 420.0
"""For one selection of tests. One test has 60 s by itself, and the first that fails ends it."""

_PASSED: Final = 0
_FAILED: Final = 1
_INTERRUPTED: Final = 2
_NOTHING_LEFT: Final = 5

_FAILURE: Final = re.compile(r"^(?:FAILED|ERROR) (tests/[^\s:]+::[^\s\[]+)", re.MULTILINE)
"""A test that failed, without its parameters: they can hold anything, and need not be the same in
every run."""


class Outcome(enum.StrEnum):
    """What became of a mutation."""

    FAST = "caught fast"
    SLOW = "caught slow"
    SURVIVED = "survived"
    BROKEN = "not tried"
    """The covering tests could not run: nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A mutation with what became of it."""

    mutation: Mutation
    outcome: Outcome
    by: str
    """The test that noticed; for one that was not tried, why."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run of pytest ended."""

    status: int | None
    """Its exit status; None where it was over its time."""

    output: str

    @property
    def failed(self) -> bool:
        """Whether a test failed, or hung."""
        return self.status in {_FAILED, None}

    @property
    def passed(self) -> bool:
        """Whether all tests passed, and there was one."""
        return self.status == _PASSED

    @property
    def failures(self) -> list[str]:
        """The tests that failed."""
        return _FAILURE.findall(self.output)

    @property
    def first(self) -> str | None:
        """The first of them."""
        return next(iter(self.failures), None)

    @property
    def why(self) -> str:
        """What pytest said in the end."""
        return next((x for x in reversed(self.output.splitlines()) if x.strip()), "no output")


def pytest_on(
    tree: Tree, arguments: Sequence[str], *, limit_seconds: float = LIMIT_SECONDS
) -> Ended:
    """Run pytest on a copy, and leave nothing of it running.

    Args:
        tree: The copy.
        arguments: Which tests; `-x` to end with the first that fails.
        limit_seconds: For all of them.
    """
    if tree.is_closed:
        return Ended(status=_INTERRUPTED, output="interrupted")
    log = tree.root / "pytest.log"
    status: int | None
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE"),
                # A random order would let another test be the first that fails in each run.
                *("-p", "no:cacheprovider", "-p", "no:randomly"),
                *arguments,
            ],
            cwd=tree.root,
            env=tree.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that Ctrl-C is for whoever started all of this
        )
        try:
            status = process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            tree.end_processes()
            process.kill()
            process.wait()
    return Ended(status=status, output=log.read_text(errors="replace"))


def try_mutation(
    tree: Tree, mutation: Mutation, *, is_slow_wanted: bool, noticed_by: str | None = None
) -> Trial:
    """Put a mutation into a copy, run what covers it, and take it out again.

    Args:
        tree: The copy.
        mutation: The fault.
        is_slow_wanted: Whether slow levels are asked where the fast ones did not notice.
        noticed_by: The test that noticed it before: it is asked first, which saves the others.
    """
    began = time.monotonic()
    outcome, by = Outcome.SURVIVED, ""
    tries: list[tuple[Outcome, Selection | None]] = []
    if noticed_by is not None and (known := Selection(text=noticed_by)).is_there:
        if known.is_fast:
            tries.append((Outcome.FAST, known))
        elif mutation.fast is None and is_slow_wanted:
            tries.append((Outcome.SLOW, known))
    tries.append((Outcome.FAST, mutation.fast))
    if is_slow_wanted:
        tries.append((Outcome.SLOW, mutation.slow))
    for caught, selection in tries:
        if selection is None:
            continue
        ended = _noticed(tree, mutation, selection)
        outcome, by = Outcome.SURVIVED, ""
        if ended.failed:
            outcome, by = caught, ended.first or "the time limit"
            break
        if not ended.passed:
            outcome, by = Outcome.BROKEN, ended.why
    return Trial(
        mutation=mutation, outcome=outcome, by=by, seconds=round(time.monotonic() - began, 1)
    )


def _noticed(tree: Tree, mutation: Mutation, selection: Selection) -> Ended:
    """Run a selection with the mutation in the copy, up to a failure that counts.

    The test that failed has to pass right after that without the mutation; one with processes has
    to fail a second time with it. Else a busy machine would catch. What fails without the mutation,
    or now and then, is left out, and the others are asked.
    """
    left_out: list[str] = []
    while True:
        others = [argument for each in left_out for argument in ("--deselect", each)]
        ended = _with(tree, mutation, ["-x", *others, *selection.arguments])
        if left_out and ended.status == _NOTHING_LEFT:
            return Ended(status=_PASSED, output=ended.output)
        if not ended.failed:
            return ended
        if ended.first is None:
            return _with(tree, mutation, ["-x", *others, *selection.arguments])
        one = ["-x", ended.first]
        if pytest_on(tree, one).passed and (selection.is_unit or _with(tree, mutation, one).failed):
            return ended
        left_out.append(ended.first)


def _with(tree: Tree, mutation: Mutation, arguments: Sequence[str]) -> Ended:
    with tree.with_mutation(mutation):
        return pytest_on(tree, arguments)
