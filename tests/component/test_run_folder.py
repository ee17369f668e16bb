"""The data folder of `forebay run` belongs to one run, and its owner alone reads it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from forebay.core.errors import ConfigurationError
from forebay.local import folder as folder_module
from forebay.local.folder import DataFolder, last_line, write_private

HOLDS_THE_LOCK = """\
import sys
from pathlib import Path
from forebay.local.folder import DataFolder
with DataFolder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_run_on_the_same_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS_THE_LOCK, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigurationError) as caught:
            DataFolder(tmp_path).open()
        assert other.stdin is not None
        other.stdin.close()
    assert str(caught.value) == (
        f"another `forebay run` (process {other.pid}) uses {tmp_path}: "
        "stop it, or choose another folder with --data-dir"
    )
    with DataFolder(tmp_path):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be written .*: choose another one with"):
        DataFolder(tmp_path / "file" / "data").open()


def test_what_is_in_the_folder_is_for_its_owner_and_not_for_git(tmp_path: Path) -> None:
    with DataFolder(tmp_path / "data") as folder:
        write_private(folder.receiver_tables / "routes-00.json", b"{}")
        assert mode(folder.root) == 0o700
        assert mode(folder.receiver_tables) == 0o700
        assert mode(folder.receiver_tables / "routes-00.json") == 0o600
        assert list(folder.receiver_tables.iterdir()) == [folder.receiver_tables / "routes-00.json"]
        assert (folder.root / ".gitignore").read_text() == "*\n"


def test_a_log_that_grew_too_long_is_put_aside_and_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "LOG_LIMIT_BYTES", 10)  # a limit, not a behaviour
    with DataFolder(tmp_path) as folder:
        log = folder.log("processor")
        with log.open("ab", buffering=0) as writer:
            writer.write(b"a long line before\n")
            folder.put_full_logs_aside()
            writer.write(b"after\n")
            folder.put_full_logs_aside()
        assert log.read_bytes() == b"after\n"
        assert log.with_name("processor.log.1").read_bytes() == b"a long line before\n"


def test_the_last_line_that_says_anything_is_found(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert last_line(log) == ""
    log.write_text("x" * 100_000 + "\nthe last words \n\n  \n")
    assert last_line(log) == "the last words"
