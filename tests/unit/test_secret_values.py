"""What seems stored in a Secret by mistake is reported; what cannot be meant is refused."""

import pytest

from forebay.core.endpoint_name import EndpointName
from forebay.core.secret_value_checks import SecretValues
from forebay.core.spec_base import SecretKeyRef, SecretSource
from forebay.core.validation_errors import InvalidEndpoint, Problem

SOURCE = SecretSource(secret_key_ref=SecretKeyRef(name="meta", key="app-secret"))
PATH = ("spec", "authentication")


def read(value: str) -> tuple[str, list[Problem]]:
    warnings: list[Problem] = []
    values = SecretValues(EndpointName("acme", "sales"), lambda *_: value, warnings)
    found = values.text(PATH, SOURCE)
    values.check()
    return found, warnings


@pytest.mark.parametrize("value", ["s3cret", "s3cret\n", "pass word", "päss", "\U0001f511key"])
def test_what_is_in_order_is_taken_without_a_word(value: str) -> None:
    assert read(value) == (value.removesuffix("\n"), [])


@pytest.mark.parametrize(
    ("value", "used", "said"),
    [
        ("\ufeffs3cret", "\ufeffs3cret", "begins with a byte order mark"),
        ("\ufeffs3cret\r\n", "\ufeffs3cret\r", "begins with a byte order mark"),
        ("s3cret\r", "s3cret\r", "ends with a carriage return"),
        ("s3cret\r\n", "s3cret\r", "ends with a carriage return"),
        ("s3cret\n\n", "s3cret\n", "white space at its beginning or end"),
        (" s3cret", " s3cret", "white space at its beginning or end"),
        ("s3cret\t", "s3cret\t", "white space at its beginning or end"),
        ("s3\ncret", "s3\ncret", "a control character or a line break"),
        ("s3\x00cret", "s3\x00cret", "a control character or a line break"),
        ("s3\ufeffcret", "s3\ufeffcret", "a control character or a line break"),
    ],
)
def test_what_looks_like_a_mistake_is_used_and_reported_without_the_value(
    value: str, used: str, said: str
) -> None:
    found, (warning,) = read(value)
    assert found == used
    assert warning.field == "spec.authentication"
    assert said in warning.reason
    assert "'app-secret' of Secret 'meta'" in warning.reason
    assert "s3" not in warning.reason


@pytest.mark.parametrize(
    "value", ["", "\n", " ", "\r\n", "\t \n\n", "\ufeff", "\ufeff\r\n", "\u3000"]
)
def test_what_is_empty_but_for_white_space_is_refused(value: str) -> None:
    with pytest.raises(InvalidEndpoint, match="give it a value"):
        read(value)
