"""`forebay filter try` says what of some webhooks a destination would get."""

import json
from pathlib import Path
from typing import Any

import pytest

from forebay.cli.main import main
from support.inputs.corpus import PAYLOADS
from support.inputs.events import corpus_events

TEXT = 'kind == "messages" && data.value.messages[0].type == "text"'


def try_(*arguments: str, code: int = 0) -> None:
    try:
        ended = main(["filter", "try", *arguments])
    except SystemExit as end:
        ended = end.code if isinstance(end.code, int) else 0
    assert ended == code


def webhook(folder: Path, name: str) -> str:
    file = folder / f"{name}.json"
    file.write_bytes(PAYLOADS[name].body)
    return str(file)


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_item_of_each_file_gets_a_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [webhook(tmp_path, name) for name in ("messages-text", "messages-image", "status-read")]
    try_("--expression", TEXT, *files)
    *lines, counts = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["passes", "messages/text"],
        ["filtered", "messages/image"],
        ["filtered", "statuses/read"],
    ]
    assert counts == "2 filtered, 1 passes"


def test_what_fails_would_be_delivered_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expression = "data.value.messages[0].text.body == 'x'"
    try_("-e", expression, "--json", webhook(tmp_path, "status-read"))
    (record,) = records(capsys)
    assert (record["verdict"], record["why"]) == ("undecided", "a field is not there")


def test_a_transform_s_results_are_shown_for_what_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [webhook(tmp_path, name) for name in ("messages-text", "status-read")]
    try_("-e", TEXT, "-t", "{type: itemtype}", "--json", *files)
    text, status = records(capsys)
    assert (text["verdict"], text["result"]) == ("passes", {"type": "text"})
    assert (status["verdict"], status["result"]) == ("filtered", None)
    try_("-t", "data.nothing", "--json", files[0])
    (record,) = records(capsys)
    assert record["verdict"] == "rejected"


def test_an_event_as_it_was_delivered_is_taken_and_so_is_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    event = next(each for each in corpus_events() if each.file == "messages-text")
    file = tmp_path / "event.json"
    file.write_bytes(event.body)
    try_("-e", f'id == "{event.event.id}"', "--json", str(file))
    (record,) = records(capsys)
    assert (record["verdict"], record["id"]) == ("passes", event.event.id)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-e", "knd == 'a'"), "--expression: at character 1: there is no `knd`"),
        (("-t", "upper(id)"), "--transform: there is no function upper()"),
        (("--provider", "acme"), "--provider 'acme' is none: use 360dialog, meta, generic"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    try_(*arguments, webhook(tmp_path, "messages-text"), code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_a_file_that_is_no_webhook_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "no.json"
    file.write_text("no")
    try_(str(file), code=2)
    assert "this is no webhook of meta's and no event" in capsys.readouterr().err
    try_(str(tmp_path / "missing.json"), code=2)
    assert "cannot be read" in capsys.readouterr().err
