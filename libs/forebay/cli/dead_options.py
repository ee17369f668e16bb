"""The options that all verbs of `forebay dead` share, and what they mean together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forebay.core.errors import ConfigurationError

if TYPE_CHECKING:
    from forebay.core.dead_letters import DeadLetterFilter

__all__ = [
    "DATA_DIR",
    "AsJson",
    "DataDir",
    "DryRun",
    "Endpoint",
    "FromDestination",
    "Id",
    "Invalid",
    "Kind",
    "MaxItems",
    "NatsUrl",
    "Output",
    "Reason",
    "Shard",
    "Since",
    "Until",
    "Wamid",
    "Yes",
    "check_label",
    "dead_letter_filter",
    "output_of",
]

Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", "-e", help="Only of this endpoint, namespace/name.", show_default=False
    ),
]
FromDestination = Annotated[
    str | None,
    typer.Option("--destination", "-d", help="Only for this destination.", show_default=False),
]
Kind = Annotated[
    str | None,
    typer.Option(help="Only of this kind, such as messages or statuses.", show_default=False),
]
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
Output = Annotated[
    Literal["table", "json"],
    typer.Option(
        "--output", "-o", help="A table for people, or one JSON object a line for programs."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
NatsUrl = Annotated[
    str | None,
    typer.Option(help="A NATS, such as nats://127.0.0.1:4222.", show_default=False),
]
DataDir = Annotated[
    Path, typer.Option(help="Where a `forebay run` of this machine keeps its store.")
]
Shard = Annotated[
    str,
    typer.Option(envvar="FOREBAY_SHARDS", help="The shards to search, separated by commas."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Invalid = Annotated[
    bool,
    typer.Option(
        "--invalid",
        help="Instead of dead letters: bodies that could not be split, or were beyond the limits. "
        "A replay splits them again.",
    ),
]

DATA_DIR = Path(".forebay")


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

    from forebay.core.dead_letters import UNREADABLE, DeadLetterFilter, DeadReason
    from forebay.core.endpoint_name import EndpointName
    from forebay.core.invalid_reasons import InvalidReason
    from forebay.core.item_kinds import KINDS
    from forebay.core.time_expressions import parse_time_expression
    from forebay.core.whole_body import BODY_KIND
    from forebay.runtime.invalid_body_replay import INVALID

    if invalid and not (destination is kind is wamid is None):
        message = (
            "--invalid goes with --endpoint, --reason, --since, --until and --id only: a body "
        )
        message += "that was not split has neither destination, kind nor message id"
        raise ConfigurationError(message)
    now = datetime.now().astimezone()
    name = None
    if endpoint is not None:
        try:
            name = EndpointName.parse(endpoint)
        except ValueError as error:
            message = f"--endpoint {error}: give one such as acme/shop"
            raise ConfigurationError(message) from error
    if destination is not None:
        check_label(destination, "--destination")
    kinds = (*KINDS, BODY_KIND, UNREADABLE)
    if kind is not None and kind not in kinds:
        message = f"--kind {kind!r} is none: there are {', '.join(kinds)}"
        raise ConfigurationError(message)
    set_aside = (INVALID, *InvalidReason)
    reasons = set_aside if invalid else tuple(DeadReason)
    if reason is not None and reason.lower() not in {each.lower() for each in reasons}:
        message = f"--reason {reason!r} is none: there are {', '.join(reasons)}"
        if not invalid:
            message += f", and with --invalid {', '.join(set_aside)}"
        raise ConfigurationError(message)
    if id_ is not None and not (id_ and set(id_) <= set("0123456789abcdef")):
        message = f"{id_!r} is no id: it is of hex digits, as `forebay dead ls` shows it"
        raise ConfigurationError(message)
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


def check_label(name: str, option: str) -> None:
    """Raise ConfigurationError where a name can be no destination's."""
    from forebay.core.endpoint_name import NAME_LIMIT, is_dns_label

    if not is_dns_label(name, NAME_LIMIT):
        message = f"{option} {name!r} is no name of a destination: give one such as crm"
        raise ConfigurationError(message)


def output_of(output: Literal["table", "json"], *, as_json: bool) -> Literal["table", "json"]:
    """Return what to print: `--json`, which the other commands have, is `--output json`."""
    return "json" if as_json else output
