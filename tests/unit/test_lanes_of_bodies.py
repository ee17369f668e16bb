"""The receiver's quick look at a body finds the same lane as the splitter's full one."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forebay.core.items import split
from forebay.core.lanes import lane_of
from forebay.core.subjects import Lane
from forebay.core.tables import Provider
from support.bodies import Json, Webhook, json_values, odd_bodies, of_json, webhooks
from support.corpus import Payload, payload

PROVIDERS: tuple[Provider, ...] = get_args(Provider)
_PATIENT = settings(deadline=None, max_examples=60)


def most_urgent(provider: Provider, body: bytes) -> Lane:
    found = {item.lane for item in split(provider, body, 0.0)}
    return next(lane for lane in Lane if lane in found)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_file_of_the_corpus_is_in_the_lane_of_its_most_urgent_item(
    payload: Payload, provider: Provider
) -> None:
    assert lane_of(provider, payload.body) is most_urgent(provider, payload.body)


@_PATIENT
@given(webhooks())
def test_a_body_of_known_shapes_is_in_the_lane_of_its_most_urgent_item(webhook: Webhook) -> None:
    found, wanted = lane_of("meta", webhook.body), most_urgent("meta", webhook.body)
    assert found is wanted


@pytest.mark.parametrize(
    ("name", "lane"),
    [
        ("messages-text", Lane.LIVE),
        ("messages-reaction-removed", Lane.LIVE),
        ("calls-connect", Lane.LIVE),
        ("calls-status", Lane.LIVE),
        ("smb-message-echoes", Lane.LIVE),
        ("user-preferences", Lane.LIVE),
        ("batch-mixed", Lane.LIVE),
        ("status-read", Lane.STATUS),
        ("messages-errors", Lane.STATUS),
        ("history", Lane.BULK),
        ("smb-app-state-sync", Lane.BULK),
        ("template-status-update", Lane.BULK),
        ("unknown-field", Lane.BULK),
        ("d360-partner-history", Lane.BULK),
    ],
)
def test_the_lanes_are_those_of_the_design(name: str, lane: Lane) -> None:
    assert lane_of("meta", payload(name).body) is lane


def change(value: Json) -> Json:
    return {"entry": [{"changes": [{"field": "messages", "value": value}]}]}


@pytest.mark.parametrize(
    ("document", "lane"),
    [
        (change({"messages": [], "statuses": [{"id": "1", "status": "read"}]}), Lane.STATUS),
        (change({"messages": [], "statuses": []}), Lane.BULK),
        (change({"messages": "odd"}), Lane.BULK),
        (change("odd"), Lane.BULK),
        ({"entry": [{"changes": []}]}, Lane.BULK),
        ({"entry": ["odd"]}, Lane.BULK),
        ({"entry": []}, Lane.INVALID),
        ({"entry": "odd"}, Lane.INVALID),
        ([], Lane.INVALID),
        ("odd", Lane.INVALID),
    ],
    ids=of_json,
)
def test_a_body_of_an_odd_shape_is_less_urgent(document: Json, lane: Lane) -> None:
    assert lane_of("meta", of_json(document)) is lane


def test_space_between_brackets_holds_no_message() -> None:
    body = b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[ \n\t ]}}]}]}'
    assert lane_of("meta", body) is Lane.BULK


def test_a_property_that_is_repeated_counts_as_every_reader_of_json_counts_it() -> None:
    body = b'{"entry": 5, "entry": [{"changes": []}]}'
    assert lane_of("meta", body) is most_urgent("meta", body) is Lane.BULK


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("body", [b"", b"not json", b'{"entry": [', b"{" * 100_000, b"\xff"])
def test_what_is_no_json_is_invalid(provider: Provider, body: bytes) -> None:
    assert lane_of(provider, body) is Lane.INVALID


def test_any_json_of_a_generic_provider_is_live() -> None:
    for body in (b"1", b"[]", b'{"event": "paid"}', b"null"):
        assert lane_of("generic", body) is Lane.LIVE


@_PATIENT
@given(
    st.binary() | json_values().map(of_json) | odd_bodies(),
    st.sampled_from(PROVIDERS),
)
def test_no_body_is_an_error(body: bytes, provider: Provider) -> None:
    assert lane_of(provider, body) in Lane


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_depth_of_nesting_is_an_error(provider: Provider) -> None:
    for depth in (*range(900, 1010), 100_000):
        nested = b"[" * depth + b"]" * depth
        for body in (nested, b'{"entry":[{"changes":[%s]}]}' % nested):
            assert lane_of(provider, body) in Lane
