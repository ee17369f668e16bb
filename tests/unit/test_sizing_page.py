"""docs/sizing.md shows what `forebay size` says."""

import shlex
from pathlib import Path

import pytest

from forebay.core.expected_load import ExpectedLoad
from forebay.core.sizing import InstallationSize, size

PAGE = (Path(__file__).parents[2] / "docs" / "sizing.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `--outgoing")]


def sized(command: str) -> InstallationSize:
    words = shlex.split(command)
    given = dict(zip(words[::2], words[1::2], strict=True))
    load = ExpectedLoad(
        outgoing=int(given.pop("--outgoing")),
        incoming=int(given.pop("--incoming")),
        channels=int(given.pop("--channels", "1")),
        busy_minutes=int(given.pop("--busy", "60m").removesuffix("m")),
    )
    assert not given
    return size(load)


def test_the_page_has_its_rows() -> None:
    assert len(ROWS) == 6


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_what_the_command_says(row: str) -> None:
    command, *cells = (cell.strip() for cell in row.strip("| ").split("|"))
    found = sized(command.strip("`"))
    first, rate = found.gives_way
    assert cells == [
        f"{found.load.webhooks:,}",
        str(found.installations),
        str(found.receivers.pods),
        str(found.processors.pods),
        str(found.shards),
        f"{found.nats.cpu / 1000:.1f}",
        f"{found.nats.memory / 1024:.1f}",
        f"{found.nats.volume:,}",
        f"{first}, {rate:,}",
    ]
