"""What `forebay events show` says of an item that waits."""

from datetime import UTC, datetime, timedelta

import pytest

from forebay.cli.printers.events_show_printer import print_stories
from forebay.core.endpoint_name import EndpointName
from forebay.core.index_records import IndexOutcome, ItemHandled, ItemStored
from forebay.core.subjects import Lane, RetrySubject
from forebay.runtime.item_index import ItemStory
from forebay.runtime.jetstream.api import StoredMessage

BEGAN = datetime(2026, 12, 1, 4, 44, 32, tzinfo=UTC)
DUE = BEGAN + timedelta(seconds=1)
TOKEN = "a1540dae8ad5f89cb05386fd98bf134c"
SUBJECT = str(RetrySubject("0", 0, Lane.LIVE, EndpointName("acme", "shop"), "crm", "c0ffee", TOKEN))


def millis(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def story() -> ItemStory:
    stored = ItemStored(
        at=millis(BEGAN),
        token=TOKEN,
        message="m",
        endpoint="acme/shop",
        kind="messages",
        conversation="c",
        channel="1",
        outcome=IndexOutcome.NEW,
        received=millis(BEGAN),
        raw=7,
    )
    failed = ItemHandled(
        at=millis(BEGAN),
        token=TOKEN,
        endpoint="acme/shop",
        kind="messages",
        conversation="c",
        channel="1",
        destination="crm",
        outcome=IndexOutcome.FAILED,
        attempt=1,
        millis=13,
        why="status 401",
        due=millis(DUE),
    )
    row = StoredMessage(SUBJECT, 1, BEGAN, {}, b"")
    return ItemStory(token=TOKEN, shard="0", stored=(stored,), handled=(failed,), waiting=(row,))


def last_line(now: datetime, capsys: pytest.CaptureFixture[str]) -> str:
    print_stories([story()], "table", reveal=False, now=now)
    return capsys.readouterr().out.splitlines()[-1].strip()


def test_the_next_attempt_is_named_while_it_is_to_come(capsys: pytest.CaptureFixture[str]) -> None:
    assert last_line(BEGAN, capsys).endswith("next attempt 2026-12-01T04:44:33.000Z or later")


def test_an_attempt_whose_time_is_over_is_not_named_as_the_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = last_line(DUE + timedelta(minutes=4), capsys)
    assert "next attempt" not in now
    assert "`forebay destinations ls`" in now
