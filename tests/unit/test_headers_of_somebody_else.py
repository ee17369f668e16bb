"""Headers and items that no part writes: none stops what reads them."""

import pytest

from forebay.core import envelope
from forebay.core.envelope import decode_item
from forebay.core.errors import ForebayError
from forebay_processor.delivery.retry_row_reader import epoch_of
from forebay_processor.shared.partition_view import StoredRow


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("7", 7),
        (str(2**64 - 1), 2**64 - 1),
        ("", None),
        ("-1", None),
        ("²", None),
        ("9" * 5000, None),
    ],
)
def test_a_number_beyond_all_epochs_is_nobodys(text: str, epoch: int | None) -> None:
    row = StoredRow("forebay.retry", 3, 0.0, {envelope.EPOCH: text}, b"")
    assert epoch_of(row) == epoch


@pytest.mark.parametrize("text", ["", "x", "-1", "²", "1e3", "9" * 15, "9" * 5000])
def test_what_is_no_time_is_no_receipt(text: str) -> None:
    assert envelope.received_millis({envelope.RECEIVED_AT: text}) == 0
    assert envelope.received_millis({envelope.RECEIVED_AT: "1795165201000"}) == 1795165201000


@pytest.mark.parametrize("text", ["", "a b", "a.b", ">", "*", "a\0", "é", "c" * 65])
def test_what_is_no_token_of_a_subject_is_no_conversation(text: str) -> None:
    assert envelope.conversation_of({envelope.CONVERSATION: text}, "k" * 32) == "k" * 16
    assert envelope.conversation_of({envelope.CONVERSATION: "c" * 16}, "k" * 32) == "c" * 16


@pytest.mark.parametrize("field", ["data", "other"])
def test_an_item_of_any_depth_is_one_that_cannot_be_read(field: str) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    with pytest.raises(ForebayError, match="a stored item cannot be read"):
        decode_item(f'{{"{field}":{deep}}}'.encode())
