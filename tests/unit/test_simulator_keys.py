"""The simulator's own reading of the key table agrees with the corpus."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay_simulator.expected_keys import item_keys
from support.inputs.cases import CASES
from support.inputs.corpus import Payload
from support.inputs.splitting import split


def test_every_file_of_the_corpus_has_the_keys_of_its_table(payload: Payload) -> None:
    assert item_keys(payload.body) == payload.key_patterns


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'"event data"',
        b'{"entry":[{"changes":[{"field":"calls","value":{"metadata":{"phone_number_id":1},"calls":7}}]}]}',
        b'{"entry":[{"id":"1","changes":[{"field":"flows","value":{}}]}]}',
    ],
)
def test_a_body_that_is_no_webhook_has_no_keys(body: bytes) -> None:
    assert item_keys(body) == ()


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail(body: bytes) -> None:
    assert isinstance(item_keys(body), tuple)


@pytest.mark.parametrize(
    "name",
    ["payment-statuses", "group-status-username-only", "group-status-participant-recipient-id"],
)
def test_it_agrees_with_the_splitter_on_cases_from_the_field(name: str) -> None:
    for post in CASES[name].posts(name):
        assert item_keys(post.body) == tuple(item.key for item in split("meta", post.body, 0.0))
