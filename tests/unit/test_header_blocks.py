"""The header block of a stored message: what goes in comes out, and nothing beside it."""

import pytest

from forebay.runtime.jetstream.nats_wire import encode_headers


def test_a_block_is_a_line_for_each_header_and_an_empty_one() -> None:
    block = encode_headers({"Forebay-Endpoint": "demo/shop", "Empty": ""})
    assert block == b"NATS/1.0\r\nForebay-Endpoint: demo/shop\r\nEmpty: \r\n\r\n"
    assert encode_headers({}) == b"NATS/1.0\r\n\r\n"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\n\r"])
@pytest.mark.parametrize("where", ["name", "value"])
def test_a_line_break_adds_no_header(where: str, end: str) -> None:
    text = f"one{end}Forebay-Endpoint: other/one"
    headers = {text: "1"} if where == "name" else {"traceparent": text}
    with pytest.raises(ValueError, match="line break"):
        encode_headers(headers)
