"""`forebay filter`: tries expressions of a manifest on webhooks, without NATS."""

import sys
from pathlib import Path
from typing import Annotated, Final, get_args

import typer

from forebay.cli.failures import import_part
from forebay.cli.help_formatting import unwrapped
from forebay.core.errors import ConfigurationError
from forebay.core.providers.names import ProviderName

__all__ = ["filter_"]

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a file: a webhook has 4 MiB at most."""

filter_ = typer.Typer(
    name="filter",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help=unwrapped("""Try filters and transforms of destinations before they are in a manifest.

    docs/filters.md has the languages, the variables and the limits.
    """),
)


@filter_.callback()
def _keep_the_verb() -> None:
    """Keep `try` a verb of its own though there is no other."""


@filter_.command("try")
def try_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Webhooks as the provider posts them, or events as destinations get them; - reads "
            "one from standard input.",
        ),
    ],
    *,
    expression: Annotated[
        str | None,
        typer.Option(
            "--expression",
            "-e",
            help="`filter.expression` of a destination, in CEL. Without it everything passes.",
            show_default=False,
        ),
    ] = None,
    transform: Annotated[
        str | None,
        typer.Option(
            "--transform",
            "-t",
            help="`transform.expression`, in JMESPath: its results are printed.",
            show_default=False,
        ),
    ] = None,
    provider: Annotated[
        str, typer.Option(help="Whose webhooks they are: 360dialog, meta or generic.")
    ] = "meta",
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON for each item, for programs.")
    ] = False,
) -> None:
    """Say what of some webhooks a filter would let through, and what a transform makes of it.

    Cuts them into items as a processor does, and evaluates as it does: with the same limits. Needs
    no NATS, sends nothing and stores nothing. An expression that cannot be used ends with 2, as a
    manifest with it would be refused.

    Examples:
      forebay filter try --expression 'kind == "messages"' webhook.json

      forebay filter try -e 'data.value.messages[0].type == "text"' webhooks/*.json

      forebay filter try -t '{text: data.value.messages[0].text.body}' --json webhook.json
    """
    if provider not in get_args(ProviderName):
        message = f"--provider {provider!r} is none: use {', '.join(get_args(ProviderName))}"
        raise ConfigurationError(message)
    trial = import_part("forebay.local.expression_trial", "processor")
    tried = trial.ExpressionTrial(expression, transform, provider)
    from forebay.cli.printers.filter_printer import FilterPrinter

    printer = FilterPrinter(as_json=as_json)
    for file in files:
        for outcome in tried.outcomes(_content(file)):
            printer.item(str(file), outcome)
    printer.end()


def _content(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MOST_BYTES)
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES)
    except OSError as error:
        message = f"{file} cannot be read ({error.strerror}): name a file with a webhook"
        raise ConfigurationError(message) from error
