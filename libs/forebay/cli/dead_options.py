"""The options that verbs of `forebay dead` have and no other command has, and what they mean."""

from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.common_options import check_id, check_kind, check_label, endpoint_named
from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.core.dead_letters import DeadLetterFilter

__all__ = ["Invalid", "MaxItems", "Reason", "Since", "Until", "dead_letter_filter"]

Reason = Annotated[
    str | None,
    typer.Option(
        help="Only with this reason: Rejected, Expired or DestinationRemoved. With --invalid: the "
        "reason for which a body was set aside, such as TooManyItems.",
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


def dead_letter_filter(  # noqa: PLR0913  # one parameter for each option
    *,
    endpoint: str | None = None,
    destination: str | None = None,
    kind: str | None = None,
    reason: str | None = None,
    since: str | None = None,
    until: str | None = None,
    wamid: str | None = None,
    id_: str | None = None,
    invalid: bool = False,
) -> "DeadLetterFilter":
    """Read the filters; raises ConfigurationError where one can mean nothing."""
    from datetime import datetime

    from forebay.core.dead_letters import DeadLetterFilter, DeadReason
    from forebay.core.invalid_reasons import InvalidReason
    from forebay.core.time_expressions import parse_time_expression
    from forebay.runtime.invalid_body_replay import INVALID

    if invalid and not (destination is kind is wamid is None):
        message = (
            "--invalid goes with --endpoint, --reason, --since, --until and --id only: a body "
        )
        message += "that was not split has neither destination, kind nor message id"
        raise ConfigurationError(message)
    now = datetime.now().astimezone()
    name = None if endpoint is None else endpoint_named(endpoint)
    if destination is not None:
        check_label(destination, "--destination")
    if kind is not None:
        check_kind(kind)
    set_aside = (INVALID, *InvalidReason)
    reasons = set_aside if invalid else tuple(DeadReason)
    if reason is not None and reason.lower() not in {each.lower() for each in reasons}:
        message = f"--reason {reason!r} is none: there are {', '.join(reasons)}"
        if not invalid:
            message += f", and with --invalid {', '.join(set_aside)}"
        raise ConfigurationError(message)
    if id_ is not None:
        check_id(id_, "dead ls")
    return DeadLetterFilter(
        endpoint=name,
        destination=destination,
        kind=kind,
        reason=reason,
        wamid=wamid,
        key=id_,
        since=None if since is None else parse_time_expression(since, now),
        until=None if until is None else parse_time_expression(until, now),
    )
