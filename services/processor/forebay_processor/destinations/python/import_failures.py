"""Why a module with handlers could not be imported, in words for whoever wrote it.

An exception's text may hold anything, so it is never in them: what was missing is named where it is
the name of a module, and else the file and the line.
"""

import re
import traceback
from pathlib import Path
from typing import Final

__all__ = ["import_failure"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,127}")
_SHOWN: Final = 64
"""Characters of a class' or of a file's name."""


def import_failure(module: str, error: BaseException) -> str:
    """Return why.

    Args:
        module: What was imported, such as `acme.bot`.
        error: What importing it raised.
    """
    if isinstance(error, ModuleNotFoundError) and _NAME.fullmatch(missing := error.name or ""):
        if f"{module}.".startswith(f"{missing}."):
            return f"there is no module {missing}"
        return f"{module} needs the module {missing}, which is not installed"
    return f"cannot import {module}: {type(error).__name__[:_SHOWN]}{_place(error)}"


def _place(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        file, line = error.filename, error.lineno
    else:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            # What imports, here and in the standard library, is not what went wrong.
            if not frame.filename.startswith("<") and frame.name != "import_module"
        ]
        if len(frames) <= 1:  # our own call of it
            return ""
        file, line = frames[-1].filename, frames[-1].lineno
    return f" in {Path(file).name[:_SHOWN]}, line {line}" if file and line else ""
