"""What `forebay run` shows: to a person at a terminal, to a log, or to a program.

LiveReporter    a terminal: a banner, then a table that moves (in `live_reporter`)
PlainReporter   no terminal: the same facts as lines, then a line per endpoint when it changed
QuietReporter   the ready line with the URLs, and what went wrong
JsonReporter    one JSON object on stdout when all is ready; what went wrong on stderr
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TextIO

from forebay.local.curl_lines import Sample
from forebay.local.metrics_reader import EndpointCounts, LastItem
from forebay.local.troubles import DestinationStates, TroubleLine, troubles_of

__all__ = ["Facts", "JsonReporter", "PlainReporter", "QuietReporter", "Reporter", "about"]

LINE_SECONDS: Final = 5.0
"""Between two lines about one endpoint where there is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a person needs to know of a run."""

    version: str
    seconds: float
    """From the start to ready."""

    samples: tuple[Sample, ...]
    receiver_admin: str
    """The URL of the receiver's admin pages."""

    processor_admin: str
    nats: str
    """NATS' URL, without credentials."""

    embedded: bool
    """Whether the run has a nats-server of its own."""

    data_dir: Path
    logs: Mapping[str, Path]
    """Each part's log."""

    pids: Mapping[str, int]
    """Each part's process, and the run's own."""


class Reporter(Protocol):
    """Where a run reports what happens."""

    @property
    def counts_seconds(self) -> float | None:
        """Seconds between two calls of `counts`; None where they are not shown."""

    def ready(self, facts: Facts) -> None:
        """All is up."""

    def changed(self, facts: Facts) -> None:
        """Other manifests are in force."""

    def info(self, text: str) -> None:
        """Something happens that is no fault."""

    def warn(self, text: str) -> None:
        """Something went wrong, and the run goes on."""

    def counts(
        self,
        rows: Mapping[str, EndpointCounts],
        states: DestinationStates,
        latest: Sequence[LastItem],
    ) -> None:
        """What came and went by endpoint, destinations with troubles, items since the last call."""

    def close(self) -> None:
        """Nothing moves any more; lines may still come."""


def _say(stream: TextIO, text: str) -> None:
    stream.write(f"{text}\n")
    stream.flush()


class _Lines:
    """What all reporters by lines have in common."""

    def warn(self, text: str) -> None:
        """Print it on stderr."""
        for line in text.splitlines():
            _say(sys.stderr, f"forebay: {line}")

    def close(self) -> None:
        """Have nothing to end."""


class _OnlyReady(_Lines):
    """Of a run that goes well nothing is said after it is ready."""

    counts_seconds: Final = None

    def changed(self, facts: Facts) -> None:
        """Say nothing."""

    def info(self, text: str) -> None:
        """Say nothing."""

    def counts(
        self,
        rows: Mapping[str, EndpointCounts],
        states: DestinationStates,
        latest: Sequence[LastItem],
    ) -> None:
        """Say nothing."""


class QuietReporter(_OnlyReady):
    """The ready line with the URLs, and what went wrong."""

    def ready(self, facts: Facts) -> None:
        """Print one line for each endpoint, and that all is ready."""
        for sample in facts.samples:
            _say(sys.stdout, f"{sample.endpoint}  {sample.url}")
        _say(sys.stdout, f"ready in {facts.seconds:.1f} s")


class JsonReporter(_OnlyReady):
    """For a program that starts Forebay: one line says all."""

    def ready(self, facts: Facts) -> None:
        """Print the one object."""
        document = {
            "ready": True,
            "version": facts.version,
            "seconds": round(facts.seconds, 3),
            "endpoints": [
                {
                    "endpoint": sample.endpoint,
                    "provider": sample.provider,
                    "url": sample.url,
                    "curl": sample.curl,
                }
                for sample in facts.samples
            ],
            "admin": {"receiver": facts.receiver_admin, "processor": facts.processor_admin},
            "nats": facts.nats,
            "data_dir": str(facts.data_dir),
            "logs": {part: str(path) for part, path in facts.logs.items()},
            "pids": dict(facts.pids),
        }
        _say(sys.stdout, json.dumps(document))


class PlainReporter(_Lines):
    """The facts as lines, for a log or a pipe."""

    counts_seconds: Final = LINE_SECONDS

    def __init__(self) -> None:
        """Start with nothing shown."""
        self._shown: dict[str, tuple[int, ...]] = {}
        self._troubled: set[tuple[str, str]] = set()

    def ready(self, facts: Facts) -> None:
        """Print all facts."""
        _say(sys.stdout, f"Forebay {facts.version} is ready in {facts.seconds:.1f} s")
        for sample in facts.samples:
            self._print_sample(sample)
        for line in about(facts):
            _say(sys.stdout, "  ".join(line))

    def changed(self, facts: Facts) -> None:
        """Print the endpoints that are in force now."""
        _say(sys.stdout, "the manifests changed; these endpoints are in force:")
        for sample in facts.samples:
            self._print_sample(sample)

    def info(self, text: str) -> None:
        """Print it."""
        _say(sys.stdout, text)

    def counts(
        self,
        rows: Mapping[str, EndpointCounts],
        states: DestinationStates,
        latest: Sequence[LastItem],
    ) -> None:
        """Print a line for each endpoint where anything changed, and for each new trouble."""
        del latest
        for trouble in self._new_troubles(states, rows):
            _say(sys.stdout, f"{trouble.who}: {trouble.what}")
        for endpoint, row in sorted(rows.items()):
            now = (row.received, row.delivered, row.waiting, row.dead)
            if self._shown.get(endpoint, (0, 0, 0, 0)) != now:
                self._shown[endpoint] = now
                _say(
                    sys.stdout,
                    f"{endpoint}: {row.received} received ({row.rate:.0f}/s), {row.repeats} "
                    f"repeats, {row.refused} refused, {row.unavailable} sent away with 503, "
                    f"{row.delivered} delivered, {row.waiting} waiting, {row.dead} dead",
                )

    def _new_troubles(
        self, states: DestinationStates, rows: Mapping[str, EndpointCounts]
    ) -> list[TroubleLine]:
        """Return what is wrong or paused, and was not at the last check.

        An endpoint has a line when its first webhook was not taken, and one for its first body
        that could not be split: the counts behind them only grow.
        """
        troubles = troubles_of(states, rows)
        known, self._troubled = self._troubled, {(each.level, each.who) for each in troubles}
        return [each for each in troubles if (each.level, each.who) not in known]

    def _print_sample(self, sample: Sample) -> None:
        _say(sys.stdout, f"{sample.endpoint}  {sample.url}  to {', '.join(sample.destinations)}")
        _say(sys.stdout, sample.curl)


def about(facts: Facts) -> list[tuple[str, str]]:
    """Return what stands under the endpoints: a word, and where it is."""
    kept = "kept: the next start goes on with it" if facts.embedded else "not of this run"
    store = f"{facts.nats} ({kept})"
    return [
        ("metrics", f"{facts.receiver_admin}/metrics  receiver"),
        ("       ", f"{facts.processor_admin}/metrics  processor"),
        ("logs   ", "  ".join(_short(path) for path in facts.logs.values())),
        ("NATS   ", store),
    ]


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
