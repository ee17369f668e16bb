"""Notices when code of handlers has changed, so that `forebay run` starts the processor again.

A whole new process, and not `importlib.reload`: what a module made before (pools, threads, classes
that other modules have imported) stays as it was in a reloaded one, and half of an old and half of
a new program fails in ways that no deployment has. The processor ends in order first, so nothing
is repeated.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import structlog

from forebay.runtime.periodic import periodically
from forebay_processor.destinations.python.modules import PythonModules

__all__ = ["CodeWatch"]

_log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.5

MOST_FILES: Final = 2_000
"""Of a folder in which a module could not be imported, and of which any file may be to blame."""

DEPTH: Final = 4
"""Folders below each other that are searched for these."""

_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


class CodeWatch:
    """Looks at the files of the modules that came from some folders."""

    def __init__(self, folders: Iterable[Path], modules: PythonModules) -> None:
        """Prepare.

        Args:
            folders: Where the code is that counts.
            modules: Says whether a module failed: then all files there count.
        """
        self._folders = tuple(str(folder.resolve()) for folder in folders)
        self._modules = modules
        self._seen: dict[str, int] = {}
        self._began = time.time_ns()
        self.has_changed = False

    async def follow(self, changed: Callable[[], None]) -> None:
        """Look again and again; `changed` is called once, when a file is another one."""

        def check() -> None:
            if not self.has_changed and (name := self.changed_file()):
                self.has_changed = True
                _log.info("handler_code_changed", file=name)
                changed()

        await periodically(check, POLL_SECONDS, at_once=True)

    def changed_file(self) -> str:
        """Return the name of a file that was changed; empty where none was."""
        for path in self._files():
            try:
                stamp = Path(path).stat().st_mtime_ns
            except OSError:
                continue  # an editor that writes a new file in its place
            before = self._seen.setdefault(path, stamp)
            # One that is seen for the first time may have been changed since it was read.
            if stamp != before or stamp > self._began:
                return Path(path).name
        return ""

    def _files(self) -> Iterator[str]:
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and self._is_ours(path):
                yield path
        if self._modules.has_failed:
            for folder in self._folders:
                yield from _python_files(folder)

    def _is_ours(self, path: str) -> bool:
        return any(
            path.startswith(folder + os.sep) and "site-packages" not in path[len(folder) :]
            for folder in self._folders
        )


def _python_files(folder: str) -> Iterator[str]:
    count, base = 0, folder.count(os.sep)
    for where, names, files in os.walk(folder):
        names[:] = [
            name
            for name in names
            if not name.startswith(".")
            and name not in _SKIPPED
            and where.count(os.sep) - base < DEPTH
        ]
        for name in files:
            count += 1
            if count > MOST_FILES:
                return
            if name.endswith(".py"):
                yield str(Path(where) / name)
