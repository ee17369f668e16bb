"""`forebay simulate` as a person or a program calls it."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from support.destinations.sink import Sink
from support.programs.ports import HOST, free_port
from support.programs.python_process import PythonProcess, python
from support.timing.wait import eventually

COMMAND = ("-m", "forebay", "simulate")


def start(*arguments: str) -> PythonProcess:
    return python(*COMMAND, *arguments)


async def output_of(process: PythonProcess) -> tuple[int, str, str]:
    ended = await process.ended(within=20)
    return ended.code, ended.out, ended.err


async def run(*arguments: str) -> tuple[int, str, str]:
    return await output_of(start(*arguments))


def figures(out: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(out.splitlines()[-1])
    return parsed


async def test_the_last_line_is_one_json_object(sink: Sink) -> None:
    code, out, err = await run(
        "--url", sink.url(), "--rate", "50", "--duration", "0.4", "--duplicates", "1", "--json"
    )
    seen = figures(out)
    assert (code, err) == (0, "")
    assert (seen["sent"], seen["accepted"], seen["items"]) == (20, 20, 20)
    assert (seen["repeats"], seen["retries"], seen["refused"]) == (20, 0, {})
    latency = seen["ack_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    assert 0.3 < seen["seconds"] < 10
    assert len(sink.arrivals) == 40


async def test_a_person_gets_a_table(sink: Sink) -> None:
    code, out, err = await run("--url", sink.url(), "--rate", "50", "--duration", "0.2")
    assert (code, err) == (0, "")  # no progress bar: nobody watches
    for row in (
        "sent",
        "accepted",
        "refused",
        "repeats",
        "ack p50",
        "ack p95",
        "ack p99",
        "ack max",
    ):
        assert row in out


async def test_a_progress_bar_shows_on_a_terminal_while_the_run_goes_on(sink: Sink) -> None:
    ours, theirs = os.openpty()
    arguments = ("--url", sink.url(), "--rate", "20", "--duration", "1", "--json")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = python(*COMMAND, *arguments, stderr=theirs, environment=environment)
        os.close(theirs)
        code, out, _ = await output_of(process)
        shown = terminal.read(65_536).decode()
    assert code == 0
    assert figures(out)["accepted"] == 20
    assert "Sending" in shown
    assert "accepted, 0 refused" in shown


async def test_the_ledger_has_a_line_per_webhook(sink: Sink, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    await run("--url", sink.url(), "--rate", "50", "--duration", "0.2", "--ledger", str(ledger))
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(10))
    assert all(line["accepted"] and line["attempts"] == 1 for line in lines)
    ids = {arrival.body.partition(b'"id":"wamid')[2].split(b'"')[0] for arrival in sink.arrivals}
    assert {line["keys"][0].split("wamid")[1].split(":")[0].encode() for line in lines} == ids
    assert all(len(line["tokens"][0]) == 32 for line in lines)


async def test_webhooks_that_are_never_accepted_give_exit_code_1() -> None:
    url = f"http://{HOST}:{free_port()}/"
    code, out, _ = await run(
        "--url", url, "--rate", "20", "--duration", "0.2", "--retry-for", "0", "--json"
    )
    seen = figures(out)
    assert code == 1
    assert (seen["sent"], seen["accepted"], seen["refused"]) == (4, 0, {"connection": 4})
    assert seen["ack_ms"] == {"p50": None, "p95": None, "p99": None, "max": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--url", "https://hooks.example.com/"), "give --allow-remote if you have it"),
        (("--url", "here"), "is no URL to send to"),
        (("--url", "http://127.0.0.1/", "--rate", "-1"), "the rate has to be above 0"),
        (("--url", "http://127.0.0.1/", "--header", "x"), "a header is given as 'Name: value'"),
        (("--url", "http://127.0.0.1/", "--payloads", "/nowhere"), "no .json files in /nowhere"),
        (("--url", "http://127.0.0.1/", "--ledger", "/nowhere/x"), "cannot be written"),
    ],
)
async def test_what_cannot_be_used_is_reported_in_one_sentence(
    arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = await run(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("forebay simulate: ")
    assert err.count("\n") == 1
    assert out == ""


async def test_an_unknown_provider_is_a_usage_error() -> None:
    code, _, err = await run("--url", "http://127.0.0.1/", "--provider", "generic")
    assert code == 2
    assert "'360dialog'" in err


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_ends_the_run_and_still_shows_the_figures(
    sink: Sink, which: signal.Signals
) -> None:
    process = start("--url", sink.url(), "--rate", "20", "--duration", "60", "--json")
    await eventually(lambda: len(sink.arrivals) >= 5, saying="the first webhooks")
    process.send_signal(which)
    code, out, _ = await output_of(process)
    seen = figures(out)
    assert code == 0
    assert 5 <= seen["sent"] == seen["accepted"] < 200


async def test_ctrl_c_does_not_wait_for_retries(sink: Sink) -> None:
    sink.status = 503
    process = start("--url", sink.url(), "--rate", "20", "--duration", "60", "--json")
    await eventually(lambda: len(sink.arrivals) >= 5, saying="the first webhooks")
    process.send_signal(signal.SIGINT)
    code, out, _ = await output_of(process)
    assert code == 1
    assert figures(out)["accepted"] == 0


async def test_the_secret_may_come_from_the_environment(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREBAY_SIMULATE_SECRET", "example-app-secret")
    code, _, _ = await run("--url", sink.url(), "--rate", "1", "--duration", "1")
    assert code == 0
    assert sink.arrivals[0].headers["x-hub-signature-256"].startswith("sha256=")


async def test_the_help_teaches() -> None:
    code, out, _ = await run("--help")
    assert code == 0
    for word in ("--duplicates", "--payloads", "--allow-remote", "forebay simulate --url", "Exits"):
        assert word in out
