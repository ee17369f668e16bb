"""What a question means: the filters of lists, read from the texts that a person gave.

`prefix` stands before a filter's name in what is said of it: `--` for options of the command,
nothing for parameters of a request.
"""

from datetime import datetime
from typing import Final

from forebay.core.body_item import BODY_KIND
from forebay.core.dead_letters import KEY_DIGITS, UNREADABLE, DeadLetterFilter, DeadReason
from forebay.core.endpoint_name import NAME_LIMIT, EndpointName, is_dns_label
from forebay.core.errors import ConfigurationError
from forebay.core.index_listing import IndexFilter
from forebay.core.index_records import IndexOutcome
from forebay.core.invalid_reasons import InvalidReason
from forebay.core.item_kinds import KINDS
from forebay.core.time_expressions import parse_time_expression
from forebay.core.waiting_items import WaitingFilter
from forebay.runtime.invalid_body_replay import INVALID

__all__ = [
    "check_item",
    "check_label",
    "dead_letter_filter",
    "endpoint_name",
    "index_filter",
    "waiting_filter",
    "webhook_place",
]

SEQUENCE_DIGITS: Final = 19
"""Of the largest sequence: a longer number is none."""

_HEX: Final = frozenset("0123456789abcdef")


def dead_letter_filter(  # noqa: PLR0913  # one parameter for each filter
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
    prefix: str = "--",
    shown_by: str = "dead ls",
    now: datetime | None = None,
) -> DeadLetterFilter:
    """Read the filters of dead letters, or of bodies that were set aside (`invalid`).

    Args:
        endpoint: And so on: the filters as they were given.
        destination: See there.
        kind: See there.
        reason: See there.
        since: See there.
        until: See there.
        wamid: See there.
        id_: See there.
        invalid: Whether bodies are meant.
        prefix: What stands before the names of filters.
        shown_by: The verb that shows ids, where there is a prefix.
        now: The time; by default that of this machine.

    Raises:
        ConfigurationError: where one can mean nothing.
    """
    if invalid and not (destination is kind is wamid is None):
        message = (
            f"{prefix}invalid goes with {prefix}endpoint, {prefix}reason, {prefix}since, "
            f"{prefix}until and {prefix}id only: a body that was not split has neither "
            "destination, kind nor message id"
        )
        raise ConfigurationError(message)
    now = now or datetime.now().astimezone()
    name = None if endpoint is None else endpoint_name(endpoint, prefix)
    if destination is not None:
        check_label(destination, f"{prefix}destination")
    _check_kind(kind, prefix)
    set_aside = (INVALID, *InvalidReason)
    reasons = set_aside if invalid else tuple(DeadReason)
    if reason is not None and reason.lower() not in {each.lower() for each in reasons}:
        message = f"{prefix}reason {reason!r} is none: there are {', '.join(reasons)}"
        if not invalid and prefix:
            message += f", and with {prefix}invalid {', '.join(set_aside)}"
        raise ConfigurationError(message)
    _check_id(id_, shown_by if prefix else "")
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


def index_filter(  # noqa: PLR0913  # one parameter for each filter
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
    prefix: str = "--",
) -> IndexFilter:
    """Read the filters of items; raises ConfigurationError where one cannot be."""
    checked = dead_letter_filter(
        endpoint=endpoint,
        destination=destination,
        kind=kind,
        id_=id_,
        prefix=prefix,
        shown_by="events ls",
    )
    _check_conversation(conversation, prefix)
    try:
        own = None if outcome is None else IndexOutcome(outcome.lower())
    except ValueError:
        message = f"{prefix}outcome {outcome!r} is none: there are {', '.join(IndexOutcome)}"
        raise ConfigurationError(message) from None
    begin = None if since is None else parse_time_expression(since, now)
    end = None if until is None else parse_time_expression(until, now)
    if begin is not None and end is not None and begin >= end:
        message = f"{prefix}since is not before {prefix}until: nothing is between them"
        raise ConfigurationError(message)
    return IndexFilter(
        endpoint=None if checked.endpoint is None else str(checked.endpoint),
        channel=channel,
        kind=kind,
        conversation=conversation,
        token=id_,
        destination=destination,
        outcome=own,
        since=0 if begin is None else _millis(begin),
        until=None if end is None else _millis(end),
    )


def waiting_filter(  # noqa: PLR0913  # one parameter for each filter
    *,
    endpoint: str | None,
    destination: str | None,
    kind: str | None,
    wamid: str | None,
    id_: str | None,
    conversation: str | None,
    prefix: str = "--",
) -> WaitingFilter:
    """Read the filters of what waits; raises ConfigurationError where one cannot be."""
    checked = dead_letter_filter(
        endpoint=endpoint,
        destination=destination,
        kind=kind,
        wamid=wamid,
        id_=id_,
        prefix=prefix,
        shown_by="waiting ls",
    )
    _check_conversation(conversation or None, prefix)
    return WaitingFilter(
        endpoint=checked.endpoint,
        destination=checked.destination,
        kind=checked.kind,
        wamid=checked.wamid,
        key=checked.key,
        conversation=conversation or None,
    )


def webhook_place(which: str) -> int | None:
    """Return the sequence of a webhook that is named by it; None where it is named by an item's id.

    Raises:
        ConfigurationError: where it is neither.
    """
    if which.isascii() and which.isdigit() and len(which) <= SEQUENCE_DIGITS:
        return int(which)
    if len(which) == KEY_DIGITS and _HEX.issuperset(which):
        return None
    message = (
        f"{which!r} is neither a sequence, such as 5120, nor an id of {KEY_DIGITS} hex digits: "
        "`forebay events show WAMID` prints both"
    )
    raise ConfigurationError(message)


def check_item(id_: str) -> None:
    """Raise ConfigurationError where this is no id of an item, all of it."""
    if len(id_) != KEY_DIGITS or not _HEX.issuperset(id_):
        message = f"{id_!r} is no id of an item: it is of {KEY_DIGITS} hex digits"
        raise ConfigurationError(message)


def endpoint_name(text: str, prefix: str = "--") -> EndpointName:
    """Read the name of an endpoint; raises ConfigurationError where it is none."""
    try:
        return EndpointName.parse(text)
    except ValueError as error:
        message = f"{prefix}endpoint {error}: give one such as acme/shop"
        raise ConfigurationError(message) from error


def check_label(name: str, option: str) -> None:
    """Raise ConfigurationError where a name can be no destination's."""
    if not is_dns_label(name, NAME_LIMIT):
        message = f"{option} {name!r} is no name of a destination: give one such as crm"
        raise ConfigurationError(message)


def _check_kind(kind: str | None, prefix: str) -> None:
    kinds = (*KINDS, BODY_KIND, UNREADABLE)
    if kind is not None and kind not in kinds:
        message = f"{prefix}kind {kind!r} is none: there are {', '.join(kinds)}"
        raise ConfigurationError(message)


def _check_id(id_: str | None, shown_by: str) -> None:
    if id_ is not None and not (id_ and _HEX.issuperset(id_)):
        message = f"{id_!r} is no id: it is of hex digits"
        if shown_by:
            message += f", as `forebay {shown_by}` shows it"
        raise ConfigurationError(message)


def _check_conversation(conversation: str | None, prefix: str) -> None:
    if conversation is not None and not (conversation and _HEX.issuperset(conversation)):
        message = f"{prefix}conversation {conversation!r} is no token: it is of hex digits"
        raise ConfigurationError(message)


def _millis(moment: datetime) -> int:
    return max(0, int(moment.timestamp() * 1000))
