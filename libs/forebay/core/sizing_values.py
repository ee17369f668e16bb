"""The values file for the chart that follows from a `InstallationSize`.

YAML by hand: it is short, has comments, and the command needs no library for it. What it holds is
taken by the chart (`tests/chart/test_chart_sizes.py`).
"""

import math
from collections.abc import Iterator
from typing import Final

from forebay.core.expected_load import Isolation
from forebay.core.sizing import DEAD_HOURS, EVENTS_MORE_HOURS, InstallationSize, PodSize
from forebay.core.webhook_rate import STATUSES_PER_MESSAGE

__all__ = ["values_file"]

INDENT: Final = "  "


def values_file(sized: InstallationSize, *, host: str | None = None) -> str:
    """Return the file, for one of the installations.

    Args:
        sized: The installation.
        host: The public host; where it is None, Helm has to get it by `--set host=...`.
    """
    load = sized.load
    number = f", in {sized.installations} installations" if sized.installations > 1 else ""
    lines = [
        (
            f"# {sized.webhooks:,} webhooks/s, of {STATUSES_PER_MESSAGE} x {load.outgoing:,} "
            f"outgoing + {load.incoming:,} incoming{number}; channels: {load.channels:,}."
        ),
        (
            f"# Kept for {load.retention_hours} h, of which each day has {load.busy_minutes} "
            "minutes at that rate. Made by `forebay size`: docs/sizing.md."
        ),
        f"host: {host}" if host else "# host: give it by --set host=hooks.example.com",
        f"isolation: {load.isolation}",
        *_shards(sized),
        *_receivers(sized),
        *_processors(sized),
        *_nats(sized),
    ]
    return "\n".join(lines) + "\n"


def _shards(sized: InstallationSize) -> Iterator[str]:
    kept = sized.load.retention_hours
    shard = sized.shard
    known = kept + EVENTS_MORE_HOURS
    yield "shards:"
    for number in range(sized.shards):
        yield f'  - name: "{number}"'
        yield f"    raw: {{ maxAge: {kept}h, maxMiB: {shard.raw} }}"
        yield f"    events: {{ maxAge: {known}h, maxMiB: {shard.events} }}"
        yield f"    retry: {{ maxMiB: {shard.retry} }}"
        yield f"    dead: {{ maxAge: {DEAD_HOURS}h, maxMiB: {shard.dead} }}"
        yield f"    index: {{ maxAge: {known}h, maxMiB: {shard.index} }}"


def _receivers(sized: InstallationSize) -> Iterator[str]:
    part = sized.receivers
    yield "receivers:"
    yield "  shared:"
    if sized.load.isolation is Isolation.SHARED:
        yield "    autoscaling:"
        yield f"      min: {part.pods}"
        yield f"      max: {part.most_pods}"
    else:
        yield "    enabled: false"
        # Each asks for what its share of its endpoint's `throughput` costs.
        yield f"  dedicated: {{ webhookMicroseconds: {math.ceil(sized.webhook_cpu)} }}"
    yield "  autoscaling:"
    yield f"    webhooksPerSecond: {part.rate}"
    yield from _resources(part)


def _processors(sized: InstallationSize) -> Iterator[str]:
    part = sized.processors
    yield "processors:"
    yield f"  replicas: {part.pods}"
    yield "  autoscaling:"
    yield "    enabled: true"
    yield f"    min: {part.pods}"
    yield f"    max: {part.most_pods}"
    yield from _resources(part)


def _nats(sized: InstallationSize) -> Iterator[str]:
    nats = sized.nats
    yield "nats:"
    yield f"  replicas: {nats.servers}"
    yield f"  storeMiB: {nats.store}"
    yield f"  volume: {{ size: {nats.volume}Gi }}"
    yield "  resources:"
    yield f"    requests: {{ cpu: {nats.cpu}m, memory: {nats.memory}Mi }}"
    yield f"    limits: {{ memory: {nats.memory_limit}Mi }}"


def _resources(part: PodSize) -> Iterator[str]:
    yield f"{INDENT}resources:"
    yield f"    requests: {{ cpu: {part.cpu}m, memory: {part.memory}Mi }}"
    yield f"    limits: {{ memory: {part.memory_limit}Mi }}"
