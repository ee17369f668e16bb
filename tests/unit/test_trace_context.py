"""`traceparent`: what is read, what a stranger's odd values come to, and the trace of a replay."""

import pytest

from forebay.core import envelope
from forebay.core.trace_context import (
    TraceContext,
    context_of,
    parse_traceparent,
    trace_id_of,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TEXT = f"00-{TRACE}-{SPAN}-01"


def test_a_context_is_read_and_written() -> None:
    context = parse_traceparent(TEXT)
    assert context == TraceContext(TRACE, SPAN, is_sampled=True)
    assert context.header == TEXT


@pytest.mark.parametrize(
    ("flags", "is_sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)]
)
def test_only_the_lowest_flag_says_that_it_is_recorded(flags: str, *, is_sampled: bool) -> None:
    context = parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}")
    assert context is not None
    assert context.is_sampled is is_sampled


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "odd",
        f"01-{TRACE}-{SPAN}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{TEXT}-extra",
        f"{TEXT}\n",
        f" {TEXT}",
        f"{TEXT}, {TEXT}",
        TEXT.replace("a", "\N{FULLWIDTH DIGIT ONE}"),
        "00-" + "1" * 100_000,
    ],
)
def test_what_is_not_of_the_standards_form_is_none(text: str | None) -> None:
    assert parse_traceparent(text) is None


def test_a_replay_has_a_trace_of_its_own_the_same_for_whoever_tries_it() -> None:
    headers = {envelope.TRACEPARENT: TEXT, envelope.REPLAY_OF: "forebay.dead.0.a.b.crm.k 7"}
    replay = context_of(headers, "crm")
    assert replay is not None
    assert replay == context_of(headers, "crm")
    assert replay.is_sampled
    assert parse_traceparent(replay.header) == replay
    others = (
        context_of(headers, "billing"),
        context_of({**headers, envelope.REPLAY_OF: "forebay.dead.0.a.b.crm.k 8"}, "crm"),
    )
    ids = {TRACE, replay.trace_id, *(each.trace_id for each in others if each is not None)}
    assert len(ids) == 4


def test_a_line_in_the_log_names_a_trace_that_there_is() -> None:
    assert trace_id_of({envelope.TRACEPARENT: TEXT}) == TRACE
    assert trace_id_of({envelope.TRACEPARENT: "private text"}) is None
    assert trace_id_of({}) is None
