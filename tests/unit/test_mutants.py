"""The catalogue of mutations says what it means, and trying one leaves nothing behind."""

import functools
import re
from collections import Counter
from pathlib import Path

import pytest

from mutants.catalogue import ROOT, Mutation, Selection, load, mutated
from mutants.checks import CANARIES
from mutants.trees import Tree

MUTATIONS = load()
ALL = [*MUTATIONS, *CANARIES]

EXAMPLE = Mutation(
    area="core",
    id="one-is-two",
    file="lib/one.py",
    anchor="ONE = 1",
    becomes="ONE = 2",
    suffers="wrong sums",
    fast=Selection(text="tests/unit/test_one.py"),
)


@functools.cache
def source(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def test_every_anchor_stands_exactly_once_in_its_file() -> None:
    # Where the code of an entry has changed: make its anchor say the place again, or remove it.
    assert [each.id for each in ALL if source(each.file).count(each.anchor) != 1] == []


def test_every_mutation_changes_something() -> None:
    assert [each.id for each in ALL if each.becomes.split() == each.anchor.split()] == []


def test_every_mutation_has_tests_that_are_there_or_a_reason_for_none() -> None:
    for each in ALL:
        selections = [each.fast, each.slow]
        named = [name for one in selections if one is not None for name in one.files]
        assert bool(named) is (each.no_effect is None), each.id
        assert [name for name in named if not (ROOT / name).exists()] == [], each.id


def test_fast_tests_are_named_as_fast_and_slow_ones_as_slow() -> None:
    assert [each.id for each in ALL if each.fast and not each.fast.is_fast] == []
    assert [each.id for each in ALL if each.slow and each.slow.is_fast] == []


def test_every_id_is_one_entrys_and_says_what_breaks() -> None:
    counts = Counter(each.id for each in ALL)
    assert [each for each, count in counts.items() if count > 1] == []
    assert [each for each in counts if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", each)] == []


def test_there_are_as_many_as_the_score_needs() -> None:
    assert sum(each.no_effect is None for each in MUTATIONS) >= 150


@pytest.mark.parametrize("text", ["ONE = 3\n", "ONE = 1\nONE = 1\n"])
def test_an_anchor_that_does_not_say_one_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one-is-two: the anchor stands"):
        mutated(EXAMPLE, text)


@pytest.mark.parametrize("line", ['colour = "red"', 'suffers = "much"\nsuffer = "typo"'])
def test_an_entry_with_an_unknown_property_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "core.toml").write_text(f'[[mutation]]\nid = "a-b"\n{line}\n')
    with pytest.raises(ValueError, match="core: a-b"):
        load(tmp_path)


def test_a_mutation_goes_again_with_whatever_was_compiled_from_it(tmp_path: Path) -> None:
    path = tmp_path / EXAMPLE.file
    compiled = path.parent / "__pycache__" / "one.cpython-311.pyc"
    compiled.parent.mkdir(parents=True)
    path.write_text("ONE = 1\n")
    tree = Tree(tmp_path)
    compiled.touch()
    with tree.with_mutation(EXAMPLE):
        assert path.read_text() == "ONE = 2\n"
        assert not compiled.exists()
        compiled.touch()
    assert path.read_text() == "ONE = 1\n"
    assert not compiled.exists()


def test_a_mutation_goes_again_where_its_tests_were_interrupted(tmp_path: Path) -> None:
    path = tmp_path / EXAMPLE.file
    path.parent.mkdir()
    path.write_text("ONE = 1\n")
    with pytest.raises(KeyboardInterrupt), Tree(tmp_path).with_mutation(EXAMPLE):
        raise KeyboardInterrupt
    assert path.read_text() == "ONE = 1\n"


def test_a_tree_whose_code_would_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the copy's code would not run"):
        Tree(tmp_path).check()
