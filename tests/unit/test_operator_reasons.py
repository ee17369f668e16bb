"""Every reason that a person can meet is explained in docs/operator.md."""

from pathlib import Path

import pytest

from forebay_operator.models.reasons import ConditionReason, ConditionType

PAGE = (Path(__file__).parents[2] / "docs" / "operator.md").read_text()


@pytest.mark.parametrize("reason", list(ConditionReason))
def test_reason_is_explained(reason: ConditionReason) -> None:
    assert f"`{reason.value}`" in PAGE


@pytest.mark.parametrize("kind", list(ConditionType))
def test_condition_is_explained(kind: ConditionType) -> None:
    assert f"| `{kind.value}` |" in PAGE
