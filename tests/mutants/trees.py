"""A copy of the working tree in which mutations are tried: the tree itself is never touched."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from mutants.catalogue import ROOT, Mutation, mutated

__all__ = ["MARK", "Tree", "copy_tree"]

MARK: Final = "MUTANTS_TREE"
"""The variable by which processes of a copy are known, those that a part started too."""

_IMPORT_ROOTS: Final = (
    "libs",
    "services/api",
    "services/receiver",
    "services/processor",
    "operator",
    "simulator",
)
_PACKAGES: Final = (
    "forebay",
    "forebay_api",
    "forebay_receiver",
    "forebay_processor",
    "forebay_operator",
    "forebay_simulator",
)

_WHERE: Final = f"import {', '.join(_PACKAGES)}\n" + "".join(
    f"print({each}.__file__)\n" for each in _PACKAGES
)


class Tree:
    """One copy, with one mutation in it at a time."""

    def __init__(self, root: Path) -> None:
        """Take a folder that holds a copy."""
        self.root = root
        self.is_closed = False
        """Whether nothing more is to run here."""

    @property
    def environment(self) -> dict[str, str]:
        """What processes get: the copy's code comes before the code that is installed."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return kept | {
            "PYTHONPATH": os.pathsep.join(str(self.root / each) for each in _IMPORT_ROOTS),
            "PYTHONSAFEPATH": "1",
            "COLUMNS": "500",
            MARK: str(self.root),
        }

    def check(self) -> None:
        """Raise RuntimeError where a process of the copy would run other code than the copy's."""
        ended = subprocess.run(
            [sys.executable, "-c", _WHERE],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        wrong = [x for x in ended.stdout.splitlines() if not Path(x).is_relative_to(self.root)]
        if ended.returncode or wrong:
            message = f"the copy's code would not run: {wrong or ended.stderr}"
            raise RuntimeError(message)

    @contextlib.contextmanager
    def with_mutation(self, mutation: Mutation) -> Iterator[None]:
        """Hold the copy with a mutation in it."""
        path = self.root / mutation.file
        before = path.read_text(encoding="utf-8")
        _write(path, mutated(mutation, before))
        try:
            yield
        finally:
            _write(path, before)

    def close(self) -> None:
        """End what runs, and let nothing else begin."""
        self.is_closed = True
        self.end_processes()

    def end_processes(self) -> None:
        """Kill what still runs of this copy: a mutation can keep a part from ending."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == str(self.root):
                    process.kill()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    # Compiled code is taken for that of its source where second and size are the same.
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink(missing_ok=True)


def copy_tree(target: Path) -> Tree:
    """Copy what git tracks or would add, as it is now, changes that are not committed too."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in sorted(set(listed.split("\0")) - {""}):
        source = ROOT / name
        if source.is_file():
            to = target / name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to)
    return Tree(target)
