"""Structured logs on stderr: a constant event name, values as fields, no payloads, no secrets.

Exceptions are logged by their kinds and the lines that they went through. Their texts are left out:
readers of JSON quote what they read, and so do many others.
"""

import asyncio
import logging
import sys
import traceback
from typing import Any, Final

import structlog
from structlog.typing import ExcInfo

from forebay.runtime.settings import LogSettings

__all__ = ["configure_logging", "log_loop_errors"]

_log = structlog.get_logger(__name__)

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logging(settings: LogSettings, part: str) -> None:
    """Set up structlog for this process; `part` stands in every line.

    Libraries log through the standard module: their warnings come out in the same form, their
    chatter does not.
    """
    level = _LEVELS[settings.level]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_places_of),
    ]
    last: structlog.typing.Processor
    if settings.format == "json":
        last = structlog.processors.JSONRenderer()
    else:
        last = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(part=part)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        ),
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def log_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """Log what fails where nobody waits for it: by its kind and place.

    The loop's own way prints what it has at hand: the exception's text, and what callbacks were
    called with, which can be a piece of a body.
    """
    loop.set_exception_handler(_log_error)


def _log_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # "Exception in callback take(b'…')": what follows the words is what it was called with.
    message = str(context.get("message", ""))
    what = next((words for words in LOOPS_WORDS if message.startswith(words)), "other")
    error = context.get("exception")
    info = (type(error), error, error.__traceback__) if error is not None else None
    _log.error("loop_error", what=what, exc_info=info)


LOOPS_WORDS: Final = (
    "Exception in callback",
    "Fatal error",
    "Future exception was never retrieved",
    "Task exception was never retrieved",
    "Task was destroyed but it is pending",
    "Unclosed",
    "Unhandled exception",
)
"""What event loops and their libraries say, as far as it is the same each time."""

CAUSES: Final = 5
"""How many exceptions of a chain are logged."""


def _places_of(exc_info: ExcInfo) -> str:
    """Describe where an exception comes from, and where those that it was raised from."""
    causes: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(causes) < CAUSES:
        frames = traceback.extract_tb(error.__traceback__)
        places = [f"  {each.filename}:{each.lineno} in {each.name}" for each in frames]
        causes.append("\n".join([type(error).__qualname__, *places]))
        error = error.__cause__ or error.__context__
    return "\nraised from\n".join(causes)
