"""Each line of the threat model names a test that is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PAGE = (ROOT / "docs/security.md").read_text()

NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))

ROWS = [
    line
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| they", "| it", "| ---"))
]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_that_holds_a_line_exists(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_line_is_held_by_a_test() -> None:
    assert len(ROWS) > 30
    assert [row for row in ROWS if not re.search(r"\| `tests/[\w/]+\.py::\w+` \|$", row)] == []


def test_who_reports_a_hole_finds_the_page() -> None:
    assert "docs/security.md" in (ROOT / "SECURITY.md").read_text()
