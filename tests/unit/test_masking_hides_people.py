"""What is shown of an item has its shape, and nothing that people wrote or are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from forebay.core.json_values import Json
from forebay.core.masking import masked
from support.inputs.corpus import PAYLOADS, Payload
from support.inputs.splitting import split


def leaves(value: Json, field: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with the name it stands under."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, field)
    else:
        yield field, value


def test_no_value_of_the_corpus_shows_but_words_of_the_provider(payload: Payload) -> None:
    for item in split("360dialog", payload.body, 0.0):
        hidden = masked(item.data, known=True)
        for (field, was), (_, shown) in zip(leaves(item.data), leaves(hidden), strict=True):
            if isinstance(was, bool | None):
                assert shown is was
            elif field == "code" and isinstance(was, int):
                assert shown == was
            elif shown == was:
                assert field in {"direction", "event", "field", "object", "status", "type"} or (
                    field == "messaging_product"
                )
                assert was.replace("_", "").isalpha()
            else:
                assert str(was) not in shown or len(str(was)) <= 2


def test_a_text_message_keeps_its_shape() -> None:
    (item,) = split("meta", PAYLOADS["messages-text"].body, 0.0)
    hidden = masked(item.data, known=True)
    message = hidden["value"]["messages"][0]
    assert message["type"] == "text"
    assert message["from"].endswith(" characters>")
    assert set(message) == set(item.data["value"]["messages"][0])


@pytest.mark.parametrize(
    "body",
    [
        {"Maria Schmidt": 1, "+49 170 1234567": {"type": "secret"}, "anna": "hello"},
        [{"code": 918273, "status": "pregnant"}],
        "just text",
        12345678,
    ],
)
def test_of_an_unknown_shape_neither_names_nor_words_show(body: Json) -> None:
    shown = json.dumps(masked(body, known=False)).lower()
    for word in ("maria", "49", "secret", "anna", "918273", "pregnant", "just", "12345678"):
        assert word not in shown


def test_a_name_of_a_field_that_is_a_number_is_hidden_always() -> None:
    assert "15550001234" not in json.dumps(masked({"15550001234": "x"}, known=True))
