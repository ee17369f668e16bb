"""What a person at a terminal sees of a run: a banner with all that is needed, and a live table."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from forebay.local.curl_lines import Sample
from forebay.local.metrics_reader import EndpointCounts, LastItem
from forebay.local.reporters import Facts, about

__all__ = ["LiveReporter"]

COUNTS_SECONDS: Final = 1.0
LATEST_SHOWN: Final = 5

NAME_COLUMNS: Final = 8
"""What an endpoint's name has at least; on a narrow terminal it folds."""

_COLUMNS: Final = (
    "per s",
    "received",
    "repeats",
    "refused",
    "503",
    "delivered",
    "waiting",
    "dead",
)


class LiveReporter:
    """A terminal."""

    def __init__(self, console: Console | None = None) -> None:
        """Show on a console, by default this process's terminal."""
        self._console = console or Console(highlight=False)
        self._live: Live | None = None
        self._rows: Mapping[str, EndpointCounts] = {}
        self._endpoints: tuple[str, ...] = ()
        self._latest: deque[LastItem] = deque(maxlen=LATEST_SHOWN)

    @property
    def counts_seconds(self) -> float | None:
        """As often as an eye wants it."""
        return COUNTS_SECONDS

    def ready(self, facts: Facts) -> None:
        """Print the banner and start the table."""
        title = Text.assemble(
            ("▌ ", "cyan"),
            ("Forebay ", "bold"),
            (facts.version, "bold"),
            (f"   ready in {facts.seconds:.1f} s   ", "green"),
            ("Ctrl-C stops it", "dim"),
        )
        self._console.print()
        self._console.print(title)
        self._print_samples(facts.samples)
        self._console.print()
        for word, place in about(facts):
            self._line(Text.assemble(("  ", ""), (word, "dim"), ("  ", ""), place))
        self._console.print()
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()
        self._refresh()

    def changed(self, facts: Facts) -> None:
        """Print the endpoints that are in force now, above the table."""
        self._console.print(Text("  the manifests changed; in force now:", "green"))
        self._print_samples(facts.samples)
        self._console.print()
        self._refresh()

    def info(self, text: str) -> None:
        """Print a line above the table."""
        for line in text.splitlines():
            self._line(Text(f"  {line}", "dim"))

    def warn(self, text: str) -> None:
        """Print a line that stands out, above the table."""
        for line in text.splitlines():
            self._line(Text.assemble(("  ! ", "bold yellow"), (line, "yellow")))

    def counts(self, rows: Mapping[str, EndpointCounts], latest: Sequence[LastItem]) -> None:
        """Show the newest counts."""
        self._rows = rows
        self._latest.extend(latest)
        self._refresh()

    def close(self) -> None:
        """Leave the last table on the screen."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print_samples(self, samples: Sequence[Sample]) -> None:
        self._endpoints = tuple(sample.endpoint for sample in samples)
        for sample in samples:
            self._console.print()
            self._line(
                Text.assemble(
                    ("  ", ""),
                    (sample.endpoint, "bold cyan"),
                    (f"  {sample.provider} → {', '.join(sample.destinations)}", "dim"),
                ),
            )
            self._line(Text(f"  {sample.url}", "underline"))
            # From the first column and unbroken: whatever is marked with the mouse works.
            self._line(Text(sample.curl, "green"))

    def _line(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        # No edge and narrow gaps: at 80 columns names fold, and no heading or figure is cut.
        table = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            padding=(0, 1, 0, 0),
            header_style="dim",
        )
        table.add_column("endpoint", style="cyan", overflow="fold", min_width=NAME_COLUMNS)
        for name in _COLUMNS:
            table.add_column(name, justify="right", no_wrap=True)
        for endpoint in sorted({*self._endpoints, *self._rows}):
            table.add_row(endpoint, *_cells(self._rows.get(endpoint, EndpointCounts())))
        shown: list[RenderableType] = [table]
        if self._latest:
            shown.append(Padding(self._latest_table(), (1, 0, 0, 0)))
        return Padding(Group(*shown), (1, 0, 0, 2))

    def _latest_table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for item in reversed(self._latest):
            latency = f"{item.latency_ms:.1f} ms" if item.latency_ms is not None else ""
            table.add_row(
                Text(item.at, "dim"),
                Text(item.endpoint, "cyan"),
                Text(f"{item.kind} {item.type}"),
                Text(item.key[:12], "dim"),
                Text(latency, "dim"),
            )
        return table


def _cells(row: EndpointCounts) -> list[Text]:
    return [
        Text(f"{row.rate:,.0f}", "bold" if row.rate >= 1 else "dim"),
        _count(row.received, "bold"),
        _count(row.repeats, ""),
        _count(row.refused, "yellow"),
        _count(row.unavailable, "yellow"),
        _count(row.delivered, "bold green"),
        _count(row.waiting, "yellow"),
        _count(row.dead, "bold red"),
    ]


def _count(number: int, style: str) -> Text:
    return Text(f"{number:,}", style if number else "dim")
