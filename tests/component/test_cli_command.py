"""The `forebay` command teaches, and ends with one sentence and a code that means something."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forebay import __version__
from forebay.cli.failures import exit_code, import_part, require
from forebay.cli.main import main
from forebay.core.errors import ConfigurationError, ForebayError
from support.programs.ports import HOST
from support.programs.python_process import Ended, python

FIRST_IMPORTS = """\
import sys
import forebay.cli.main
heavy = {"fastapi", "uvicorn", "aiohttp", "nats", "pydantic", "yaml", "msgspec", "rich.live"}
print(sorted(heavy & set(sys.modules)))
"""


def forebay(*arguments: str, cwd: Path) -> Ended:
    return python("-m", "forebay", *arguments, cwd=cwd).outcome()


def test_the_version_is_printed(tmp_path: Path) -> None:
    """By an interpreter of its own: nothing is imported beforehand."""
    ended = subprocess.run(
        [sys.executable, "-m", "forebay", "--version"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ended.returncode, ended.stdout) == (0, f"forebay {__version__}\n")


@pytest.mark.parametrize(
    "verb",
    [
        "run",
        "simulate",
        "size",
        "tables",
        "receiver",
        "processor",
        "dead",
        "destinations",
        "waiting",
    ],
)
def test_the_help_names_each_verb_and_each_verb_has_its_own(verb: str, tmp_path: Path) -> None:
    assert verb in forebay("--help", cwd=tmp_path).out
    ended = forebay(verb, "--help", cwd=tmp_path)
    assert ended.code == 0
    assert f"forebay {verb}" in ended.out


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        ("--help", "serves the endpoints in examples/"),
        ("run", "a receiver and a processor, and serves the WebhookEndpoint manifests"),
        ("simulate", "with growing delay, as the providers do"),
        ("dead", "unless you ask for it with show --reveal"),
        ("destinations", "so what is shown is of all of them together"),
    ],
)
def test_help_is_wrapped_by_the_terminal_alone(
    verb: str, sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Room for every paragraph on a line of its own.
    monkeypatch.setenv("COLUMNS", "500")
    with pytest.raises(SystemExit, match="0"):
        main([verb] if verb == "--help" else [verb, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert sum(sentence in line for line in lines) == 1
    # An example is never joined to another.
    assert all(line.count("  forebay dead ") < 2 for line in lines)


PRINTS = """\
import sys
from forebay.cli import main
@main.app.command()
def prints(way: str) -> None:
    if way == "rich":
        from rich.console import Console
        Console().print("something")
    elif way == "flushed":
        print("something", flush=True)
    else:
        print("something")
    if way == "connection":
        import errno
        raise BrokenPipeError(errno.EPIPE, "a connection was closed")
    if way == "failed":
        from forebay.core.errors import ForebayError
        raise ForebayError("it failed")
sys.exit(main.main(["prints", sys.argv[1]]))
"""


@pytest.mark.parametrize("way", ["rich", "flushed", "kept until the end", "failed"])
def test_it_ends_quietly_where_whoever_reads_its_output_has_left(way: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", PRINTS, way],
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": ""},
            check=False,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
        )
    finally:
        os.close(writer)
    message = "forebay: it failed\n" if way == "failed" else ""
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, message)


def test_a_broken_pipe_of_something_else_is_not_taken_for_that_of_the_output(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PRINTS, "connection"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ended.returncode, ended.stdout) == (1, "something\n")
    last = ended.stderr.splitlines()[-1]
    assert last == "BrokenPipeError: [Errno 32] a connection was closed"


@pytest.mark.parametrize(
    ("closed", "arguments", "code", "message"),
    [
        (">&-", "--version", 0, ""),
        (">&-", "dead ls --nats-url http://x", 2, "forebay: 'http://x' is no URL of NATS: "),
        (">&-", "run", 2, "forebay: there is no folder examples/ here: "),
        ("2>&-", "run", 2, ""),
        ("<&-", "run", 2, "forebay: there is no folder examples/ here: "),
    ],
)
def test_what_is_closed_from_the_start_is_no_hindrance(
    closed: str, arguments: str, code: int, message: str, tmp_path: Path
) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m forebay {arguments} {closed}', sys.executable],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith(message)
    assert ended.stderr.count("\n") == (1 if message else 0)


def test_help_is_quick_for_it_imports_no_part(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_IMPORTS],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "[]\n"


def test_run_without_manifests_says_what_to_do(tmp_path: Path) -> None:
    ended = forebay("run", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err == (
        "forebay: there is no folder examples/ here: "
        "name a manifest, or a folder with some, by -f\n"
    )


def test_a_bad_manifest_is_refused_with_file_line_and_field_and_nothing_is_left(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: forebay.dev/v1alpha1\nkind: WebhookEndpoint\nmetadata: {name: a}\n"
        "spec:\n  provider: meta\n  autentication: {none: true}\n"
        "  destinations: [{name: log, log: {}}]\n",
    )
    ended = forebay("run", "-f", "a.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err == (
        "forebay: a.yaml:6: default/a: spec.autentication: there is no such field: "
        "did you mean `authentication`?\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: forebay.dev/v1alpha1\nkind: WebhookEndpoint\nmetadata: {name: a}\n"
        "spec:\n  provider: meta\n"
        "  authentication: {signature: {secrets: [{secretKeyRef: {name: s, key: k}}]}}\n"
        "  destinations: [{name: log, log: {}}]\n"
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: ''}\n",
    )
    ended = forebay("run", "-f", "a.yaml", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err == (
        "forebay: a.yaml:6: default/a: spec.authentication.signature.secrets[0]: "
        "key 'k' of Secret 's' is empty: give it a value\n"
    )


def test_a_url_that_is_none_of_nats_is_refused(tmp_path: Path) -> None:
    ended = forebay("run", "--nats-url", "http://127.0.0.1", cwd=tmp_path)
    assert ended.code == 2
    assert "is no URL of NATS: give one such as nats://127.0.0.1:4222" in ended.err


@pytest.mark.parametrize(
    ("provider", "message"),
    [("generic", "such an endpoint takes any JSON"), ("mta", "there are 'meta' and '360dialog'\n")],
)
def test_a_provider_that_cannot_be_played_is_reported_in_one_sentence(
    provider: str, message: str, tmp_path: Path
) -> None:
    url = f"http://{HOST}:1/v1/webhooks/demo/meta"
    ended = forebay("simulate", "--url", url, "--provider", provider, cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.startswith(f"forebay simulate: --provider {provider!r} cannot be played: ")
    assert message in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("verb", [[], ["run"], ["dead"], ["dead", "ls"]])
def test_h_is_help(verb: list[str], tmp_path: Path) -> None:
    short, long = forebay(*verb, "-h", cwd=tmp_path), forebay(*verb, "--help", cwd=tmp_path)
    assert (short.code, short.out) == (0, long.out)


def test_shells_can_be_taught_to_complete(tmp_path: Path) -> None:
    assert "--install-completion" in forebay("--help", cwd=tmp_path).out


@pytest.mark.parametrize("part", ["receiver", "processor"])
def test_a_setting_that_cannot_be_used_is_named(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREBAY_TABLE_DIR", str(tmp_path))
    monkeypatch.setenv("FOREBAY_NATS_URL", f"http://{HOST}")
    ended = forebay(part, cwd=tmp_path)
    assert ended.code == 2
    assert "FOREBAY_NATS_URL" in ended.err
    assert "Traceback" not in ended.err


def test_expected_errors_end_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_what_cannot_be_used_and_what_failed_have_codes_of_their_own() -> None:
    assert exit_code(ConfigurationError("x")) == 2
    assert exit_code(ForebayError("x")) == 1


def test_a_missing_library_is_reported_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_a_library.py").write_text("import no_such_library.client\n")
    (tmp_path / "needs_ourselves.py").write_text("import forebay.no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    advice = "'no_such_library' is not installed here: install forebay[processor]"
    with pytest.raises(ConfigurationError, match=r"forebay\[processor\]") as caught:
        import_part("needs_a_library", "processor")
    assert str(caught.value) == advice
    with pytest.raises(ConfigurationError) as caught:
        require("processor", "json", "no_such_library")
    assert str(caught.value) == advice
    with pytest.raises(ModuleNotFoundError):  # a bug of ours is no advice to install something
        import_part("needs_ourselves", "processor")
