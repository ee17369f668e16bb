"""What is kept of a destination's answer: its words, and nothing that could be private."""

import pytest

from forebay.core.answer_excerpt import EXCERPT_BYTES, answer_excerpt


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (b"", ""),
        (b"database is locked", "database is locked"),
        (b'{"error": "no column named wa_id", "code": 1054}',
         '{"error": "no column named wa_id", "code": 1054}'),
        (b"<html>\r\n<title>502 Bad Gateway</title>", "<html> <title>502 Bad Gateway</title>"),
    ],
)  # fmt: skip
def test_the_words_of_an_error_are_kept(answer: bytes, kept: str) -> None:
    assert answer_excerpt(answer) == kept


@pytest.mark.parametrize(
    "private",
    [
        "4915112345678",
        "+49-151-12345678",
        "+49 151 1234 5678",
        "4111 1111 1111 1111",
        "(415) 555-26 71",
        "wamid.HBgLNDkxNTExMjM0NTY3FQIAEhgU",
        "maria@example.com",
        "eyJhbGciOiJIUzI1NiJ9xyz",
        "whsec_C2FVsBQIhrscChlQIMV",
    ],
)
def test_numbers_addresses_ids_and_secrets_are_left_out(private: str) -> None:
    kept = answer_excerpt(f'cannot take "{private}" now'.encode())
    assert private not in kept
    assert kept == 'cannot take "…" now'


@pytest.mark.parametrize(
    "answer",
    [
        "Authorization: Bearer hunter",
        "password=hunter",
        "the password is hunter",
        '{"token": "hunter"}',
        "Basic hunter",
    ],
)
def test_what_follows_the_name_of_a_secret_is_left_out(answer: str) -> None:
    assert "hunter" not in answer_excerpt(answer.encode())


def test_it_is_bounded_and_the_word_at_its_end_is_left_out() -> None:
    answer = b"word " * 50 + b"secretly" * 100
    kept = answer_excerpt(answer)
    assert len(kept) <= EXCERPT_BYTES
    assert kept == " ".join(["word"] * 50)


def test_a_terminal_gets_nothing_to_obey() -> None:
    assert "\x1b" not in answer_excerpt(b"\x1b[31mred\x1b[0m \xff\xfe")
