"""How many series there are with many endpoints, and what a scrape of each part costs.

    make bench-series                            1,000 endpoints with 2 destinations each: a minute
    make bench-series ARGS="--endpoints 100"
    make bench-series ARGS=--record              keep the result in docs/results/

Each endpoint gets a text and a status, over HTTP, which both of its destinations take. Then the
same once more; then half of the endpoints are deleted, and made again with the same traffic.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench.records import Goal, Section, goals_section, keep, show
from forebay_operator.metrics import OLDEST
from support.destinations.quick_sink import QuickSink
from support.docs.metrics_page import MOST_AT_RECEIVER, MOST_OF_DESTINATION, MOST_OF_ENDPOINT
from support.observability.series import (
    DESTINATIONS,
    MOST_OWN,
    PLAIN,
    ManyEndpoints,
    Shown,
    shown_at,
)
from support.programs.stack import Stack
from support.timing.wait import eventually

SCRAPES = 5

Found = dict[str, dict[str, Shown]]
"""What each part showed, by what was done before."""


async def measure(endpoints: int, folder: Path) -> Found:
    """Do all of it and return what both parts showed after each step."""
    async with Stack(folder) as stack, QuickSink(folder) as sink:
        many = ManyEndpoints(stack, sink)
        await many.start(endpoints)
        found: Found = {}

        async def note(step: str) -> None:
            found[step] = {
                part.kind: await shown_at(part.admin_port, SCRAPES)
                for part in (many.receiver, many.processor)
            }

        whole, half = range(endpoints), range(endpoints // 2)
        await note("started")
        await many.traffic(whole)
        await note("traffic")
        await many.traffic(whole)
        await note("the same again")
        await many.serve(half)
        of_half = found["traffic"]["processor"].of_endpoints // 2

        async def is_gone() -> bool:
            return (await shown_at(many.processor.admin_port)).of_endpoints <= of_half

        await eventually(is_gone, within=60, saying="series of deleted endpoints to go")
        await note("half deleted")
        await many.serve(whole)
        await many.traffic(whole)
        await note("made again")
        found["traffic"]["operator"] = await many.operator(endpoints, SCRAPES)
        return found


def formula(part: str, endpoints: int) -> int:
    """Return the series of endpoints and destinations that have texts and statuses only."""
    of_endpoint, of_destination = PLAIN[part]
    return endpoints * (of_endpoint + DESTINATIONS * of_destination)


def bound(part: str, endpoints: int) -> int:
    """Return the most series that there can be."""
    if part == "receiver":
        return MOST_OWN + endpoints * MOST_AT_RECEIVER
    return MOST_OWN + endpoints * (MOST_OF_ENDPOINT + DESTINATIONS * MOST_OF_DESTINATION)


def tables(found: Found, endpoints: int) -> list[Section]:
    """Return what was found as tables."""
    rows = [
        (
            f"{part}: {step}",
            f"{shown.series:,}",
            f"{shown.of_endpoints:,}",
            f"{shown.size / 1024:,.0f}",
            f"{1000 * shown.seconds:,.0f}",
        )
        for part in ("receiver", "processor", "operator")
        for step, parts in found.items()
        if part in parts
        for shown in [parts[part]]
    ]
    goals = []
    for part in ("receiver", "processor"):
        after, again = found["traffic"][part], found["made again"][part]
        goals += [
            Goal(
                what=f"{part}: series of endpoints, as the formula says",
                reached=f"{after.of_endpoints:,} of {formula(part, endpoints):,}",
                holds=after.of_endpoints == formula(part, endpoints),
            ),
            Goal(
                what=f"{part}: all below the bound",
                reached=f"{after.series:,} of {bound(part, endpoints):,}",
                holds=after.series <= bound(part, endpoints) and after.own <= MOST_OWN,
            ),
            Goal(
                what=f"{part}: as many after the same again, and after half was made again",
                reached=f"{found['the same again'][part].of_endpoints:,}, {again.of_endpoints:,}",
                holds=after.of_endpoints
                == found["the same again"][part].of_endpoints
                == again.of_endpoints,
            ),
        ]
    own = found["traffic"]["operator"]
    goals.append(
        Goal(
            what=f"operator: {2 * OLDEST} series name an endpoint at most",
            reached=f"{own.of_endpoints:,} of {own.series:,}",
            holds=own.of_endpoints <= 2 * OLDEST and own.series <= MOST_OWN,
        )
    )
    columns = ("after", "series", "of endpoints", "KiB", "scrape ms")
    title = f"{endpoints:,} endpoints with {DESTINATIONS} destinations each"
    return [Section(title=title, columns=columns, rows=rows), goals_section(goals)]


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--record", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(given.endpoints, Path(folder)))
    sections = tables(found, given.endpoints)
    show(sections)
    if given.record:
        kept = {
            step: {part: asdict(each) for part, each in parts.items()}
            for step, parts in found.items()
        }
        print(keep("bench-series", "How many series there are", sections, kept))
    sys.exit(0 if all(row[-1] == "yes" for row in sections[-1].rows) else 1)


if __name__ == "__main__":
    main()
