"""A failed attempt is described in plain words where a person reads of it."""

import pytest

from forebay.core.failure_words import PLAIN_WORDS, plain_failure
from forebay_processor.destinations.http_errors import NoAnswerReason


@pytest.mark.parametrize("word", [*NoAnswerReason, "timeout"])
def test_each_word_of_the_client_has_plain_ones(word: str) -> None:
    assert not any(name in plain_failure(word) for name in ("Error", "Client", "timeout"))


def test_there_are_no_others() -> None:
    assert set(PLAIN_WORDS) == {*map(str, NoAnswerReason), "timeout"}


@pytest.mark.parametrize("word", ["", "status 500"])
def test_what_is_no_word_of_the_client_stays_as_it_is(word: str) -> None:
    assert plain_failure(word) == word
