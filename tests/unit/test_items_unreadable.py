"""Any bytes and any JSON either become items that can be stored, or are UnreadableBody."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.envelope import decode_item, encode_item
from forebay.core.errors import UnreadableBody
from forebay.core.item import Item
from forebay.core.item_kinds import KINDS
from forebay.core.providers.names import ProviderName
from support.inputs.bodies import json_values, odd_bodies, of_json
from support.inputs.splitting import split

PROVIDERS: tuple[ProviderName, ...] = get_args(ProviderName)


def cut_and_store(provider: ProviderName, body: bytes) -> bool:
    """Say whether a body could be read; what was read has to be stored and read again."""
    try:
        items = split(provider, body, 0.0)
    except UnreadableBody:
        return False
    assert items
    for item in items:
        assert item.kind in KINDS
        assert decode_item(encode_item(item)).key == item.key
    return True


@given(st.binary(), st.sampled_from(PROVIDERS))
def test_any_bytes(body: bytes, provider: ProviderName) -> None:
    cut_and_store(provider, body)


@given(json_values(), st.sampled_from(PROVIDERS))
def test_any_json(value: object, provider: ProviderName) -> None:
    assert cut_and_store(provider, of_json(value)) or provider != "generic"


@given(odd_bodies(), st.sampled_from(PROVIDERS))
def test_any_json_at_any_place_of_a_known_body(body: bytes, provider: ProviderName) -> None:
    cut_and_store(provider, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'{"entry": [',
        b"{}",
        b"[]",
        b"null",
        b'{"entry": []}',
        b'{"entry": {}}',
        b'{"event": 1, "data": {}}',
        b'{"entry": [{"id": \xff}]}',
        b'{"entry": [{"id": NaN}]}',
        b"\xef\xbb\xbf{}",
    ],
)
def test_a_body_that_no_parser_takes_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        split("meta", body, 0.0)


def stored_from_below(frames: int, item: Item) -> bytes:
    """Store from deep within: a service calls through more layers than a test."""
    return stored_from_below(frames - 1, item) if frames else encode_item(item)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("opening", [b"[", b'{"x":'])
def test_a_body_that_is_nested_too_deeply_fails_when_it_is_read_and_nowhere_else(
    provider: ProviderName, opening: bytes
) -> None:
    closing = b"]" if opening == b"[" else b"}"
    readable = []
    for depth in (10, 100, *range(850, 1010), 5_000, 100_000):
        nested = opening * depth + b"1" + closing * depth
        for part in (b'{"x":' + nested + b"}", nested):
            body = (
                b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[%s]}}]}]}' % part
            )
            try:
                items = split(provider, body, 0.0)
            except UnreadableBody:
                readable.append(False)
                continue
            readable.append(True)
            for item in items:
                assert stored_from_below(20, item)
    assert readable[0]
    assert not readable[-1]
