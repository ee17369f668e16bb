"""The options that verbs of `forebay dead` have and no other command has."""

from typing import Annotated

import typer

__all__ = ["Invalid", "MaxItems", "Reason", "Since", "Until"]

Reason = Annotated[
    str | None,
    typer.Option(
        help="Only with this reason: Rejected, Expired, NoRoom or DestinationRemoved. With "
        "--invalid: the reason for which a body was set aside, such as TooManyItems.",
        show_default=False,
    ),
]
MaxItems = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="With --invalid: let a body hold so many items, whatever it expands to.",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        help="Only what died at this time or later: 2h, 1d, today, yesterday, 2026-11-22, "
        "2026-11-22T14:00.",
        show_default=False,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(help="Only what died before this time, in the same formats.", show_default=False),
]

Invalid = Annotated[
    bool,
    typer.Option(
        "--invalid",
        help="Instead of dead letters: bodies that could not be split, or were beyond the limits. "
        "A replay splits them again.",
    ),
]
