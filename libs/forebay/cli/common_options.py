"""The options that verbs of several commands share; what filters mean is in `views.filters`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from forebay.core.errors import ConfigurationError

__all__ = [
    "DATA_DIR",
    "AsJson",
    "Conversation",
    "DataDir",
    "DryRun",
    "Endpoint",
    "ForDestination",
    "Id",
    "JsonOnly",
    "Kind",
    "Limit",
    "NatsUrl",
    "Output",
    "RevealContent",
    "Shard",
    "Wamid",
    "Yes",
    "check_can_be_asked",
    "limit_of",
    "output_of",
]

# -- which are meant

Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", "-e", help="Only of this endpoint, namespace/name.", show_default=False
    ),
]
ForDestination = Annotated[
    str | None,
    typer.Option("--destination", "-d", help="Only for this destination.", show_default=False),
]
Kind = Annotated[
    str | None,
    typer.Option(help="Only of this kind, such as messages or statuses.", show_default=False),
]
Wamid = Annotated[
    str | None,
    typer.Option(help="Only of the message with this id of the provider.", show_default=False),
]
Id = Annotated[
    str | None,
    typer.Option(
        "--id", help="Only with an id (webhook-id) that begins with this.", show_default=False
    ),
]
Conversation = Annotated[
    str | None,
    typer.Option(
        help="Only of this conversation, by its token as `--reveal` shows it.", show_default=False
    ),
]

# -- how they are shown

Limit = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Show so many, the oldest first; 0 for all. Default: 100 in a table, all in JSON.",
        show_default=False,
    ),
]
RevealContent = Annotated[
    bool,
    typer.Option("--reveal", help="Show what people wrote, their numbers and their names."),
]
Output = Annotated[
    Literal["table", "json"],
    typer.Option(
        "--output", "-o", help="A table for people, or one JSON object a line for programs."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
JsonOnly = Annotated[
    bool, typer.Option("--json", help="Print JSON, one object a line, for programs.")
]
"""Of commands that have no `--output`."""

# -- where they are

NatsUrl = Annotated[
    str | None,
    typer.Option(help="A NATS, such as nats://127.0.0.1:4222.", show_default=False),
]
DataDir = Annotated[
    Path, typer.Option(help="Where a `forebay run` of this machine keeps its store.")
]
DATA_DIR = Path(".forebay")
Shard = Annotated[
    str,
    typer.Option(envvar="FOREBAY_SHARDS", help="The shards to search, separated by commas."),
]

# -- what is done with them

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

TABLE_LIMIT = 100
"""Rows of a table, where nobody says how many."""


def check_can_be_asked() -> None:
    """Raise ConfigurationError where nobody is at a terminal; for what `--yes` does without."""
    if not sys.stdin.isatty():
        message = "nobody is here to be asked: say --yes, or --dry-run to change nothing"
        raise ConfigurationError(message)


def output_of(output: Literal["table", "json"], *, as_json: bool) -> Literal["table", "json"]:
    """Return what to print: `--json`, which the other commands have, is `--output json`."""
    return "json" if as_json else output


def limit_of(limit: int | None, *, is_table: bool) -> int:
    """Return how many rows to show; 0 for all."""
    if limit is not None:
        return limit
    return TABLE_LIMIT if is_table else 0
