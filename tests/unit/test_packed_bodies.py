"""Large bodies are stored packed, and come out as they went in, or not at all."""

import json
import random
from collections.abc import Mapping

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.body_packing import packing, size_of, unpacked
from forebay.core.envelope import PACKED
from forebay.core.errors import ExpandsTooFar, UnreadableBody
from support.inputs.worst_bodies import LARGEST, WORST_BODIES, history

UNPACKABLE = "what cannot be packed"
LIMIT = 16 * 1024 * 1024


def packed_in_pieces(body: bytes) -> tuple[bytes | None, int]:
    """Pack a body; return it, and how often others had their turn meanwhile."""
    work, turns = packing(body), 0
    while True:
        try:
            next(work)
        except StopIteration as ended:
            return ended.value, turns
        turns += 1


def packed(body: bytes) -> bytes | None:
    """Pack a body in one go."""
    return packed_in_pieces(body)[0]


def headers_of(size: object) -> Mapping[str, str]:
    """Return the headers of a body that was so long."""
    return {PACKED: str(size)}


@given(st.binary(max_size=200), st.integers(1, 3_000))
def test_what_was_packed_comes_out_as_it_went_in(part: bytes, times: int) -> None:
    body = part * times
    frame = packed(body)
    assert frame is None or len(frame) < len(body) or not body
    if frame is not None:
        assert unpacked(frame, headers_of(len(body)), LIMIT) == body


@pytest.mark.parametrize("name", [name for name in WORST_BODIES if name != UNPACKABLE])
def test_the_worst_bodies_come_out_as_they_went_in(name: str) -> None:
    frame = packed(WORST_BODIES[name])
    assert frame is not None
    assert len(frame) < LARGEST / 100
    assert unpacked(frame, headers_of(len(WORST_BODIES[name])), LIMIT) == WORST_BODIES[name]


def test_what_does_not_get_smaller_is_left_after_its_first_piece() -> None:
    body = WORST_BODIES[UNPACKABLE]
    assert packed_in_pieces(body) == (None, 0)


def test_what_ends_badly_is_left_as_it_is() -> None:
    assert packed(b" " * 100_000 + random.Random(1).randbytes(LARGEST)) is None


def test_it_is_done_in_pieces() -> None:
    assert packed_in_pieces(history())[1] == LARGEST // (64 * 1024)


def test_a_body_without_the_header_is_as_it_stands() -> None:
    frame = packed(b"x" * 100_000)
    assert frame is not None
    assert unpacked(frame, {}, 10) == frame
    assert size_of({}) is None


@pytest.mark.parametrize("size", ["", "-1", "1.5", "1_0", "٣", "0x10", " 5", "9" * 5_000])
def test_a_length_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(UnreadableBody):
        unpacked(b"", headers_of(size), LIMIT)


def test_nothing_is_unpacked_beyond_its_limit() -> None:
    body = b"x" * 100_000
    frame = packed(body)
    assert frame is not None
    assert unpacked(frame, headers_of(len(body)), len(body)) == body
    with pytest.raises(ExpandsTooFar):
        unpacked(frame, headers_of(len(body)), len(body) - 1)


@pytest.mark.parametrize("other", [-1, 1, -100_000])
def test_another_length_than_it_has_is_refused(other: int) -> None:
    body = b"x" * 100_000
    frame = packed(body)
    assert frame is not None
    with pytest.raises(UnreadableBody):
        unpacked(frame, headers_of(len(body) + other), LIMIT)


@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: frame[:-1],
        lambda frame: frame[: len(frame) // 2],
        lambda _: b"",
        lambda frame: frame + b"\0",
        lambda frame: frame + frame,
        lambda _: b"{}",
        lambda frame: b"\0" + frame,
    ],
    ids=["cut", "halved", "empty", "byte behind", "frame behind", "other", "byte before"],
)
def test_what_is_no_frame_of_that_length_is_refused(damage: object) -> None:
    body = json.dumps([{"id": number} for number in range(10_000)]).encode()
    frame = packed(body)
    assert frame is not None
    assert callable(damage)
    with pytest.raises(UnreadableBody):
        unpacked(damage(frame), headers_of(len(body)), LIMIT)


def test_a_frame_that_wants_much_memory_is_refused() -> None:
    options = {int(zstd.CompressionParameter.window_log): 27}
    packer = zstd.ZstdCompressor(options=options)
    frame = packer.compress(b"x" * 1000, zstd.ZstdCompressor.FLUSH_BLOCK) + packer.flush()
    with pytest.raises(UnreadableBody):
        unpacked(frame, headers_of(1000), LIMIT)
