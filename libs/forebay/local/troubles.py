"""What goes wrong in a run, in the few words that a screen has room for.

From the processor's page `/destinations` and the parts' metrics.
"""

import http
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from forebay.core.failure_words import plain_failure
from forebay.local.addresses import Address
from forebay.local.metrics_reader import EndpointCounts, get

__all__ = [
    "DestinationStates",
    "TroubleLine",
    "TroubledDestination",
    "read_destinations",
    "troubles_of",
]

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubledDestination:
    """One destination that fails, or that nothing is sent to."""

    endpoint: str
    """`namespace/name`."""

    destination: str
    state: str
    """`Failing`, or of its breaker `Open`, `Probing`, `Refused`."""

    reason: str
    failures: int
    failing_seconds: float | None
    next_attempt_seconds: float | None
    """None where there is none before somebody acts."""

    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStates:
    """What the processor says."""

    destinations: tuple[TroubledDestination, ...] = ()
    paused: tuple[str, ...] = ()
    """Endpoints, `namespace/name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleLine:
    """One line of a screen."""

    level: Literal["bad", "odd", "calm"]
    who: str
    """An endpoint, or one and its destination."""

    what: str
    endpoint: str


async def read_destinations(processor: Address) -> DestinationStates:
    """Ask the processor which destinations have troubles; none where it gives no answer."""
    answer = await get(processor, "/destinations")
    if answer is None or answer[0] != http.HTTPStatus.OK:
        return DestinationStates()
    try:
        page = _DECODE(answer[1])
    except msgspec.DecodeError:
        return DestinationStates()
    return DestinationStates(
        destinations=tuple(
            TroubledDestination(
                endpoint=f"{each.namespace}/{each.endpoint}",
                destination=each.destination,
                state=each.state,
                reason=each.reason,
                failures=each.failures,
                failing_seconds=each.failing_seconds,
                next_attempt_seconds=each.next_attempt_seconds,
                waiting=each.parked,
            )
            for each in page.destinations
        ),
        paused=page.paused,
    )


class _Entry(msgspec.Struct):
    namespace: str
    endpoint: str
    destination: str
    state: str
    reason: str
    failures: int
    failing_seconds: float | None
    next_attempt_seconds: float | None
    parked: int


class _Page(msgspec.Struct):
    destinations: tuple[_Entry, ...]
    paused: tuple[str, ...]


_DECODE: Final = msgspec.json.Decoder(_Page).decode


def troubles_of(
    states: DestinationStates, rows: Mapping[str, EndpointCounts]
) -> tuple[TroubleLine, ...]:
    """Return all that is to be shown, what loses most first."""
    closed = [each for each in states.destinations if each.state != "Failing"]
    failing = [each for each in states.destinations if each.state == "Failing"]
    return (
        *(_of_destination(each) for each in closed),
        *(_of_destination(each) for each in failing),
        *(each for name in sorted(rows) for each in _of_endpoint(name, rows[name])),
        *(_paused(name, rows.get(name)) for name in states.paused),
    )


def _of_destination(state: TroubledDestination) -> TroubleLine:
    reason = plain_failure(state.reason)
    since = "" if state.failing_seconds is None else f" for {span(state.failing_seconds)}"
    cause = f"{reason}{since}"
    match state.state:
        case "Failing":
            what = f"failing: {cause}"
        case "Refused":
            what = f"refuses us: {cause}"
        case _:
            what = f"breaker {state.state.lower()}: {cause}"
    if state.waiting:
        what += f", {state.waiting:,} waiting"
    if state.next_attempt_seconds is not None and state.state != "Probing":
        what += f", next try in {span(state.next_attempt_seconds)}"
    return TroubleLine(
        level="bad",
        who=f"{state.endpoint} → {state.destination}",
        what=what,
        endpoint=state.endpoint,
    )


def _of_endpoint(name: str, row: EndpointCounts) -> Sequence[TroubleLine]:
    found = []
    if row.unreadable:
        what = f"{row.unreadable:,} unreadable bodies, {_most(row.unreadable_reasons)}"
        found.append(TroubleLine(level="bad", who=name, what=what, endpoint=name))
    refused = sum(row.refused_reasons.values())
    if refused:
        what = f"{refused:,} not taken, {_most(row.refused_reasons)}"
        found.append(TroubleLine(level="odd", who=name, what=what, endpoint=name))
    return found


def _paused(name: str, row: EndpointCounts | None) -> TroubleLine:
    waiting = f", {row.waiting:,} waiting" if row is not None and row.waiting else ""
    return TroubleLine(level="calm", who=name, what=f"paused{waiting}", endpoint=name)


def _most(reasons: Mapping[str, int]) -> str:
    reason = max(sorted(reasons), key=lambda each: reasons[each])
    return reason if len(reasons) == 1 else f"most {reason} ({reasons[reason]:,})"


def span(seconds: float) -> str:
    """Return a time in the unit that suits it."""
    if seconds < MINUTE:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / MINUTE:.0f} min"
    if seconds < DAY:
        return f"{seconds / HOUR:.0f} h"
    return f"{seconds / DAY:.0f} d"
