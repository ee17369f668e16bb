"""What a person at a terminal sees of a run: how to try it, and a picture that moves."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from forebay.local.curl_lines import Sample
from forebay.local.metrics_reader import EndpointCounts, LastItem
from forebay.local.reporters import Facts, about
from forebay.local.screen import View, picture
from forebay.local.troubles import DestinationStates, troubles_of

__all__ = ["LiveReporter"]

COUNTS_SECONDS: Final = 1.0
LATEST_SHOWN: Final = 5


class LiveReporter:
    """A terminal.

    What has to be copied is printed, and goes up as other lines come; the picture, with the title
    at its head, stays at the bottom and is never higher than the terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        """Show on a console, by default this process's terminal."""
        self._console = console or Console(highlight=False)
        self._live: Live | None = None
        self._title = Text()
        self._rows: Mapping[str, EndpointCounts] = {}
        self._states = DestinationStates()
        self._endpoints: tuple[str, ...] = ()
        self._latest: deque[LastItem] = deque(maxlen=LATEST_SHOWN)

    @property
    def counts_seconds(self) -> float | None:
        """As often as an eye wants it."""
        return COUNTS_SECONDS

    def ready(self, facts: Facts) -> None:
        """Print how to try it and start the picture."""
        self._title = Text.assemble(
            ("▌ ", "cyan"),
            ("Forebay ", "bold"),
            (facts.version, "bold"),
            (f"   ready in {facts.seconds:.1f} s   ", "green"),
            ("Ctrl-C stops it", "dim"),
        )
        self._print_samples(facts.samples)
        self._console.print()
        for word, place in about(facts):
            self._line(Text.assemble(("  ", ""), (word, "dim"), ("  ", ""), place))
        self._console.print()
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()
        self._refresh()

    def changed(self, facts: Facts) -> None:
        """Print the endpoints that are in force now, above the picture."""
        self._console.print(Text("  the manifests changed; in force now:", "green"))
        self._print_samples(facts.samples)
        self._console.print()
        self._refresh()

    def info(self, text: str) -> None:
        """Print a line above the picture."""
        for line in text.splitlines():
            self._line(Text(f"  {line}", "dim"))

    def warn(self, text: str) -> None:
        """Print a line that stands out, above the picture."""
        for line in text.splitlines():
            self._line(Text.assemble(("  ! ", "bold yellow"), (line, "yellow")))

    def counts(
        self,
        rows: Mapping[str, EndpointCounts],
        states: DestinationStates,
        latest: Sequence[LastItem],
    ) -> None:
        """Show the newest counts and troubles."""
        self._rows = rows
        self._states = states
        self._latest.extend(latest)
        self._refresh()

    def close(self) -> None:
        """Leave the last picture on the screen."""
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
        if self._live is None:
            return
        view = View(
            title=self._title,
            endpoints=self._endpoints,
            rows=self._rows,
            troubles=troubles_of(self._states, self._rows),
            latest=tuple(self._latest),
        )
        width, height = self._console.size
        self._live.update(picture(view, width, height), refresh=True)
