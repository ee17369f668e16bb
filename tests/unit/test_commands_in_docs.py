"""Each `forebay …` command line of the docs is one that the command takes: verbs, options, values.

Nothing is run: a line is parsed as the command parses it, with its own checks of values.
"""

import re
import shlex
from pathlib import Path
from typing import Final

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from forebay.cli.main import app

ROOT: Final = Path(__file__).parents[2]

LEFT_OUT: Final = ("docs/design/", "docs/results/")
"""What was measured and decided at a time, by the verbs of then."""

START: Final = re.compile(r"(?:^\s*(?:\$ )?|.* -- )(?:\.venv/bin/)?forebay (?=[a-z-])")
"""At a line's beginning, or behind `kubectl exec … --`; elsewhere it is a namespace, a release."""

FEWEST_LINES: Final = 60
"""The docs have some 70: an expression that finds nothing would prove nothing."""


def _pages() -> list[Path]:
    pages = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]
    for folder in ("docs", "examples", "charts"):
        pages += sorted((ROOT / folder).rglob("*.md"))
    return [page for page in pages if not str(page.relative_to(ROOT)).startswith(LEFT_OUT)]


def _command_lines(text: str) -> list[str]:
    """Return what stands behind `forebay` in code blocks and in `code` of a page."""
    blocks = re.findall(r"^ *```[^\n]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    candidates = "\n".join(blocks).replace("\\\n", " ").splitlines()
    candidates += re.findall(r"`([^`\n]+(?:\n[^`\n]+)?)`", prose)
    found = [line[start.end() :] for line in candidates if (start := START.match(line))]
    return [line.replace("…", "...") for line in found]


LINES: Final = sorted(
    {
        (str(page.relative_to(ROOT)), line)
        for page in _pages()
        for line in _command_lines(page.read_text())
    }
)
"""Each page with each of its lines."""


def _words(line: str) -> list[str]:
    """Return the arguments of a command line, up to a comment, a pipe or a redirection."""
    words = []
    for word in shlex.split(line, comments=True):
        if word in {"|", ">", "2>", "&&", "&"} or word.startswith((">", "2>")):
            break
        words.append(word)
    return words


def _without_work(command: TyperCommand | TyperGroup) -> TyperCommand | TyperGroup:
    """Take off what the verbs of a command do, and leave what they check."""
    if isinstance(command, TyperGroup):
        for verb in command.commands.values():
            assert isinstance(verb, TyperCommand | TyperGroup)
            _without_work(verb)
    else:
        command.callback = lambda **_: None
    return command


def _command() -> TyperCommand | TyperGroup:
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    return _without_work(command)


def _problem_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the command says against a command line, or nothing where it takes it."""
    with pytest.raises(SystemExit) as end:
        _command().main(args=words, prog_name="forebay")
    said = capsys.readouterr().err
    assert bool(end.value.code) == bool(said), said
    return said


def _is_named_only(words: list[str]) -> bool:
    """Say whether a sentence names a verb or an option, as `forebay dead` does, and runs nothing.

    Its words then have to be in the command: verbs, and at most one option at the end.
    """
    command: object = _command()
    for index, word in enumerate(words):
        if isinstance(command, TyperGroup) and word in command.commands:
            command = command.commands[word]
        else:
            assert isinstance(command, TyperCommand | TyperGroup)
            options = {option for param in command.params for option in param.opts}
            return index == len(words) - 1 and word in options
    return True


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_line_of_the_docs_is_taken(
    page: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _words(line)
    if not _is_named_only(words):
        assert _problem_of(words, capsys) == "", page


def test_command_lines_are_found() -> None:
    assert len(LINES) > FEWEST_LINES


@pytest.mark.parametrize(
    "line",
    [
        "deads",
        "dead list",
        "dead ls --sinc 1h",
        "destinations retry-now acme/shop",
        "destinations ls --no-such",
        "events ls --limit many",
        "simulate --no-such",
    ],
)
def test_a_command_line_that_is_wrong_is_noticed(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = _words(line)
    assert not _is_named_only(words)
    assert _problem_of(words, capsys)
