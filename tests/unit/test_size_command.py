"""`forebay size` says what an installation takes, why, and with which values."""

import json
from pathlib import Path

import pytest
import yaml

from forebay.cli.main import main

EXAMPLE = ["--outgoing", "1000", "--incoming", "300", "--channels", "20", "--retention", "7d"]


def run(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["size", *arguments])
    assert ended.value.code == 0


def test_it_says_what_follows_from_a_load(capsys: pytest.CaptureFixture[str]) -> None:
    run(*EXAMPLE)
    out = capsys.readouterr().out
    assert "3,300 webhooks/s: 3 x 1,000 outgoing + 300 incoming, 20 channels" in out
    assert "NATS, 2 shards" in out
    assert "First to give way when more comes: NATS, at 6,272 webhooks/s." in out
    assert "Assumed, not measured:" in out


def test_json_has_the_figures_with_their_pages(capsys: pytest.CaptureFixture[str]) -> None:
    run(*EXAMPLE, "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["load"]["webhooks"] == 3300
    assert found["receivers"]["pods"] == 2
    assert found["total"]["pods"] == 2 + found["processors"]["pods"] + 3 + 1
    pages = {each["page"] for each in found["measured"]}
    assert "docs/results/bench-receiver.md" in pages
    assert all(each["measured"].startswith("2026-") for each in found["measured"])


def test_values_are_written_where_they_are_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "values.yaml"
    run(*EXAMPLE, "--host", "hooks.example.com", "--values-out", str(file))
    assert str(file) in capsys.readouterr().out.replace("\n", "")
    written = yaml.safe_load(file.read_text())
    assert written["host"] == "hooks.example.com"
    assert [each["name"] for each in written["shards"]] == ["0", "1"]
    run(*EXAMPLE, "--host", "hooks.example.com", "--values-out", "-")
    assert capsys.readouterr().out == file.read_text(), "and nothing else"


def test_replies_are_reckoned_where_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    run("--outgoing", "81")
    assert "268 webhooks/s: 3 x 81 outgoing + 25 incoming" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--outgoing", "80", "--retention", "week"], "give one such as 30m, 48h or 7d"),
        (["--outgoing", "80", "--busy", "25h"], "--busy, in minutes, is 1,500: give 1 to 1,440"),
        (["--outgoing", "2000"], "give --channels 2 or more"),
        (["--outgoing", "80", "--host", "a: b"], "--host 'a: b' is no host"),
        (["--outgoing", "80", "--values-out", "/no/such/folder/x"], "name another file"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    arguments: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["size", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert advice in told.err
    assert told.err.count("\n") == 1
