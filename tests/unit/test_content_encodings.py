"""What a compressed body holds, within bounds, whoever compressed it."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.content_encoding import (
    LAYERS_LIMIT,
    MEMBERS_LIMIT,
    decode_body,
    is_supported,
)
from forebay.core.errors import ExpandsTooFar, UnreadableBody

LIMIT = 1024 * 1024


def raw_deflate(body: bytes) -> bytes:
    maker = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return maker.compress(body) + maker.flush()


MAKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
    "": bytes,
    " , ": bytes,
}


@given(st.sampled_from(list(MAKERS)), st.binary(), st.integers(1, 200))
def test_what_was_compressed_comes_out(encoding: str, body: bytes, times: int) -> None:
    assert decode_body(MAKERS[encoding](body * times), encoding, LIMIT) == body * times


@given(st.binary())
def test_deflate_without_its_header_is_taken_as_well(body: bytes) -> None:
    assert decode_body(raw_deflate(body), "deflate", LIMIT) == body


@given(st.lists(st.binary(), min_size=1, max_size=5), st.integers(0, 3))
def test_a_file_of_several_members_is_their_contents_in_a_row(
    parts: list[bytes], zeros: int
) -> None:
    # Zeros are padding; they stand behind a member, or behind all of them.
    made = b"".join(gzip.compress(part) + bytes(zeros) for part in parts)
    assert decode_body(made, "gzip", LIMIT) == b"".join(parts)


def test_padding_longer_than_a_chunk_is_padding() -> None:
    made = gzip.compress(b"a") + bytes(200_000) + gzip.compress(b"b") + bytes(200_000)
    assert decode_body(made, "gzip", LIMIT) == b"ab"


def test_encodings_come_off_in_the_order_against_that_in_which_they_were_put_on() -> None:
    made = zlib.compress(gzip.compress(b"body"))
    assert decode_body(made, "gzip, deflate", LIMIT) == b"body"
    with pytest.raises(UnreadableBody):
        decode_body(made, "deflate, gzip", LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_ends_too_early_or_is_something_else_is_unreadable(encoding: str) -> None:
    made = MAKERS[encoding](b"a body of some length" * 100)
    for broken in (b"", made[:-1], made[: len(made) // 2], b"{}", made[::-1], made + b"behind"):
        with pytest.raises(UnreadableBody):
            decode_body(broken, encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "gzip, gzip"])
def test_a_bomb_is_stopped_at_its_limit(encoding: str) -> None:
    bomb = bytes(64 * LIMIT)
    for name in encoding.split(", "):
        bomb = MAKERS[name](bomb)
    tracemalloc.start()
    with pytest.raises(ExpandsTooFar):
        decode_body(bomb, encoding, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * LIMIT


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_limit_itself_is_allowed(size: int) -> None:
    made = gzip.compress(bytes(size))
    if size == LIMIT:
        assert decode_body(made, "gzip", LIMIT) == bytes(LIMIT)
    else:
        with pytest.raises(ExpandsTooFar):
            decode_body(made, "gzip", LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_the_limit_is_for_all_pieces_together(encoding: str) -> None:
    # So random that it comes out as it went in: no more than some kilobytes of a chunk.
    made = MAKERS[encoding](random.Random(1).randbytes(LIMIT + 1))
    with pytest.raises(ExpandsTooFar):
        decode_body(made, encoding, LIMIT)


def test_the_limit_is_for_all_members_together() -> None:
    with pytest.raises(ExpandsTooFar):
        decode_body(gzip.compress(bytes(LIMIT // 2)) * 3, "gzip", LIMIT)


def test_members_that_bring_nothing_are_bounded() -> None:
    empty = gzip.compress(b"")
    assert decode_body(empty * MEMBERS_LIMIT, "gzip", LIMIT) == b""
    with pytest.raises(UnreadableBody):
        decode_body(empty * (MEMBERS_LIMIT + 1), "gzip", LIMIT)


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, br", "gzip;q=1", "*", ", ".join(["gzip"] * 4)]
)
def test_other_encodings_are_not_supported(encoding: str) -> None:
    assert not is_supported(encoding)
    with pytest.raises(UnreadableBody):
        decode_body(b"", encoding, LIMIT)


def test_as_many_layers_as_are_borne_are_supported() -> None:
    assert is_supported(", ".join(["gzip"] * LAYERS_LIMIT))


@given(st.binary(), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
def test_no_bytes_are_another_error(body: bytes, encoding: str) -> None:
    try:
        decode_body(body, encoding, LIMIT)
    except UnreadableBody:
        return
