"""A name that is wrong is guessed at, whatever number of names there is."""

import difflib

import pytest

from forebay.core.near_names import NEIGHBOURS, nearest_name

MANY = [f"team-{number % 100}/shop-{number}" for number in range(10_000)]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("team-34/shp-1234", "team-34/shop-1234"),
        ("taem-34/shop-1234", "team-34/shop-1234"),
        ("team-34/shop-12345", "team-34/shop-1234"),
        ("something/else-entirely", ""),
        ("team-34/shop-1234" * 100, ""),
    ],
)
def test_of_ten_thousand_the_one_that_was_meant_is_found(wrong: str, meant: str) -> None:
    assert nearest_name(wrong, MANY) == meant


def test_of_few_any_is_found() -> None:
    assert nearest_name("xsink", ["crm", "sink", "zoo"]) == "sink"
    assert nearest_name("crm", []) == ""


def test_only_few_are_compared_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = difflib.get_close_matches

    def counting(word: str, names: list[str], n: int) -> list[str]:
        compared.append(len(names))
        return compare(word, names, n)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    nearest_name("team-34/shp-1234", MANY)
    assert compared[0] <= 4 * NEIGHBOURS
