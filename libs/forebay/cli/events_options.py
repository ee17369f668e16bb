"""The options that verbs of `forebay events` have and no other command has, and what they mean."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from forebay.core.index_listing import IndexFilter

__all__ = [
    "AtDestination",
    "Channel",
    "Outcome",
    "RevealRecords",
    "Since",
    "Until",
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
        help="Only with this outcome: new, variant, repeat, unwanted, filtered, parked, "
        "delivered, failed, rejected or dead.",
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


def searched(wanted: "IndexFilter") -> str:
    """Return in words which time was searched."""
    from forebay.views.texts import millis_text

    begin = f"since {millis_text(wanted.since)}" if wanted.since else "in all that is kept"
    return begin if wanted.until is None else f"{begin} until {millis_text(wanted.until)}"
