"""Subjects can be read back, and nothing that a provider sends can bend them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.endpoint_name import EndpointName, is_dns_label
from forebay.core.item_kinds import KINDS
from forebay.core.subjects import (
    PARTITIONS,
    EventSubject,
    Lane,
    RawSubject,
    RetrySubject,
    conversation_partition,
    conversation_token,
    endpoint_partition,
    key_token,
)

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
ENDPOINTS = st.builds(EndpointName, LABELS, LABELS)
PLACES = st.integers(0, PARTITIONS - 1)
LANES = st.sampled_from(Lane)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TOKENS = ANY_TEXT.map(key_token)


@given(st.builds(RawSubject, LABELS, PLACES, LANES, ENDPOINTS))
def test_a_subject_of_raw_is_read_as_it_was_written(subject: RawSubject) -> None:
    assert RawSubject.parse(str(subject)) == subject


@given(st.builds(EventSubject, LABELS, PLACES, LANES, ENDPOINTS, st.sampled_from(KINDS), TOKENS))
def test_a_subject_of_events_is_read_as_it_was_written(subject: EventSubject) -> None:
    assert EventSubject.parse(str(subject)) == subject


@given(st.builds(RetrySubject, LABELS, PLACES, LANES, ENDPOINTS, LABELS, TOKENS, TOKENS))
def test_a_subject_of_retry_is_read_as_it_was_written(subject: RetrySubject) -> None:
    assert RetrySubject.parse(str(subject)) == subject


@pytest.mark.parametrize("kind", [RawSubject, EventSubject, RetrySubject])
@pytest.mark.parametrize(
    "text", ["", "forebay", "forebay.raw.0.06.hasty.demo.meta", "forebay.other.0.06.live.a.b"]
)
def test_another_subject_is_refused(
    kind: type[RawSubject | EventSubject | RetrySubject], text: str
) -> None:
    with pytest.raises(ValueError, match=r"unpack|no subject|not a valid"):
        kind.parse(text)


@given(ANY_TEXT, ANY_TEXT)
def test_tokens_fit_a_subject_whatever_they_stand_for(key: str, person: str) -> None:
    assert re.fullmatch("[0-9a-f]{32}", key_token(key))
    assert re.fullmatch("[0-9a-f]{16}", conversation_token(key, person))


def test_a_person_is_not_mistaken_for_a_part_of_the_channel() -> None:
    assert conversation_token("1082", "1") != conversation_token("108", "21")


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_fits_a_subject(kind: str) -> None:
    assert is_dns_label(kind)


@given(ENDPOINTS, TOKENS)
def test_partitions_are_those_that_there_are(endpoint: EndpointName, conversation: str) -> None:
    assert endpoint_partition(endpoint, "0") in range(PARTITIONS)
    assert conversation_partition(endpoint, conversation, "0") in range(PARTITIONS)


def test_conversations_of_one_endpoint_are_spread_over_all_partitions() -> None:
    endpoint = EndpointName("demo", "meta")
    found = {
        conversation_partition(endpoint, conversation_token("1082", str(person)), "0")
        for person in range(500)
    }
    assert found == set(range(PARTITIONS))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "demo",
        "demo/",
        "/meta",
        "demo/meta/x",
        "Demo/meta",
        "demo/me.ta",
        "de mo/meta",
        "demo/*",
        "demo/>",
        "demo/-meta",
        f"demo/{'x' * 51}",
    ],
)
def test_a_name_that_would_not_fit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="namespace/name"):
        EndpointName.parse(text)
