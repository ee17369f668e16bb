"""What is said of a module with handlers that cannot be imported: where, and nobody's text."""

import importlib
import sys
from pathlib import Path

import pytest

from forebay_processor.destinations.python.import_failures import import_failure

NAME = "module_that_fails"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\n\nraise RuntimeError('secret')\n", ": RuntimeError in {file}, line 3"),
        ("def handle(event)\n    pass\n", ": SyntaxError in {file}, line 1"),
        ("def work():\n    return {}['secret']\n\nwork()\n", ": KeyError in {file}, line 2"),
        ("raise SystemExit('secret')\n", ": SystemExit in {file}, line 1"),
        ("from os import secret\n", ": ImportError in {file}, line 1"),
        ("raise ModuleNotFoundError('secret')\n", ": ModuleNotFoundError in {file}, line 1"),
        (
            "raise ModuleNotFoundError(name='my secret')\n",
            ": ModuleNotFoundError in {file}, line 1",
        ),
    ],
)
def test_file_and_line_are_named_and_the_text_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / f"{NAME}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert imported(NAME) == f"cannot import {NAME}{words.format(file=f'{NAME}.py')}"


@pytest.mark.parametrize(
    ("code", "module", "words"),
    [
        ("", "no_such_module", "there is no module no_such_module"),
        ("", "no_such.module", "there is no module no_such"),
        ("", f"{NAME}.below", f"there is no module {NAME}.below"),
        (
            "import not_there.at_all\n",
            NAME,
            f"{NAME} needs the module not_there, which is not installed",
        ),
    ],
)
def test_a_module_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, module: str, words: str
) -> None:
    (tmp_path / f"{NAME}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert imported(module) == words


def imported(module: str) -> str:
    sys.modules.pop(NAME, None)
    importlib.invalidate_caches()
    try:
        importlib.import_module(module)
    except BaseException as error:  # noqa: BLE001  # as the processor does
        return import_failure(module, error)
    finally:
        sys.modules.pop(NAME, None)
    return ""
