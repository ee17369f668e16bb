"""Events: what `kubectl describe` shows of an endpoint, once for each thing that happened.

What happens again is counted in the Event that is there. An endpoint that flaps gets a burst of
them, then one in a while: the conditions say how things are, the Events only what happened.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from forebay_operator.adapters.cluster import Cluster
from forebay_operator.errors import ObjectChanged, OperatorError
from forebay_operator.models.endpoint import ClusterEndpoint
from forebay_operator.models.reasons import ConditionReason

__all__ = ["EventRecorder"]

_log = structlog.get_logger(__name__)

BURST: Final = 25
"""Writes that an endpoint may have at once, as of Kubernetes' own components."""

REFILL_SECONDS: Final = 60.0
"""After which it may have one more."""

SAME_SECONDS: Final = 1800.0
"""How long a repeat is counted in the Event that is there: an API server keeps it for an hour."""

REMEMBERED: Final = 4096
"""Events that can be counted again; the oldest is forgotten first."""


class _Key(NamedTuple):
    uid: str
    reason: ConditionReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    name: str
    count: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allowance:
    left: float
    at: float


class EventRecorder:
    """Writes Events; one that cannot be written costs nothing but itself."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._recorded: OrderedDict[_Key, _Recorded] = OrderedDict()
        self._allowances: dict[str, _Allowance] = {}

    async def record(
        self,
        endpoint: ClusterEndpoint,
        reason: ConditionReason,
        message: str,
        *,
        warning: bool = False,
    ) -> None:
        """Record what happened to an endpoint.

        Args:
            endpoint: Whose.
            reason: One word.
            message: A sentence.
            warning: Whether someone should act.
        """
        now = asyncio.get_running_loop().time()
        if not self._may(endpoint.uid, now):
            _log.info(
                "event_rate_limited", endpoint=str(endpoint.endpoint), event_reason=reason.value
            )
            return
        key = _Key(endpoint.uid, reason, message)
        recorded = self._recorded.pop(key, None)
        if recorded is not None and now - recorded.at > SAME_SECONDS:
            recorded = None
        try:
            recorded = await self._write(endpoint, key, recorded, now, warning=warning)
        except OperatorError as error:
            # The condition says the same; an Event in a namespace that is going is refused.
            _log.warning("event_not_recorded", endpoint=str(endpoint.endpoint), reason=str(error))
            return
        self._recorded[key] = recorded
        while len(self._recorded) > REMEMBERED:
            self._recorded.popitem(last=False)

    def forget(self, endpoint: ClusterEndpoint) -> None:
        """Take it that an endpoint is gone."""
        self._allowances.pop(endpoint.uid, None)

    async def _write(
        self,
        endpoint: ClusterEndpoint,
        key: _Key,
        recorded: _Recorded | None,
        now: float,
        *,
        warning: bool,
    ) -> _Recorded:
        when = datetime.now(UTC)
        if recorded is not None:
            again = replace(recorded, count=recorded.count + 1)
            try:
                await self._cluster.record_again(endpoint, recorded.name, again.count, when)
            except ObjectChanged:
                pass  # it is gone: recorded anew
            else:
                return again
        name = await self._cluster.record(
            endpoint,
            kind="Warning" if warning else "Normal",
            reason=key.reason.value,
            message=key.message,
            now=when,
        )
        return _Recorded(name=name, count=1, at=now)

    def _may(self, uid: str, now: float) -> bool:
        known = self._allowances.get(uid, _Allowance(left=BURST, at=now))
        left = min(float(BURST), known.left + (now - known.at) / REFILL_SECONDS)
        may = left >= 1.0
        self._allowances[uid] = _Allowance(left=left - 1.0 if may else left, at=now)
        return may
