"""A large body is decoded and weighed piece by piece, to the same as at once."""

import json
from collections.abc import Generator
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.incremental_json import PIECE_BYTES, count_values, may_hold_more, read_in_slices
from forebay.core.json_values import Json

T = TypeVar("T")

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def run(steps: Generator[None, None, T]) -> T:
    """Run all steps."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def values_in(value: Json) -> int:
    """Count as `count_values` does."""
    if isinstance(value, dict):
        return 1 + (sum(map(values_in, value.values())) or 1)
    if isinstance(value, list):
        return 1 + (sum(map(values_in, value)) or 1)
    return 1


@given(VALUES, VALUES)
def test_what_is_read_in_slices_is_what_is_read_at_once(few: Json, other: Json) -> None:
    filling = ["x" * 50] * (PIECE_BYTES // 25)
    document = {"a": few, "big": [few, filling, other, {"deep": [filling, few]}], "b": other}
    body = json.dumps(document).encode()
    assert len(body) > 2 * PIECE_BYTES
    assert run(read_in_slices(body)) == msgspec.json.decode(body)


@given(VALUES)
def test_values_are_counted_whatever_stands_in_texts(value: Json) -> None:
    body = json.dumps([value, 'a "quoted", [list]', "\\", value], ensure_ascii=False).encode()
    assert run(count_values(body)) == values_in(json.loads(body))
    assert run(may_hold_more(body, values_in(json.loads(body)) - 1))


@pytest.mark.parametrize("shift", range(4))
def test_a_piece_may_end_in_the_middle_of_an_escape(shift: int) -> None:
    text = "x" * shift + '\\",' * PIECE_BYTES
    body = json.dumps([text, 1, 2]).encode()
    assert run(count_values(body)) == 4


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"0," * PIECE_BYTES,
        b'{"a": "\xff' + b"x" * PIECE_BYTES + b'"}',
        b"[" * 10 * PIECE_BYTES,
    ],
    ids=["cut off", "no UTF-8", "too deep"],
)
def test_what_cannot_be_read_at_once_cannot_be_read_in_slices(body: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError, RecursionError)):
        run(read_in_slices(body))
