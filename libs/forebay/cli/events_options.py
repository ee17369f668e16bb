"""The options that verbs of `forebay events` have and no other command has, and what they mean."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import (
    check_conversation,
    check_id,
    check_kind,
    check_label,
    endpoint_named,
)
from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.core.index_listing import IndexFilter

__all__ = [
    "AtDestination",
    "Channel",
    "Outcome",
    "RevealRecords",
    "Since",
    "Until",
    "index_filter",
    "searched",
]

AtDestination = Annotated[
    str | None,
    typer.Option(
        "--destination", "-d", help="Only what happened at this destination.", show_default=False
    ),
]
Channel = Annotated[
    str | None,
    typer.Option(help="Only of this phone number id of the business.", show_default=False),
]
Outcome = Annotated[
    str | None,
    typer.Option(
        help="Only with this outcome: new, variant, repeat, unwanted, parked, delivered, failed, "
        "rejected or dead.",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only what happened at this time or later: 2h, 1d, today, yesterday, 2026-11-22, "
        "2026-11-22T14:00. Default: 1h; with --wamid everything.",
        show_default=False,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        help="Only what happened before this time, in the same formats.", show_default=False
    ),
]
RevealRecords = Annotated[
    bool,
    typer.Option("--reveal", help="Show conversations' tokens and the first words of answers."),
]


def index_filter(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: str | None,
    destination: str | None,
    channel: str | None,
    kind: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
    id_: str | None,
    conversation: str | None,
    now: datetime,
) -> "IndexFilter":
    """Return which items are meant; raises ConfigurationError where an option cannot be."""
    from forebay.core.index_listing import IndexFilter
    from forebay.core.index_records import IndexOutcome
    from forebay.core.time_expressions import parse_time_expression

    name = None if endpoint is None else endpoint_named(endpoint)
    if destination is not None:
        check_label(destination, "--destination")
    if kind is not None:
        check_kind(kind)
    if id_ is not None:
        check_id(id_, "events ls")
    if conversation is not None:
        check_conversation(conversation)
    try:
        own = None if outcome is None else IndexOutcome(outcome.lower())
    except ValueError:
        message = f"--outcome {outcome!r} is none: there are {', '.join(IndexOutcome)}"
        raise ConfigurationError(message) from None
    begin = None if since is None else parse_time_expression(since, now)
    end = None if until is None else parse_time_expression(until, now)
    if begin is not None and end is not None and begin >= end:
        message = "--since is not before --until: nothing is between them"
        raise ConfigurationError(message)
    return IndexFilter(
        endpoint=None if name is None else str(name),
        channel=channel,
        kind=kind,
        conversation=conversation,
        token=id_,
        destination=destination,
        outcome=own,
        since=0 if begin is None else _millis(begin),
        until=None if end is None else _millis(end),
    )


def searched(wanted: "IndexFilter") -> str:
    """Return in words which time was searched."""
    from forebay.cli.printers.output_formatting import millis_text

    begin = f"since {millis_text(wanted.since)}" if wanted.since else "in all that is kept"
    return begin if wanted.until is None else f"{begin} until {millis_text(wanted.until)}"


def _millis(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000))
