"""What a command asks of the processors, and what each of them answers: over NATS, never stored.

A request goes to `CONTROL_SUBJECT`, or to `REPORT_SUBJECT` from who may only read. Every processor
of an installation hears both. Each answers for itself, at a subject below `ANSWER_SUBJECT` that the
request names. Parts of different versions meet here: fields are only added, each with a default,
and what is unknown is passed over.
"""

import enum
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from forebay.core.endpoint_name import EndpointName

__all__ = [
    "ANSWER_SUBJECT",
    "CONTROL_SUBJECT",
    "REPORT_SUBJECT",
    "ControlAnswer",
    "ControlRequest",
    "ControlVerb",
    "DestinationCondition",
    "DestinationReport",
    "endpoint_of",
    "merged",
]

CONTROL_SUBJECT: Final = "forebay.control.destinations"

REPORT_SUBJECT: Final = "forebay.control.reports"
"""Where `LIST` is asked by who may do nothing else: no other request is done that comes there."""

ANSWER_SUBJECT: Final = "forebay.control.answer"
"""With one more token for each request. Processors answer nowhere else: a request must not make one
publish where whoever asks may not."""


class ControlVerb(enum.StrEnum):
    """What is asked."""

    LIST = "list"
    RETRY_NOW = "retry-now"
    CLOSE_BREAKER = "close-breaker"


class DestinationCondition(enum.StrEnum):
    """How a destination is, the worst first; the values are shown to people and programs."""

    REFUSED = "Refused"
    """It refuses us: the breaker is open, with pauses up to hours."""

    OPEN = "Open"
    """Its breaker is open."""

    PROBING = "Probing"
    """The same, and one attempt is under way."""

    FAILING = "Failing"
    """Attempts fail, and others are made."""

    PAUSED = "Paused"
    """Its endpoint is paused."""

    REMOVED = "Removed"
    """No table names it, and something waits for it."""

    UP = "Up"
    """Nothing is known to be wrong."""


class ControlRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a command asks."""

    verb: ControlVerb
    endpoint: str = ""
    """`namespace/name`; empty for all, which only `LIST` takes."""

    destination: str = ""
    """Its name; empty for all, which only `LIST` takes."""


class DestinationReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a destination is."""

    endpoint: str
    """`namespace/name`."""

    destination: str
    state: DestinationCondition
    reason: str = ""
    """What the last failure said: a status or a kind of failure. Empty where nothing fails."""

    waiting: int = 0
    """Items in RETRY."""

    share: float = 0.0
    """How much of what it may have of RETRY it has: at 1 it gets no more."""

    blocked: int = 0
    """Conversations that wait because one of their items failed."""

    oldest_seconds: float | None = None
    """The age of the oldest that waits, of those in memory; None where none is."""

    expires_seconds: float | None = None
    """Until that one is given up."""

    failing_seconds: float | None = None
    """Since the first failure; None where it does not fail."""

    next_attempt_seconds: float | None = None
    """Until the next attempt; None where none is waited for."""

    max_age_seconds: float | None = None
    """How long an item is tried, its `retry.maxAge`; None of a destination that was removed."""


class ControlAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What one processor answers."""

    processor: str
    members: tuple[str, ...] = ()
    """All processors that it knows of, itself included: whose answers are to come."""

    destinations: tuple[DestinationReport, ...] = ()
    """To `LIST`."""

    left_out: int = 0
    """Destinations that did not find room in the answer."""

    changed: int = 0
    """To the other verbs: breakers that were closed, or conversations that are tried at once."""

    error: str = ""
    """Why nothing was done, for people; empty where it was."""


_RANKS: Final = {state: rank for rank, state in enumerate(DestinationCondition)}


def merged(answers: Iterable[ControlAnswer]) -> list[DestinationReport]:
    """Return one report for each destination, out of those of all processors.

    It is in the worst state of all, and has its reason there; what waits is added up.
    """
    found: dict[tuple[str, str], list[DestinationReport]] = {}
    for answer in answers:
        for each in answer.destinations:
            found.setdefault((each.endpoint, each.destination), []).append(each)
    return [_of_all(reports) for _, reports in sorted(found.items())]


def _of_all(reports: Sequence[DestinationReport]) -> DestinationReport:
    worst = min(reports, key=lambda each: _RANKS[each.state])
    return msgspec.structs.replace(
        worst,
        waiting=sum(each.waiting for each in reports),
        share=max(each.share for each in reports),
        blocked=sum(each.blocked for each in reports),
        oldest_seconds=max(_known(each.oldest_seconds for each in reports), default=None),
        expires_seconds=min(_known(each.expires_seconds for each in reports), default=None),
        failing_seconds=max(_known(each.failing_seconds for each in reports), default=None),
        next_attempt_seconds=min(
            _known(each.next_attempt_seconds for each in reports), default=None
        ),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [each for each in values if each is not None]


def endpoint_of(request: ControlRequest) -> EndpointName | None:
    """Return the endpoint that a request names; None for all.

    Raises:
        ValueError: where it is no name of one.
    """
    return EndpointName.parse(request.endpoint) if request.endpoint else None
