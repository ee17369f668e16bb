r"""A body is read strictly, or with as little changed as it can be read by.

What is made here is valid JSON with damage at known places, so that the strict reader can say what
should have come out.
"""

import json
import math
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.errors import UnreadableBody
from forebay.core.incremental_json import read_in_slices
from forebay.core.tolerant_json import (
    INTEGER_DIGITS,
    PIECE_BYTES,
    Reading,
    read_json,
    reading_damaged,
)
from support.inputs.bodies import Json, json_values, of_json
from support.inputs.cases import CASES
from support.inputs.splitting import split
from support.timing.further import one_in

_LARGE = 256 * 1024


def read(body: bytes) -> Json:
    return read_json(body).document


def written(body: bytes) -> bytes:
    """Return what a destination gets of a body."""
    return msgspec.json.encode(read(body))


@given(json_values())
def test_what_is_valid_is_read_as_the_strict_reader_reads_it(value: Json) -> None:
    body = of_json(value)
    assert read_json(body) == (msgspec.json.decode(body), False)


DAMAGE = {
    '"\\ud83d"': '"\N{REPLACEMENT CHARACTER}"',
    '"\\ude00\\ud83d"': '"\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"',
    '"\\ud83d\\u0041"': '"\N{REPLACEMENT CHARACTER}A"',
    '"\\ud83d\\ud83d\\ude00"': '"\N{REPLACEMENT CHARACTER}\N{GRINNING FACE}"',
    '"\\\\\\ud83d"': '"\\\\\N{REPLACEMENT CHARACTER}"',
    "1e400": "1e400",
    "-1E+999": "-1E+999",
    "9" * 5000: "9" * 5000,
    "-" + "9" * 5000: "-" + "9" * 5000,
}
"""Texts of JSON that no strict reader takes, and what they are passed on as."""


@given(json_values(), st.sampled_from(list(DAMAGE)), json_values())
def test_what_stands_beside_damage_is_read_as_if_there_were_none(
    before: Json, damage: str, after: Json
) -> None:
    # Strings that look like numbers and like escapes, which no repair may touch.
    plain = ["\\ud83d", "1e400", "9" * 700, '"', "\\", 1.5, 10**30, -0.0, "\N{GRINNING FACE}"]
    body = b"[%b,%b,%b,%b]" % (of_json(before), damage.encode(), of_json(plain), of_json(after))
    document = read(body)
    assert [document[0], document[2], document[3]] == [
        msgspec.json.decode(of_json(value)) for value in (before, plain, after)
    ]
    assert msgspec.json.encode(document[1]).decode() in {DAMAGE[damage], _passed_on(damage)}
    assert read_json(body).repaired


def _passed_on(damage: str) -> str:
    """Return what the strict reader's own writer makes of the same."""
    return msgspec.json.encode(DAMAGE[damage].strip('"')).decode()


@given(st.binary(max_size=8), st.text(st.characters(exclude_categories=["Cs"])))
def test_bytes_that_are_no_utf_8_are_replaced_in_their_string(damage: bytes, beside: str) -> None:
    replaced = damage.translate(None, bytes([*range(32), *b'"\\']))
    body = b'{"a":"%b","b":%b}' % (replaced, of_json(beside))
    assert read(body) == {"a": replaced.decode(errors="replace"), "b": beside}


def test_half_an_emoji_with_bytes_that_are_no_utf_8_and_a_number_that_is_too_large() -> None:
    assert written(b'["\\ud83d","\xff",1e400,%b]' % (b"1" * 5000)) == (
        '["\N{REPLACEMENT CHARACTER}","\N{REPLACEMENT CHARACTER}",1e400,'.encode()
        + b"1" * 5000
        + b"]"
    )


def test_numbers_beside_one_that_is_too_large_are_numbers() -> None:
    document = read(b"[1e400,1.5,2,-0.25e-3,18446744073709551616,%b.5]" % (b"1" * 300))
    assert document[1:5] == [1.5, 2, -0.25e-3, 18446744073709551616]
    assert math.isfinite(document[5])


@pytest.mark.parametrize("digits", [INTEGER_DIGITS, INTEGER_DIGITS + 1, 4300, 4301, 100_000])
def test_an_integer_of_any_length_is_passed_on_with_all_of_its_digits(digits: int) -> None:
    body = b"[1e400,%b]" % (b"7" * digits)
    assert written(body) == body


def test_a_byte_order_mark_is_no_damage() -> None:
    assert read_json(b'\xef\xbb\xbf{"a":1}') == ({"a": 1}, False)
    assert read_json(b'\xef\xbb\xbf{"a":"\\ud83d"}').repaired


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"nothing", b'["\\ud83d"', b'["\\ud83d",]', b"\xff[]", b'"\\ud83d', b'"\\x"'),
        *(b"NaN", b"[Infinity]", b"[-Infinity]", b"01", b"1e", b"[1e400,NaN]", b'"\\ud8"'),
        *(
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbf\xef\xbb\xbf1",
            b"[" * 100_000,
            b'["\\ud83d"' + b"[" * 9999,
        ),
    ],
)
def test_what_is_no_json_even_so_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        read_json(body)


@given(st.binary())
def test_no_bytes_are_another_error(body: bytes) -> None:
    try:
        read_json(body)
    except UnreadableBody:
        pass
    else:
        json.loads(body.decode("utf-8-sig", errors="replace"), parse_int=str)


@pytest.mark.parametrize(
    ("name", "count"), [("lone-surrogate", 1), ("batch-with-one-lone-surrogate", 50)]
)
def test_half_an_emoji_costs_no_item(name: str, count: int) -> None:
    (post,) = CASES[name].posts(name)
    body = post.body
    assert b"\\ud83d" in body
    assert [item.kind for item in split("meta", body, 0.0)] == ["messages"] * count


def in_pieces(body: bytes) -> tuple[Reading, int]:
    """Read a damaged body as a splitter reads a large one; say how often others had their turn."""
    work, pieces = reading_damaged(body, read_in_slices), 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return Reading(*end.value), pieces
        pieces += 1


HOSTILE = {
    "half emojis": b'["' + b"\\ud83d" * (_LARGE // 6) + b'"]',
    "escapes and half an emoji": b'["' + b"\\n" * (_LARGE // 2) + b'\\ud83d"]',
    "quotes and half an emoji": b"[" + b'"",' * (_LARGE // 3) + b'"\\ud83d"]',
    "backslashes without an end": b'["\\ud83d' + b"\\" * _LARGE,
    "no utf-8": b'["' + b"\xff" * _LARGE + b'"]',
    "numbers that are too large": b"[" + b"1e400," * (_LARGE // 6) + b"1]",
    "zeros and one that is too large": b"[" + b"0," * (_LARGE // 2) + b"1e400]",
    "integers that are too long": b"[" + (b"9" * 5000 + b",") * (_LARGE // 5001) + b"1]",
    "integers that are almost too long": b"[" + (b"9" * 640 + b",") * (_LARGE // 641) + b"1e400]",
    "one integer": b"[" + b"9" * _LARGE + b"]",
}


@pytest.mark.parametrize("shape", one_in(4, HOSTILE))
def test_the_worst_body_is_read_in_pieces_and_comes_out_as_if_it_were_read_at_once(
    shape: str,
) -> None:
    if shape == "backslashes without an end":
        with pytest.raises(UnreadableBody):
            in_pieces(HOSTILE[shape])
        return
    reading, pieces = in_pieces(HOSTILE[shape])
    whole = read_json(HOSTILE[shape])
    assert msgspec.json.encode(reading.document) == msgspec.json.encode(whole.document)
    assert reading.repaired == whole.repaired
    assert pieces >= _LARGE // PIECE_BYTES


@given(st.lists(st.sampled_from([*DAMAGE, '"\\u00e9\\n"', '"\\ud83d\\ude00"', "1.5"]), max_size=30))
def test_a_piece_ends_wherever_it_likes(parts: list[str]) -> None:
    body = f"[{','.join(parts)}]".encode().ljust(PIECE_BYTES - 7 * len(parts), b" ")
    body = body.rstrip(b" ]") + b' ,"' + b"x" * (PIECE_BYTES - len(body) // 2) + b'"]'
    body = body.replace(b"[ ,", b"[")
    reading, _ = in_pieces(body)
    assert msgspec.json.encode(reading.document) == written(body)


@pytest.mark.parametrize("shape", one_in(4, HOSTILE))
def test_the_worst_body_takes_a_few_times_its_bytes(shape: str) -> None:
    body = HOSTILE[shape]
    tracemalloc.start()
    try:
        read_json(body)
    except UnreadableBody:
        assert shape == "backslashes without an end"
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 20 * len(body)
