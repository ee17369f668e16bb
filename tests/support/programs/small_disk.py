"""A small disk that can be full: a tmpfs of the test's own, for who may mount one."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__ = ["SmallDisk", "small_disk"]


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        """Name the folder on which it is mounted."""
        self.folder = folder
        self._filler = folder / "something-else"

    def fill(self) -> None:
        """Write what does not belong there until nothing more fits."""
        block = bytes(64 * 1024)
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(block):
                pass

    def make_room(self) -> None:
        """Remove it."""
        self._filler.unlink()

    def grow(self, size: str) -> None:
        """Make room: a size such as `64m`."""
        subprocess.run(["mount", "-o", f"remount,size={size}", self.folder], check=True)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a tmpfs on a new folder for the block; the test is skipped where that is not allowed.

    Args:
        folder: Made here.
        size: Such as `4m`.
    """
    folder.mkdir(parents=True)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "forebay-test", folder],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"NOT RUN: a full disk needs a tmpfs, and mounting is not allowed: {error}")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a server that a failed test left behind must not keep the machine's mounts.
        subprocess.run(["umount", "--lazy", folder], check=True)
