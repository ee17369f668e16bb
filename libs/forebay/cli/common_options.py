"""The options that verbs of several commands share, and the checks of what is given by them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.core.endpoint_name import EndpointName

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
    "check_conversation",
    "check_id",
    "check_kind",
    "check_label",
    "endpoint_named",
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

_HEX = frozenset("0123456789abcdef")


def endpoint_named(text: str) -> "EndpointName":
    """Read `--endpoint`; raises ConfigurationError where it names none."""
    from forebay.core.endpoint_name import EndpointName

    try:
        return EndpointName.parse(text)
    except ValueError as error:
        message = f"--endpoint {error}: give one such as acme/shop"
        raise ConfigurationError(message) from error


def check_label(name: str, option: str) -> None:
    """Raise ConfigurationError where a name can be no destination's."""
    from forebay.core.endpoint_name import NAME_LIMIT, is_dns_label

    if not is_dns_label(name, NAME_LIMIT):
        message = f"{option} {name!r} is no name of a destination: give one such as crm"
        raise ConfigurationError(message)


def check_kind(kind: str) -> None:
    """Raise ConfigurationError where there is no such kind."""
    from forebay.core.body_item import BODY_KIND
    from forebay.core.dead_letters import UNREADABLE
    from forebay.core.item_kinds import KINDS

    kinds = (*KINDS, BODY_KIND, UNREADABLE)
    if kind not in kinds:
        message = f"--kind {kind!r} is none: there are {', '.join(kinds)}"
        raise ConfigurationError(message)


def check_id(id_: str, shown_by: str) -> None:
    """Raise ConfigurationError where an id can be none; `shown_by` is the verb that lists them."""
    if not (id_ and _HEX.issuperset(id_)):
        message = f"{id_!r} is no id: it is of hex digits, as `forebay {shown_by}` shows it"
        raise ConfigurationError(message)


def check_conversation(token: str) -> None:
    """Raise ConfigurationError where a conversation's token can be none."""
    if not (token and _HEX.issuperset(token)):
        message = f"--conversation {token!r} is no token: it is of hex digits"
        raise ConfigurationError(message)


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
