"""Runs a part on a machine whose clock is wrong: `python wrong_clock.py FILE PART`.

The file holds by how many seconds the time of day is ahead, and may change while the part runs: the
clock jumps. Clocks that only measure go on as they do.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["main"]


def _wrong(real: Callable[[], float], file: Path) -> Callable[[], float]:
    return lambda: real() + float(file.read_text())


def main() -> None:
    """Put the clock wrong, and be the `forebay` command."""
    file = Path(sys.argv.pop(1))
    time.time = _wrong(time.time, file)
    # Late: whatever takes a clock when it is imported gets the wrong one.
    from forebay.cli.main import main as forebay  # noqa: PLC0415

    forebay()


if __name__ == "__main__":
    main()
