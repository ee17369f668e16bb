"""What `forebay dead` writes obeys nobody: a body cannot reach the terminal that shows it."""

import json
import re
from datetime import UTC, datetime

import msgspec
import pytest

from forebay.cli.printers.dead_printer import DeadLetterPrinter, JsonPrinter, TablePrinter
from forebay.core import envelope
from forebay.core.dead_letters import DeadLetter
from forebay.core.masking import printable

OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All that a terminal may obey but the end of a line."""

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e[red]text\nsecond line\r"


def letter(text: str) -> DeadLetter:
    item = envelope.StoredItem(
        key=f"msg:{text}",
        kind="messages",
        type=text,
        channel=text,
        time="2026-11-20T09:00:01.000Z",
        data=msgspec.Raw(msgspec.json.encode({"type": text, "text": {"body": text}})),
    )
    return DeadLetter.read(
        "forebay.dead.0.demo.shop.crm.0123456789abcdef0123456789abcdef",
        7,
        datetime(2026, 11, 20, 9, 0, 1, tzinfo=UTC),
        {"Forebay-Reason": "Rejected", "Forebay-Error": "status 400", "traceparent": text},
        msgspec.json.encode(item),
    )


@pytest.fixture(params=[TablePrinter, JsonPrinter])
def printer(request: pytest.FixtureRequest) -> DeadLetterPrinter:
    # Made while its output is caught: a console keeps the stream that it finds.
    request.getfixturevalue("capsys")
    made: DeadLetterPrinter = request.param()
    return made


@pytest.mark.parametrize("reveal", [False, True])
def test_no_control_character_is_written(
    printer: DeadLetterPrinter, capsys: pytest.CaptureFixture[str], *, reveal: bool
) -> None:
    printer.letters([letter(HOSTILE)])
    printer.letter(letter(HOSTILE), reveal=reveal)
    assert OBEYED.findall(capsys.readouterr().out) == []


def test_nothing_of_a_body_is_written_unless_it_is_revealed(
    printer: DeadLetterPrinter, capsys: pytest.CaptureFixture[str]
) -> None:
    printer.letters([letter("a secret")])
    printer.letter(letter("a secret"), reveal=False)
    assert "secret" not in capsys.readouterr().out
    printer.letter(letter("a secret"), reveal=True)
    assert "a secret" in capsys.readouterr().out


def test_a_letter_has_one_line_in_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    TablePrinter().letters([letter(HOSTILE)])
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("died")
    assert "messages (other)" in row


def test_a_fact_of_three_megabytes_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    huge = "x" * 3_000_000
    TablePrinter().letters([letter(huge)])
    TablePrinter().letter(letter(huge), reveal=False)
    assert len(capsys.readouterr().out) < 20_000


def test_what_is_revealed_is_still_json(capsys: pytest.CaptureFixture[str]) -> None:
    JsonPrinter().letter(letter(HOSTILE), reveal=True)
    assert json.loads(capsys.readouterr().out)["data"]["text"]["body"] == HOSTILE


def test_a_long_text_says_how_much_of_it_is_missing() -> None:
    assert printable("abcdef", 2) == "ab… (4 more characters)"
    assert printable("ab\x1b", 3) == "ab\\u001b"
