"""What `forebay filter try` prints: a line for each item, or JSON for programs."""

import sys
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from forebay.core.masking import printable

if TYPE_CHECKING:
    from forebay.local.expression_trial import Tried

__all__ = ["FilterPrinter"]

SHORT_ID = 12


class FilterPrinter:
    """Prints items as they come."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts = Counter[str]()

    def item(self, file: str, tried: "Tried") -> None:
        """Show one; what a transform makes of it is shown as it is: it is the user's own file."""
        self._counts[tried.verdict] += 1
        if self._as_json:
            facts = {"file": file, **msgspec.structs.asdict(tried)}
            _write(msgspec.json.encode(facts).decode())
            return
        name = f"{tried.kind}/{tried.itemtype}"
        _write(f"{tried.verdict:<10} {name:<28} {tried.id[:SHORT_ID]}  {tried.why}".rstrip())
        if tried.result is not None:
            _write(f"{'':<10} {bytes(tried.result).decode()}")

    def end(self) -> None:
        """Say how many there were of each."""
        if self._as_json:
            return
        counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self._counts.items()))
        _write(counts or "no item")


def _write(line: str) -> None:
    sys.stdout.write(printable(line) + "\n")
