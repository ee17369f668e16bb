"""Hours and days before a run: what its parts showed in seconds, laid out over a longer time.

Rules look back for 30 days, and compare with yesterday and a week ago. A run has seconds. What the
parts showed in these is given to Prometheus once more with earlier times: real series, in which the
traffic of a second took minutes; between two moments values rise evenly.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.observability.prometheus import Prometheus, Target

__all__ = ["Snapshots", "lay_out"]

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR

RECENT: Final = 3 * _HOUR
"""Seconds of everything right before the run."""

LATEST: Final = 20
"""Seconds before now where the history ends: what Prometheus scraped itself is younger."""

DAYS: Final = (1, 7)
"""So many days ago there is an hour of requests too: what is usual."""

RULE_STEP: Final = 5 * _MINUTE

Snapshots = Sequence[Mapping[Target, str]]
"""What each part showed, at several moments one after the other."""


async def lay_out(
    prometheus: Prometheus, snapshots: Snapshots, groups: Iterable[Mapping[str, Any]]
) -> None:
    """Give a Prometheus that stands the history, with the records of it; it runs afterwards.

    Args:
        prometheus: Not running; its scrapes and rules are set.
        snapshots: What parts showed.
        groups: Rules; records of counts are reckoned for the history.
    """
    now = time.time() - LATEST
    folder = prometheus.folder
    raw = folder / "history.txt"
    times = [*_steps(now - RECENT, now, _MINUTE)]
    with raw.open("w") as file:
        file.writelines(_open_metrics(snapshots, times))
    await prometheus.take_blocks("openmetrics", str(raw), str(prometheus.data))
    for days in DAYS:
        end = now - days * _DAY + _MINUTE
        times = [*_steps(end - 3 * _HOUR, end, RULE_STEP)]
        with raw.open("w") as file:
            file.writelines(_open_metrics(snapshots, times, only="forebay_receiver_requests"))
        await prometheus.take_blocks("openmetrics", str(raw), str(prometheus.data))
    raw.unlink()

    # Each record by itself: those that are made of others are reckoned when these are there.
    counted = [
        rule
        for group in groups
        for rule in group["rules"]
        if "increase" in rule.get("record", "") and "usual" not in rule["record"]
    ]
    made_of_records = [rule for rule in counted if "forebay:" in rule["expr"]]
    bare = [rule for rule in counted if rule not in made_of_records]
    usual = [rule for rule in bare if rule["record"] == "forebay:endpoint_webhooks:increase1h"]
    for rules, spans in (
        (bare, [(now - RECENT + RULE_STEP, now)]),
        (usual, [(now - d * _DAY - 1.5 * _HOUR, now - d * _DAY + _MINUTE) for d in DAYS]),
        (made_of_records, [(now - RECENT + RULE_STEP, now)]),
    ):
        made = folder / "history.yaml"
        made.write_text(yaml.safe_dump({"groups": [{"name": "history", "rules": rules}]}))
        async with prometheus:
            for since, to in spans:
                # Subqueries look at full multiples of five minutes: so do these.
                since = since // RULE_STEP * RULE_STEP  # noqa: PLW2901
                await prometheus.take_blocks(
                    *("rules", f"--start={since:.0f}", f"--end={to:.0f}"),
                    *(f"--eval-interval={RULE_STEP}s", f"--url={prometheus.url}"),
                    *(f"--output-dir={prometheus.data}", str(made)),
                )


def _steps(since: float, to: float, step: int) -> Iterator[float]:
    at = since // step * step
    while at < to:
        yield at
        at += step


def _open_metrics(snapshots: Snapshots, times: Sequence[float], only: str = "") -> Iterator[str]:
    """Yield the samples of snapshots at other times, in OpenMetrics, a metric after the other."""
    read = [
        {
            (family.name, family.type, sample.name, tuple(sorted(labels.items()))): sample.value
            for target, text in snapshot.items()
            for family in text_string_to_metric_families(text)
            if family.name.startswith(only)
            for sample in family.samples
            for labels in [{**target.labels, **sample.labels}]
        }
        for snapshot in snapshots
    ]
    keys = sorted({key for each in read for key in each})
    shown = ""
    for family, kind, name, labels in keys:
        key = (family, kind, name, labels)
        if family != shown:
            shown = family
            yield f"# TYPE {family} {kind}\n"
        text = ",".join(f'{label}="{value}"' for label, value in labels)
        for place, at in enumerate(times):
            whole, part = divmod(place * (len(read) - 1) / len(times), 1)
            before, after = read[int(whole)].get(key), read[int(whole) + 1].get(key)
            if before is not None:
                value = before if after is None else before + part * (after - before)
                yield f"{name}{{{text}}} {value} {at:.0f}\n"
    yield "# EOF\n"
