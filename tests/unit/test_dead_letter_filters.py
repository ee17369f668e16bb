"""Which dead letters a filter means, and what a replayed one is stored as."""

from datetime import UTC, datetime, timedelta

import pytest

from forebay.core import envelope
from forebay.core.body_item import body_item
from forebay.core.dead_letters import (
    DEATHS_KEPT,
    DeadLetter,
    DeadLetterFilter,
    Death,
    dead_letter_of_row,
    replay_row,
)
from forebay.core.endpoint_name import EndpointName
from forebay.core.envelope import encode_item
from forebay.core.subjects import (
    DeadSubject,
    Lane,
    RetrySubject,
    conversation_partition,
    replay_subjects,
)
from support.inputs.corpus import PAYLOADS, Payload
from support.inputs.splitting import split

SHOP = EndpointName("acme", "shop")
DIED = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


def letter(payload: Payload, reason: str = "Rejected") -> DeadLetter:
    """Return the dead letter of a body's first item."""
    item = split("360dialog" if "d360" in payload.name else "meta", payload.body, 0.0)[0]
    headers = {
        envelope.REASON: reason,
        envelope.ATTEMPTS: "3",
        envelope.CONVERSATION: item.conversation,
        envelope.RECEIVED_AT: "1795165201000",
        envelope.TRACEPARENT: "00-1-2-01",
    }
    subject = str(DeadSubject("0", SHOP, "crm", item.token))
    return DeadLetter.read(subject, 7, DIED, headers, encode_item(item))


TEXT = letter(PAYLOADS["messages-text"])
ITEM_KEY = PAYLOADS["messages-text"].keys()[0]
WAMID = ITEM_KEY.split(":")[2]


@pytest.mark.parametrize(
    "wanted",
    [
        DeadLetterFilter(),
        DeadLetterFilter(kind="messages", reason="rejected"),
        DeadLetterFilter(wamid=WAMID),
        DeadLetterFilter(key=TEXT.subject.key[:8]),
        DeadLetterFilter(since=DIED),
        DeadLetterFilter(since=DIED - timedelta(days=1), until=DIED + timedelta(microseconds=1)),
    ],
)
def test_it_is_meant(wanted: DeadLetterFilter) -> None:
    assert wanted.matches(TEXT)


@pytest.mark.parametrize(
    "wanted",
    [
        DeadLetterFilter(kind="statuses"),
        DeadLetterFilter(reason="Expired"),
        DeadLetterFilter(wamid=WAMID[:-1]),
        DeadLetterFilter(wamid=ITEM_KEY.split(":")[0]),
        DeadLetterFilter(key="0" * 8),
        DeadLetterFilter(since=DIED + timedelta(microseconds=1)),
        DeadLetterFilter(until=DIED),
    ],
)
def test_it_is_not_meant(wanted: DeadLetterFilter) -> None:
    assert not wanted.matches(TEXT)


def test_a_filter_asks_for_no_more_subjects_than_it_needs() -> None:
    assert DeadLetterFilter().subjects("0") == ">"
    assert DeadLetterFilter(destination="crm").subjects("0") == "forebay.dead.0.*.*.crm.*"
    key = TEXT.subject.key
    wanted = DeadLetterFilter(endpoint=SHOP, destination="crm", key=key)
    assert wanted.subjects("0") == f"forebay.dead.0.acme.shop.crm.{key}" == str(TEXT.subject)
    assert DeadLetterFilter(endpoint=SHOP, key=key[:8]).subjects("0").endswith("acme.shop.*.*")


def test_every_kind_of_item_is_found_by_its_own_id(payload: Payload) -> None:
    one = letter(payload)
    assert one.item is not None
    own = one.item.key.split(":")
    if own[0] in {"msg", "st", "echo", "call", "callst", "histmedia"}:
        assert DeadLetterFilter(wamid=own[2]).matches(one)


def test_a_whole_webhook_is_found_by_a_message_in_it() -> None:
    body = PAYLOADS["messages-text"].body
    item = body_item(body, {}, split("meta", body, 0.0), 0.0)
    subject = str(DeadSubject("0", SHOP, "crm", item.token))
    one = DeadLetter.read(subject, 7, DIED, {}, encode_item(item))
    assert DeadLetterFilter(wamid=WAMID, kind="body").matches(one)
    assert not DeadLetterFilter(wamid=WAMID[:-1]).matches(one)


def test_a_replayed_row_begins_anew_in_its_own_partition_and_lane() -> None:
    subject, headers = replay_row(TEXT, "crm")
    row = RetrySubject.parse(subject)
    conversation = TEXT.headers[envelope.CONVERSATION]
    partition = conversation_partition(SHOP, conversation, "0")
    assert row == ("0", partition, "replay", SHOP, "crm", conversation, TEXT.subject.key)
    assert subject.startswith(replay_subjects("0", partition).removesuffix(">"))
    assert row.is_replay
    assert (headers[envelope.ATTEMPTS], headers[envelope.ORDER]) == ("0", "0")
    # It is due, and as old as RETRY's message, whatever the clock of whoever replays it says.
    assert not {envelope.DUE_AT, envelope.FIRST_TRIED_AT} & headers.keys()
    assert headers[envelope.RECEIVED_AT] == "1795165201000"
    assert envelope.REASON not in headers
    assert dead_letter_of_row(headers) == (TEXT.subject, 7)


def test_a_letters_earlier_deaths_go_with_it_the_newest_of_them() -> None:
    letter = TEXT
    for number in range(DEATHS_KEPT + 1):
        _, headers = replay_row(letter, f"to-{number}")
        headers |= {envelope.REASON: f"reason-{number}", envelope.ATTEMPTS: str(number)}
        subject = str(letter.subject._replace(destination=f"to-{number}"))
        letter = DeadLetter.read(subject, 8 + number, DIED, headers, b"")
    assert len(letter.deaths) == DEATHS_KEPT
    assert [each.destination for each in letter.deaths] == [f"to-{n}" for n in range(DEATHS_KEPT)]
    assert letter.deaths[-1] == Death(int(DIED.timestamp() * 1000), "to-4", "reason-4", 4, "")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[[1]]",
        pytest.param(f'[[1,"a","b",1,"c",{DEEP}]]', id="deep"),
        f'[[{2**63 - 1},"a","b",1,"c"]]',
        '[[-99999999999999,"a","b",1,"c"]]',
    ],
)
def test_deaths_that_cannot_be_read_are_none(text: str) -> None:
    headers = {envelope.DEATHS: text}
    assert DeadLetter.read(str(TEXT.subject), 1, DIED, headers, b"").deaths == ()


@pytest.mark.parametrize("text", ["x", "-1", "²", "1e3", "9" * 15, "9" * 30, "9" * 5000])
def test_a_number_that_is_none_keeps_no_letter_from_being_shown(text: str) -> None:
    headers = {envelope.RECEIVED_AT: text, envelope.ATTEMPTS: f"{text}{text}"}
    odd = DeadLetter.read(str(TEXT.subject), 1, DIED, headers, b"")
    assert odd.received_at is None
    assert odd.attempts == 0


def test_a_replayed_row_is_distinguished_from_the_items_own_row() -> None:
    own = RetrySubject("0", 3, Lane.LIVE, SHOP, "crm", "c" * 16, "k" * 32)
    replayed = own._replace(lane="replay")
    assert not own.is_replay
    assert own.row_key != replayed.row_key
    assert RetrySubject.parse(str(replayed)) == replayed


@pytest.mark.parametrize(
    "text", ["", "x 1", "forebay.dead.0.acme.shop.crm.k", "forebay.raw.0.a.b.c.d 1"]
)
def test_a_row_of_no_letter_is_of_none(text: str) -> None:
    assert dead_letter_of_row({envelope.REPLAY_OF: text}) is None
    assert dead_letter_of_row({}) is None


def test_a_payload_that_is_no_item_is_a_letter_all_the_same() -> None:
    one = DeadLetter.read(str(TEXT.subject), 1, DIED, {}, b"\xff")
    assert (one.kind, one.reason, one.attempts, one.received_at) == ("unreadable", "", 0, None)
    assert DeadLetterFilter(kind="unreadable").matches(one)
    assert not DeadLetterFilter(wamid="x").matches(one)
    conversation = RetrySubject.parse(replay_row(one, "crm")[0]).conversation
    assert conversation == TEXT.subject.key[:16]
