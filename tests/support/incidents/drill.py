"""Lets things go wrong one after the other, and writes down what fires, and who would know why."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from support.cluster.monitoring import Monitoring
from support.incidents.incident import Expected, Incident
from support.incidents.panels import alarming
from support.incidents.runbook import Answer, follow
from support.timing.wait import eventually

__all__ = ["Drill", "Report"]

POLL_SECONDS: Final = 5.0

NOTIFIED_SECONDS: Final = 60.0
"""Alertmanager has an alert a moment after Prometheus."""

Alert = tuple[tuple[str, str], ...]
"""The labels of an alert, sorted."""


@dataclass(kw_only=True)
class Report:
    """What came of one incident."""

    title: str
    expected: list[str]
    fired: dict[str, float] = field(default_factory=dict)
    """Seconds from the begin, by what was expected."""

    beside: list[str] = field(default_factory=list)
    """What fired too, as the runbooks say."""

    others: list[str] = field(default_factory=list)
    """What fired and should not have."""

    notified: bool = False
    answers: list[Answer] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    """What of the cause the answers do not tell."""

    panels: list[str] = field(default_factory=list)
    ended: dict[str, float] = field(default_factory=dict)
    """Seconds from the mending, by what was expected."""

    mended_at: float = 0.0

    @property
    def seconds_to_cause(self) -> float:
        """How long the runbook's commands took."""
        return sum(each.seconds for each in self.answers)


class Drill:
    """Watches alerts from its begin to its end."""

    def __init__(self, monitoring: Monitoring) -> None:
        self._monitoring = monitoring
        self._seen: list[tuple[float, frozenset[Alert]]] = []
        self._known: list[Expected] = []
        """What was expected so far: it may go on while later things go wrong."""

        self._begun: dict[Incident, float] = {}
        """Those that go on already, with the time of their begin."""

        self._reports: list[tuple[Report, Incident]] = []

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Look at the alerts every few seconds for as long as the block takes."""
        task = asyncio.create_task(self._watch(), name="alerts")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def silence(self, seconds: float) -> list[str]:
        """Return what fires within so many seconds in which nothing goes wrong."""
        began = time.monotonic()
        await asyncio.sleep(seconds)
        return [_text(alert) for alert in self._fired(since=began) if not self._is_known(alert)]

    async def begin(self, incident: Incident) -> None:
        """Let one begin before others of which it is no part: it takes long to be noticed."""
        _say(f"begins: {incident.title}")
        self._begun[incident] = time.monotonic()
        self._known += [*incident.expected, *incident.beside]
        await incident.begin()

    async def go_wrong(self, *incidents: Incident) -> list[Report]:
        """Let these happen at the same time, and put them right as soon as all have fired."""
        expected = [each for incident in incidents for each in incident.expected]
        began = time.monotonic()
        reports = []
        for incident in incidents:
            if incident not in self._begun:
                await self.begin(incident)
            report = Report(
                title=incident.title, expected=[each.text() for each in incident.expected]
            )
            reports.append(report)
        within = max(incident.fires_within for incident in incidents)
        await self._wait(expected, until=began + within)
        for report, incident in zip(reports, incidents, strict=True):
            await self._look(report, incident, self._begun[incident])
            self._reports.append((report, incident))
        others = [_text(alert) for alert in self._fired(since=began) if not self._is_known(alert)]
        for report, incident in zip(reports, incidents, strict=True):
            report.others = others
            report.beside = [
                _text(alert)
                for alert in self._fired(since=began)
                if any(each.matches(dict(alert)) for each in incident.beside)
            ]
            await incident.mend()
            report.mended_at = time.monotonic()
            _say(f"mended: {incident.title}: fired {report.fired}, others {others}")
        return reports

    async def settle(self, seconds: float) -> None:
        """Wait until all that was expected is over, for so long at most, and note when it was."""
        with contextlib.suppress(AssertionError):  # what did not end is in no report
            await eventually(self._note_ends, within=seconds)

    def _note_ends(self) -> bool:
        for report, incident in self._reports:
            for each in incident.expected:
                times = [
                    at for at, alerts in self._seen if any(each.matches(dict(x)) for x in alerts)
                ]
                last = self._seen[-1][0]
                if times and times[-1] < last:
                    report.ended[each.text()] = max(0.0, times[-1] - report.mended_at)
        return all(len(report.ended) == len(report.fired) for report, _ in self._reports)

    async def _look(self, report: Report, incident: Incident, began: float) -> None:
        """Note what is seen of an incident once its alerts fire."""
        for each in incident.expected:
            first = next(
                (
                    at
                    for at, alerts in self._seen
                    if at >= began and any(each.matches(dict(alert)) for alert in alerts)
                ),
                None,
            )
            if first is not None:
                report.fired[each.text()] = first - began
        report.panels = await alarming(self._monitoring, incident.place)
        for name in dict.fromkeys(each.name for each in incident.expected):
            report.answers += await follow(
                name, incident.place, self._monitoring.namespace, self._monitoring
            )
        report.unseen = [
            each
            for each in incident.cause
            if not any(re.search(each, answer.text()) for answer in report.answers)
        ]
        report.notified = await self._is_notified(incident.expected)

    async def _is_notified(self, expected: Sequence[Expected]) -> bool:
        """Say whether Alertmanager has them, each with the address of its runbook."""
        deadline = time.monotonic() + NOTIFIED_SECONDS
        while True:
            found = await self._monitoring.notified()
            if all(
                any(
                    each.matches(alert["labels"])
                    and alert["annotations"]["runbook_url"].endswith(f"/{each.name}.md")
                    for alert in found
                )
                for each in expected
            ):
                return True
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)

    async def _wait(self, expected: Sequence[Expected], *, until: float) -> None:
        """Wait until all of them fire, or the time is over."""
        while time.monotonic() < until:
            if self._seen:
                _, alerts = self._seen[-1]
                if all(any(each.matches(dict(x)) for x in alerts) for each in expected):
                    return
            await asyncio.sleep(POLL_SECONDS)

    async def _watch(self) -> None:
        while True:
            try:
                firing = await self._monitoring.firing()
            except (aiohttp.ClientError, TimeoutError):
                firing = None
            if firing is not None:
                alerts = frozenset(tuple(sorted(each.items())) for each in firing)
                if not self._seen or alerts != self._seen[-1][1]:
                    _say(f"firing: {sorted(_text(each) for each in alerts)}")
                self._seen.append((time.monotonic(), alerts))
            await asyncio.sleep(POLL_SECONDS)

    def _fired(self, *, since: float) -> list[Alert]:
        """Return what fired since then."""
        found: dict[Alert, None] = {}
        for at, alerts in self._seen:
            if at >= since:
                found |= dict.fromkeys(sorted(alerts))
        return list(found)

    def _is_known(self, alert: Alert) -> bool:
        return any(each.matches(dict(alert)) for each in self._known)


def _text(alert: Alert) -> str:
    labels: Mapping[str, str] = dict(alert)
    rest = ", ".join(f"{key}={value}" for key, value in alert if key != "alertname")
    return f"{labels['alertname']} ({rest})"


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)  # noqa: T201  # progress of a long drill
