"""The table of `forebay run` on a terminal of 80 columns."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from forebay.local.curl_lines import Sample
from forebay.local.live_reporter import LiveReporter
from forebay.local.metrics_reader import EndpointCounts
from forebay.local.reporters import Facts
from forebay.local.troubles import DestinationStates


def facts(*endpoints: str) -> Facts:
    return Facts(
        version="0.1.0",
        seconds=1.0,
        samples=tuple(
            Sample(endpoint=each, provider="meta", url="", curl="", destinations=("crm (http)",))
            for each in endpoints
        ),
        receiver_admin="",
        processor_admin="",
        nats="",
        embedded=True,
        data_dir=Path(),
        logs={},
        pids={},
    )


def table(row: EndpointCounts) -> list[str]:
    """Return the lines of the table, the headings first."""
    shown = io.StringIO()
    reporter = LiveReporter(Console(file=shown, width=80, color_system=None))
    reporter.ready(facts("acme/shop"))
    shown.truncate(0)
    reporter.counts({"acme/shop": row}, DestinationStates(), [])
    reporter.close()
    lines = shown.getvalue().splitlines()
    return lines[next(at for at, line in enumerate(lines) if "endpoint" in line) :]


def test_eighty_columns_hold_every_heading_and_the_endpoints_name() -> None:
    headings, _, first, *_ = table(EndpointCounts())
    assert headings.split() == (
        [
            "endpoint",
            "per",
            "s",
            "received",
            "repeats",
            "refused",
            "503",
            "delivered",
            "waiting",
            "dead",
        ]
    )
    assert first.split() == ["acme/shop", *"00000000"]


@pytest.mark.parametrize("count", [1_234, 99_999])
def test_eighty_columns_hold_figures_of_a_campaign(count: int) -> None:
    row = EndpointCounts(stored=9 * count, waiting=count, delivered=8 * count, rate=1_000)
    _, _, first, *_ = table(row)
    assert first.split()[-8:] == [
        *("1,000", f"{9 * count:,}", "0", "0", "0"),
        *(f"{8 * count:,}", f"{count:,}", "0"),
    ]
