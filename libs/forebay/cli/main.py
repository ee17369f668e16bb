"""The `forebay` command: its verbs, its help, and how it ends."""

import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from forebay import __version__
from forebay.cli.api import api
from forebay.cli.dead import dead
from forebay.cli.destinations import destinations
from forebay.cli.erase import EPILOG as ERASE_EPILOG
from forebay.cli.erase import erase
from forebay.cli.events import events
from forebay.cli.failures import READER_LEFT, exit_code
from forebay.cli.filter import filter_
from forebay.cli.help_formatting import unwrap, unwrapped
from forebay.cli.operator import operator
from forebay.cli.processor import processor
from forebay.cli.raw import raw
from forebay.cli.receiver import receiver
from forebay.cli.run import run
from forebay.cli.simulate import simulate
from forebay.cli.size import size
from forebay.cli.status import status
from forebay.cli.tables import tables
from forebay.cli.waiting import waiting
from forebay.core.errors import ForebayError

__all__ = ["app", "main"]

_HELP = """Receives WhatsApp Business webhooks, stores each before it answers, delivers each once.

Start with [bold]forebay run[/bold]: it brings up all of Forebay on this machine, serves the
endpoints in examples/, and prints a curl line to try each.
"""

_EPILOG = "Exit codes: 0 all went well, 1 something failed, 2 what was given cannot be used."

app = typer.Typer(
    name="forebay",
    help=unwrapped(_HELP),
    epilog=_EPILOG,
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    # A traceback is for bugs of ours; locals in it could show a secret.
    pretty_exceptions_enable=False,
)
app.add_typer(events)
app.command()(run)
app.command()(status)
app.command()(simulate)
app.command()(size)
app.command()(receiver)
app.command()(processor)
app.command()(operator)
app.command()(tables)
app.add_typer(dead)
app.add_typer(destinations)
app.add_typer(api)
app.add_typer(waiting)
app.add_typer(filter_)
app.add_typer(raw)
app.command(epilog=ERASE_EPILOG)(erase)
unwrap(app)
unwrap(events)
unwrap(dead)
unwrap(raw)
unwrap(destinations)
unwrap(waiting)
unwrap(filter_)
unwrap(api)


def _show_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"forebay {__version__}")
        raise typer.Exit


@app.callback()
def _forebay(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            callback=lambda value: _show_version(wanted=value),
            is_eager=True,
        ),
    ] = False,
) -> None:
    del version  # handled by its callback


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: What stands behind `forebay`; by default what the process was started with.
    """
    _open_what_is_closed()
    output, errors, place = sys.stdout, sys.stderr, _place(sys.stdout)
    try:
        try:
            return _run(arguments)
        finally:
            # Whether anybody read all of it shows now, not when Python ends.
            output.flush()
            if _place(output) != place:
                # What Rich does where nobody reads, to end with a 1.
                raise BrokenPipeError  # the same as from our own prints
    except BrokenPipeError:
        if _place(output) == place and not (_lost_its_reader(output) or _lost_its_reader(errors)):
            raise  # of a connection: a bug of ours, since nobody said what it means
        # Nothing can be said to anyone any more, and Python is not to try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        return READER_LEFT


def _run(arguments: Sequence[str] | None) -> int:
    output, errors = sys.stdout, sys.stderr
    try:
        app(args=arguments)
    except SystemExit as end:
        if sys.stdout is not output and isinstance(end.__context__, OSError):
            # Click takes every broken pipe for that of our output, wraps both, and ends with a 1.
            sys.stdout, sys.stderr = output, errors
            raise end.__context__ from None
        raise
    except ForebayError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"forebay: {line}\n")
        return exit_code(error)
    return 0


def _open_what_is_closed() -> None:
    """Put the null device in the place of what was closed as we were started (`>&-`).

    Python has None there, which nothing of ours expects; and the first file or connection that is
    opened would take the number of it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  # as long as the process


def _lost_its_reader(stream: TextIO) -> bool:
    """Say whether a stream is a pipe, or a terminal, at whose other end nobody is any more."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), 0)  # what is asked for beside errors: nothing
    except (OSError, ValueError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _place(stream: TextIO) -> tuple[int, int] | None:
    """Return what a stream writes to; None where that is no file."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
