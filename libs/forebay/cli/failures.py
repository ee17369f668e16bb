"""How the command ends when something went wrong: one sentence, and a code that says what kind.

    0  all went well
    1  something failed while it ran: NATS, a part, the network
    2  what was given cannot be used: an option, a manifest, a setting, a port that is taken
    141  whoever read our output left, as `head` does: the status that a shell gives for SIGPIPE

No traceback for what was expected; one for everything else, since that is a bug of ours.
"""

import importlib
import importlib.util
import signal
from types import ModuleType
from typing import Final

from forebay.core.errors import ConfigurationError, ForebayError

__all__ = ["FAILED", "READER_LEFT", "UNUSABLE", "exit_code", "import_part", "require"]

FAILED: Final = 1
UNUSABLE: Final = 2
"""The same that a shell's tools use for wrong options."""

READER_LEFT: Final = 128 + signal.SIGPIPE
"""Not by the signal itself: with it a connection that NATS closes would end the command, too."""

_OURS: Final = (
    "forebay",
    "forebay_api",
    "forebay_receiver",
    "forebay_processor",
    "forebay_operator",
    "forebay_simulator",
)


def exit_code(error: ForebayError) -> int:
    """Return the code that stands for an error."""
    return UNUSABLE if isinstance(error, ConfigurationError) else FAILED


def import_part(module: str, extra: str) -> ModuleType:
    """Import a part that needs libraries of its own.

    Args:
        module: What to import.
        extra: The extra of the project that installs its libraries.

    Raises:
        ConfigurationError: where a library is missing; it says what to install.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OURS:
            raise
        raise ConfigurationError(_advice(missing, extra)) from error


def require(extra: str, *modules: str) -> None:
    """Make sure that libraries are installed, without importing them.

    Raises:
        ConfigurationError: where one is missing; it says what to install.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ConfigurationError(_advice(module, extra))


def _advice(missing: str, extra: str) -> str:
    return f"{missing!r} is not installed here: install forebay[{extra}]"
