"""Whether an endpoint's destinations take what is sent: the breakers of all processors in one word.

Each processor has breakers of its own, and reports those that are open. A destination is ill where
any of them says so. What some processor did not report leaves the condition as it was, unless
another one knows of an open breaker.

A breaker can open and close with every item, and say something else each time, so the condition
changes once in six checks at most (a minute as shipped): the first trouble at once, what follows
when that time is over.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters.pod_reports import PodPages
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.pod_reports import OpenBreaker
from forebay_operator.models.reasons import ConditionReason, ConditionType
from forebay_operator.models.status import Condition
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.conditions import false, true

__all__ = ["Breakers", "breaker_condition"]

POLLS: Final = 6
"""Polls of an endpoint between two changes of the condition."""

SHOWN: Final = 8
"""Destinations that a message names; the metric has all."""

REASON_CHARACTERS: Final = 160

_NOT_TOLD: Final = Condition(
    type=ConditionType.DESTINATIONS_HEALTHY,
    status="Unknown",
    reason=ConditionReason.NOT_REACHED,
    message="no processor is ready, or one did not answer yet",
)


class _View(NamedTuple):
    """What all processors say at one moment."""

    ready: int
    is_whole: bool
    """Whether every ready one answered."""

    opened: Mapping[EndpointName, tuple[OpenBreaker, ...]]


class Breakers:
    """Asks the processors; one poll serves all endpoints that ask at the time."""

    def __init__(
        self,
        cache: ClusterCache,
        pages: PodPages,
        selectors: Sequence[Mapping[str, str]],
        seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            cache: Where the pods are.
            pages: Asks them.
            selectors: The labels of the processors, one for each kind of them.
            seconds: Between two checks of an endpoint.
            clock: Seconds that never go back, as the event loop's.
        """
        self._cache = cache
        self._pages = pages
        self._selectors = selectors
        self._seconds = seconds
        self._clock = clock
        self._known: tuple[float, asyncio.Task[_View]] | None = None
        self._not_before: dict[EndpointName, float] = {}

    async def condition(
        self, endpoint: ClusterEndpoint, destinations: Collection[str]
    ) -> Condition:
        """Return the condition of an endpoint that has these destinations."""
        before = _standing(endpoint.status)
        found = _found(endpoint, destinations, before, await self._view())
        if before is None or found == before or before.status == "Unknown":
            # The first word on a destination is never held back; the second is.
            if found.status == "False" and found != before:
                self._hold(endpoint.endpoint)
            return found
        if self._is_held(endpoint.endpoint):
            return before
        self._hold(endpoint.endpoint)
        return found

    async def is_news(self, endpoint: ClusterEndpoint, destinations: Collection[str]) -> bool:
        """Say whether `condition` would return another one than stands in the status."""
        before = _standing(endpoint.status)
        found = _found(endpoint, destinations, before, await self._view())
        if before is None or before.status == "Unknown":
            return found != before
        return found != before and not self._is_held(endpoint.endpoint)

    def _is_held(self, name: EndpointName) -> bool:
        return self._clock() < self._not_before.get(name, 0.0)

    def _hold(self, name: EndpointName) -> None:
        now = self._clock()
        self._not_before = {each: at for each, at in self._not_before.items() if at > now}
        self._not_before[name] = now + POLLS * self._seconds

    async def _view(self) -> _View:
        now = self._clock()
        known = self._known
        if known is None or (known[1].done() and now - known[0] > self._seconds / 2):
            known = self._known = (now, asyncio.create_task(self._poll(), name="poll breakers"))
        return await asyncio.shield(known[1])

    async def _poll(self) -> _View:
        pods = [
            pod
            for selector in self._selectors
            for pod in self._cache.pods(selector)
            if pod.is_ready and not pod.is_leaving
        ]
        answers = await asyncio.gather(*(self._pages.breakers(pod.address) for pod in pods))
        opened: dict[EndpointName, list[OpenBreaker]] = {}
        for answer in answers:
            for each in answer or ():
                opened.setdefault(each.endpoint, []).append(each)
        whole = all(answer is not None for answer in answers)
        return _View(len(pods), whole, {name: tuple(found) for name, found in opened.items()})


def _found(
    endpoint: ClusterEndpoint,
    destinations: Collection[str],
    before: Condition | None,
    view: _View,
) -> Condition:
    """Return what processors say; what stands there where that is not all of it."""
    mine = [
        each for each in view.opened.get(endpoint.endpoint, ()) if each.destination in destinations
    ]
    if view.ready and not mine and not view.is_whole:
        return before or _NOT_TOLD
    return breaker_condition(mine) if view.ready else _NOT_TOLD


def breaker_condition(opened: Iterable[OpenBreaker]) -> Condition:
    """Return the condition of an endpoint with these open breakers.

    The same breakers give the same words, in whichever order processors reported them.
    """
    refusing: dict[str, str] = {}
    silent: dict[str, str] = {}
    for each in sorted(opened):
        (refusing if each.is_refused else silent).setdefault(each.destination, each.reason)
    for destination in refusing:
        silent.pop(destination, None)
    kind = ConditionType.DESTINATIONS_HEALTHY
    if not refusing and not silent:
        return true(kind, ConditionReason.NO_BREAKER_OPEN, "no destination's breaker is open")
    sentences = []
    if refusing:
        sentences.append(
            f"we are refused by {_listed(refusing)}: correct the destination, its URL or its "
            "credentials; it is tried at once when its spec or Secret changes, else after pauses "
            "that grow to 4 h, or now by `forebay destinations retry-now`"
        )
    if silent:
        sentences.append(
            f"nothing gets through to {_listed(silent)}: check the destination; it is tried "
            "now and then, and what is for it waits"
        )
    reason = ConditionReason.DESTINATION_REFUSES if refusing else ConditionReason.BREAKER_OPEN
    return false(kind, reason, "; ".join(sentences))


def _listed(destinations: Mapping[str, str]) -> str:
    shown = [
        f"{name!r} ({reason[:REASON_CHARACTERS]})" if reason else repr(name)
        for name, reason in list(destinations.items())[:SHOWN]
    ]
    more = len(destinations) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _standing(status: Mapping[str, Any]) -> Condition | None:
    """Return the condition in the status; None where there is none that we know."""
    for entry in status.get("conditions") or ():
        if entry["type"] == ConditionType.DESTINATIONS_HEALTHY:
            try:
                reason = ConditionReason(entry["reason"])
            except ValueError:
                return None
            return Condition(
                type=ConditionType.DESTINATIONS_HEALTHY,
                status=entry["status"],
                reason=reason,
                message=entry["message"],
            )
    return None
