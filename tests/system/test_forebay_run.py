"""All of Forebay together, as a user runs it: every accepted item reaches its destination once."""

import json
from pathlib import Path
from typing import Any

import psutil

from support.destinations.sink import Sink
from support.programs.local_run import LocalRun
from support.timing.wait import eventually


def http(sink: Sink) -> dict[str, Any]:
    """Return a destination that posts to the sink and tries again soon."""
    return {
        "name": "sink",
        "http": {"url": sink.url("/items")},
        "retry": {"initialDelay": "1s", "maxDelay": "1s"},
    }


def accepted_tokens(ledger: Path) -> set[str]:
    """Return the `webhook-id` of each item that `forebay simulate` got a 200 for."""
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    return {token for record in records if record["accepted"] for token in record["tokens"]}


async def test_every_accepted_item_arrives_once(tmp_path: Path, sink: Sink) -> None:
    ledger = tmp_path / "ledger.jsonl"
    async with LocalRun(tmp_path, http(sink)) as local_run:
        result = await local_run.simulate(
            *("--rate", "200", "--duration", "5", "--duplicates", "0.05", "--ledger", str(ledger))
        )
        assert (result["sent"], result["accepted"], result["refused"]) == (1000, 1000, {})
        assert result["repeats"] > 0
        wanted = accepted_tokens(ledger)
        assert len(wanted) == result["items"]
        await eventually(lambda: sink.keys >= wanted, within=15, saying="all items at the sink")
        assert await local_run.interrupt() == 0
    assert sink.keys == wanted
    assert not sink.repeats


async def test_a_second_start_goes_on_with_what_was_stored(tmp_path: Path, sink: Sink) -> None:
    ledger = tmp_path / "ledger.jsonl"
    await sink.down()
    local_run = LocalRun(tmp_path, http(sink))
    async with local_run:
        result = await local_run.simulate(
            "--rate", "50", "--duration", "1", "--ledger", str(ledger)
        )
        assert result["accepted"] == 50
        assert await local_run.interrupt() == 0
    await sink.up()
    assert not sink.arrivals
    wanted = accepted_tokens(ledger)
    async with local_run:
        await eventually(lambda: sink.keys >= wanted, within=15, saying="all items at the sink")
    assert sink.keys == wanted
    assert not sink.repeats


async def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, sink: Sink) -> None:
    async with LocalRun(tmp_path, http(sink)) as local_run:
        processes = local_run.processes()
        # Itself, nats-server, the receiver and the processor.
        assert len(processes) >= 4
        assert await local_run.interrupt() == 0
    _, alive = psutil.wait_procs(processes, timeout=0)
    assert not alive
