"""What `forebay events ls` and `tail` print: masked unless it is revealed, one line an event."""

import json

import pytest

from forebay.cli.printers.events_ls_printer import ItemListPrinter
from forebay.cli.printers.events_tail_printer import TailPrinter
from forebay.core.index_listing import ItemRow
from forebay.core.index_records import IndexOutcome, IndexRecord, ItemHandled, ItemStored

TOKEN = "a1540dae8ad5f89cb05386fd98bf134c"
AT = 1_796_100_000_000
STORED = ItemStored(
    AT, TOKEN, "b" * 16, "acme/shop", "messages", "c0ffee00", "1065", IndexOutcome.NEW, AT, 7
)
FAILED = ItemHandled(
    AT + 5,
    TOKEN,
    "acme/shop",
    "messages",
    "c0ffee00",
    "1065",
    "crm",
    IndexOutcome.FAILED,
    2,
    31,
    "ClientConnectorError",
    AT + 60_000,
    "no such column",
)


def row(*records: IndexRecord) -> ItemRow:
    made = ItemRow("0", records[0])
    for record in records:
        made.add(record)
    return made


def listed(capsys: pytest.CaptureFixture[str], *, as_json: bool, reveal: bool) -> str:
    printer = ItemListPrinter(as_json=as_json, reveal=reveal)
    printer.rows([row(STORED, FAILED)])
    printer.end(1, "since noon", is_cut=False)
    return capsys.readouterr().out


def test_a_row_says_what_became_of_an_item_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    head, line, end = listed(capsys, as_json=False, reveal=False).splitlines()
    assert head.split()[:3] == ["since", "endpoint", "kind"]
    assert "crm: failed (no connection)" in line
    assert TOKEN[:12] in line
    assert end == "1 item since noon"


@pytest.mark.parametrize("as_json", [False, True])
def test_conversation_and_answer_are_shown_only_where_they_are_revealed(
    capsys: pytest.CaptureFixture[str], *, as_json: bool
) -> None:
    hidden = listed(capsys, as_json=as_json, reveal=False)
    assert "c0ffee" not in hidden
    assert "column" not in hidden
    shown = listed(capsys, as_json=as_json, reveal=True)
    assert "c0ffee00" in shown
    assert "no such column" in shown


def test_a_program_gets_all_facts(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(listed(capsys, as_json=True, reveal=False))
    assert facts["id"] == TOKEN
    assert (facts["stored"], facts["rawSequence"], facts["repeats"]) == ("new", 7, 0)
    (handled,) = facts["handled"]
    assert (handled["destination"], handled["outcome"], handled["attempt"]) == ("crm", "failed", 2)
    assert handled["nextAttemptAt"] == "2026-12-01T04:41:00.000Z"


def test_a_channel_that_is_no_id_of_a_number_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    odd = ItemStored(
        AT, TOKEN, "b" * 16, "acme/shop", "messages", "c", "Jo's number", IndexOutcome.NEW, AT, 7
    )
    ItemListPrinter(as_json=True, reveal=False).rows([row(odd)])
    assert "Jo" not in capsys.readouterr().out


def test_a_followed_event_is_one_line_by_time(capsys: pytest.CaptureFixture[str]) -> None:
    TailPrinter(as_json=False, reveal=False).records([FAILED, STORED])
    first, second = capsys.readouterr().out.splitlines()
    assert "stored (webhook 7 of RAW)" in first
    assert "crm: attempt 2 failed (no connection) in 31 ms, next attempt 2026-" in second
    assert "column" not in second
    assert "c0ffee" not in second


def test_a_followed_event_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    TailPrinter(as_json=True, reveal=True).records([STORED, FAILED])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["outcome"], first["rawSequence"]) == ("new", 7)
    assert (second["outcome"], second["answer"]) == ("failed", "no such column")
    assert second["conversation"] == "c0ffee00"


def test_what_a_terminal_would_obey_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    odd = ItemStored(
        AT, TOKEN, "b" * 16, "acme/shop", "\x1b[2J", "c", "\x1b[31m", IndexOutcome.NEW, AT, 7
    )
    TailPrinter(as_json=False, reveal=True).records([odd])
    ItemListPrinter(as_json=False, reveal=True).rows([row(odd)])
    assert "\x1b" not in capsys.readouterr().out
