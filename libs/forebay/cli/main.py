"""The `forebay` command: its verbs, its help, and how it ends."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, TextIO

import typer

from forebay import __version__
from forebay.cli.dead import dead
from forebay.cli.failures import READER_LEFT, exit_code
from forebay.cli.help_text import unwrap, unwrapped
from forebay.cli.operator import operator
from forebay.cli.processor import processor
from forebay.cli.receiver import receiver
from forebay.cli.run import run
from forebay.cli.simulate import simulate
from forebay.cli.status import status
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
app.command()(run)
app.command()(status)
app.command()(simulate)
app.command()(receiver)
app.command()(processor)
app.command()(operator)
app.add_typer(dead)
unwrap(app)
unwrap(dead)


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
    output, place = sys.stdout, _place(sys.stdout)
    try:
        try:
            return _run(arguments)
        finally:
            # Whether anybody read all of it shows now, not when Python ends.
            output.flush()
            if sys.stdout is not output or _place(output) != place:
                # What Click, or Rich, does where nobody reads; both end with a 1.
                raise BrokenPipeError  # the same as from our own prints
    except BrokenPipeError:
        # Nothing can be said to anyone any more, and Python is not to try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
        return READER_LEFT


def _run(arguments: Sequence[str] | None) -> int:
    try:
        app(args=arguments)
    except ForebayError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"forebay: {line}\n")
        return exit_code(error)
    return 0


def _place(stream: TextIO) -> tuple[int, int] | None:
    """Return what a stream writes to; None where that is no file."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
