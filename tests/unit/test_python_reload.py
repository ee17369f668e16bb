"""Code of handlers that changes is noticed, and nothing else is."""

import importlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.core.tables import PythonTarget
from forebay_processor.destinations.python.handler_module import HandlerUnusable
from forebay_processor.destinations.python.modules import PythonModules
from forebay_processor.destinations.python.reload import CodeWatch

NAME = "code_that_changes"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder with a module, on Python's path."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    write(tmp_path / f"{NAME}.py", "WORD = 1\n", age=60)
    yield tmp_path
    sys.modules.pop(NAME, None)


def write(file: Path, text: str, *, age: float = 0.0) -> None:
    """Write a file as if it had been so many seconds ago."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    then = time.time() - age
    os.utime(file, (then, then))


def test_a_module_that_changes_is_noticed_and_others_are_not(folder: Path) -> None:
    importlib.import_module(NAME)
    watch = CodeWatch([folder], PythonModules(["*"]))
    assert watch.changed_file() == ""
    write(folder / "notes.py", "")
    write(folder / "site-packages" / "library.py", "")
    assert watch.changed_file() == ""
    write(folder / f"{NAME}.py", "WORD = 2\n", age=-5)
    assert watch.changed_file() == f"{NAME}.py"


def test_an_older_file_in_its_place_is_a_change_too(folder: Path) -> None:
    importlib.import_module(NAME)
    watch = CodeWatch([folder], PythonModules(["*"]))
    assert watch.changed_file() == ""
    write(folder / f"{NAME}.py", "WORD = 0\n", age=3600)
    assert watch.changed_file() == f"{NAME}.py"


def test_a_file_that_is_away_for_a_moment_is_no_change(folder: Path) -> None:
    importlib.import_module(NAME)
    watch = CodeWatch([folder], PythonModules(["*"]))
    assert watch.changed_file() == ""
    (folder / f"{NAME}.py").unlink()
    assert watch.changed_file() == ""


async def test_after_a_module_could_not_be_imported_any_file_may_be_the_cure(folder: Path) -> None:
    write(folder / f"{NAME}.py", "import helper_that_is_missing\n", age=60)
    async with PythonModules(["*"]) as modules:
        module = modules.module(PythonTarget(handler=f"{NAME}:handle"))
        with pytest.raises(HandlerUnusable, match="needs the module helper_that_is_missing"):
            await module.call("handle", None)  # type: ignore[arg-type]  # it does not come so far
        watch = CodeWatch([folder], modules)
        write(folder / ".hidden" / "editor.py", "", age=-5)
        assert watch.changed_file() == ""
        write(folder / "helper_that_is_missing.py", "", age=-5)
        assert watch.changed_file() == "helper_that_is_missing.py"
        module.let_go()
