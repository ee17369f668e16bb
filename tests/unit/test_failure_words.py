"""A failed attempt is described in plain words where a person reads of it."""

import asyncpg
import pytest

from forebay.core.failure_words import PLAIN_WORDS, plain_failure
from forebay_processor.destinations.network.no_answer import NoAnswerReason
from forebay_processor.destinations.postgres.errors import SQLSTATE


@pytest.mark.parametrize("word", [*NoAnswerReason, "timeout"])
def test_each_word_of_the_client_has_plain_ones(word: str) -> None:
    assert not any(name in plain_failure(word) for name in ("Error", "Client", "timeout"))


def test_there_are_no_others() -> None:
    ours = {word for word in PLAIN_WORDS if not word.startswith(SQLSTATE)}
    assert ours == {*map(str, NoAnswerReason), "timeout"}
    states = {word.removeprefix(SQLSTATE) for word in set(PLAIN_WORDS) - ours}
    assert states <= {each.sqlstate for each in vars(asyncpg).values() if hasattr(each, "sqlstate")}


@pytest.mark.parametrize("word", ["", "status 500"])
def test_what_is_no_word_of_the_client_stays_as_it_is(word: str) -> None:
    assert plain_failure(word) == word
