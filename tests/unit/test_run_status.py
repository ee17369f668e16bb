"""`forebay status`: what it says of a run, under names that docs/run.md lists, and of none."""

import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from forebay.local.folder import DataFolder
from forebay.local.metrics_reader import EndpointCounts
from forebay.local.status import (
    NothingRuns,
    RecordedEndpoint,
    RunRecord,
    RunStatus,
    document,
    read_status,
    show,
)
from forebay.local.troubles import DestinationStates, TroubledDestination

PAGE = Path(__file__).parents[2] / "docs" / "run.md"
RECORD = RunRecord(
    version="1.2.3",
    pid=os.getpid(),
    started=0.0,
    receiver="http://127.0.0.1:1",
    processor="http://127.0.0.1:1",
    endpoints=(
        RecordedEndpoint(
            endpoint="acme/shop", provider="meta", url="http://x/y", destinations=("crm (http)",)
        ),
    ),
)
STATUS = RunStatus(
    record=RECORD,
    waiting_for={"receiver": [], "processor": ["a connection to NATS"]},
    rows={"acme/shop": EndpointCounts(stored=3, refused=1, refused_reasons={"too_large": 1})},
    states=DestinationStates(
        destinations=(
            TroubledDestination(
                endpoint="acme/shop",
                destination="crm",
                state="Open",
                reason="timeout",
                failures=5,
                failing_seconds=61.0,
                next_attempt_seconds=None,
                waiting=2,
            ),
        ),
        paused=("acme/shop",),
    ),
)


def names(value: Any) -> set[str]:  # noqa: ANN401  # any JSON
    """Return all fields of objects that are no maps by reason or part."""
    match value:
        case dict():
            return set(value) | {each for part in value.values() for each in names(part)}
        case list():
            return {each for part in value for each in names(part)}
        case _:
            return set()


def test_every_field_is_in_the_docs() -> None:
    found = names(document(STATUS)) - {"too_large"}
    assert found == found & set(re.findall(r"`(\w+)`", PAGE.read_text()))


def test_a_status_names_what_goes_wrong_with_reason_and_time() -> None:
    out = io.StringIO()
    show(STATUS, Console(file=out, width=80, color_system=None))
    text = out.getvalue()
    assert "✗ acme/shop → crm  breaker open: no answer in time for 1 min, 2 waiting" in text
    assert "! acme/shop  1 not taken, too_large" in text
    assert "‖ acme/shop  paused" in text
    assert "the processor waits for a connection to NATS" in text
    assert "per s" not in text


async def test_a_folder_without_a_run_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NothingRuns, match="start it with `forebay run`"):
        await read_status(tmp_path)


@pytest.mark.parametrize("left", [b"{", b"{}", b"[]", None])
async def test_a_run_that_is_not_ready_is_waited_for(tmp_path: Path, left: bytes | None) -> None:
    with DataFolder(tmp_path):
        if left is not None:
            (tmp_path / "run.json").write_bytes(left)
        with pytest.raises(NothingRuns, match=f"process {os.getpid()}.*not ready yet"):
            await read_status(tmp_path)


async def test_the_record_of_a_run_that_was_killed_is_none(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    with pytest.raises(NothingRuns, match="nothing runs"):
        await read_status(tmp_path)


async def test_parts_that_do_not_answer_are_said(tmp_path: Path) -> None:
    with DataFolder(tmp_path):
        RECORD.write(tmp_path)
        found = await read_status(tmp_path)
    assert all(found.waiting_for.values())
    assert document(found)["endpoints"][0]["received"] == 0


def test_a_record_is_for_its_owner_only_and_goes_with_the_run(tmp_path: Path) -> None:
    RECORD.write(tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    RunRecord.remove(tmp_path)
    assert not list(tmp_path.iterdir())
