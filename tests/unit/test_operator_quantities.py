"""Quantities of Kubernetes are compared by value."""

from decimal import Decimal

import pytest

from forebay_operator.models.quantities import amount


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("500m", "0.5"),
        ("1024Mi", "1Gi"),
        ("1000m", "1"),
        ("1.5Gi", "1536Mi"),
        ("2000k", "2M"),
        ("0.001T", "1G"),
        ("1Ti", "1024Gi"),
        ("1Ki", "1024"),
    ],
)
def test_the_same_amount_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert amount(one) == amount(other)
    assert amount(one) is not None


def test_more_is_more() -> None:
    ordered = ["1m", "0.5", "1", "1k", "1Ki", "1M", "1Mi", "1G", "1Gi", "1T", "1Ti"]
    amounts = [amount(each) for each in ordered]
    assert amounts == sorted(each for each in amounts if each is not None)


@pytest.mark.parametrize("text", ["", "m", "-1", "1e3", "1 Gi", "1Gi ", "half", "5s", "1u"])
def test_other_forms_are_no_quantities(text: str) -> None:
    assert amount(text) is None


@pytest.mark.parametrize("text", ["9" * 40, "9" * 40 + "Ti", "9" * 5_000])
def test_what_has_too_many_digits_is_beyond_every_limit(text: str) -> None:
    found = amount(text)
    assert found is not None
    assert found > Decimal("1e24")
