"""docs/development/glossary.md: few words, each of them in use, each said in a sentence or two."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/development/glossary.md"

MOST: Final = 30
"""Terms: what a reader can learn before reading on."""

PLACES: Final = ("libs", "services", "operator", "charts", "docs")
SUFFIXES: Final = {".py", ".md", ".yaml"}

TERMS: Final = {
    term: meaning
    for term, meaning in re.findall(r"^\| ([^|]+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    if term not in {"term", "---"}
}


def in_use() -> str:
    """Return all code and documentation but the glossary itself."""
    return "\n".join(
        path.read_text()
        for place in PLACES
        for path in sorted((ROOT / place).rglob("*"))
        if path.suffix in SUFFIXES and path.is_file() and path != PAGE
    )


def test_there_are_few_terms() -> None:
    assert 0 < len(TERMS) <= MOST


def test_every_term_is_in_use() -> None:
    text = in_use()
    unused = [
        term
        for term in TERMS
        if not re.search(rf"\b{re.escape(term)}(?:e?s)?\b", text, re.IGNORECASE)
    ]
    assert unused == []


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_explained_in_a_sentence_or_two(term: str) -> None:
    assert 1 <= len(re.findall(r"\.(?= |$)", TERMS[term])) <= 2, TERMS[term]


def test_the_development_pages_lead_to_it() -> None:
    assert "(glossary.md)" in (PAGE.parent / "README.md").read_text()
