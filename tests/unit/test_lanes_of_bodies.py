"""The receiver's quick search of a body finds the lane that the splitter finds in all of it."""

import gzip
import tracemalloc
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.priority_search_limits import SMALL_BODY
from forebay.core.providers.names import ProviderName
from forebay.core.providers.registry import provider_of
from forebay.core.subjects import Lane
from support.inputs.bodies import Json, Webhook, json_values, odd_bodies, of_json, webhooks
from support.inputs.corpus import Payload, payload
from support.inputs.splitting import split
from support.inputs.worst_bodies import WORST_BODIES
from support.timing.further import one_in

PROVIDERS: tuple[ProviderName, ...] = get_args(ProviderName)


def lane_of(provider: ProviderName, body: bytes, encoding: bytes | None = None) -> Lane:
    return provider_of(provider).body_format.lane_of(body, encoding)


def most_urgent(provider: ProviderName, body: bytes) -> Lane:
    found = {item.lane for item in split(provider, body, 0.0)}
    return next(lane for lane in Lane if lane in found)


def test_a_file_of_the_corpus_is_in_the_lane_of_its_most_urgent_item(payload: Payload) -> None:
    for provider in PROVIDERS:
        assert lane_of(provider, payload.body) is most_urgent(provider, payload.body), provider


@given(webhooks())
def test_a_body_of_known_shapes_is_in_the_lane_of_its_most_urgent_item(webhook: Webhook) -> None:
    if len(webhook.body) <= SMALL_BODY:
        assert lane_of("meta", webhook.body) is most_urgent("meta", webhook.body)


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
def test_what_is_no_json_is_invalid(provider: ProviderName, body: bytes) -> None:
    assert lane_of(provider, body) is Lane.INVALID


def test_any_json_of_a_generic_provider_is_live() -> None:
    for body in (b"1", b"[]", b'{"event": "paid"}', b"null"):
        assert lane_of("generic", body) is Lane.LIVE


@given(
    st.binary() | json_values().map(of_json) | odd_bodies(),
    st.sampled_from(PROVIDERS),
)
def test_no_body_is_an_error(body: bytes, provider: ProviderName) -> None:
    assert lane_of(provider, body) in Lane


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_depth_of_nesting_is_an_error(provider: ProviderName) -> None:
    for depth in (*range(900, 1010), 100_000):
        nested = b"[" * depth + b"]" * depth
        for body in (nested, b'{"entry":[{"changes":[%s]}]}' % nested):
            assert lane_of(provider, body) in Lane


# What is large is searched, and never decoded.


def search(provider: ProviderName, body: bytes) -> tuple[Lane, int]:
    """Search a body; return its lane, and how often others got their turn meanwhile."""
    work, pieces = provider_of(provider).body_format.finding_lane(body), 0
    while True:
        try:
            next(work)
        except StopIteration as end:
            return Lane(end.value), pieces
        pieces += 1


def value_first(document: Json) -> Json:
    """Return the same body with each change's value before its field."""
    for entry in document["entry"]:
        entry["changes"] = [dict(reversed(change.items())) for change in entry["changes"]]
    return document


@given(webhooks(), st.booleans())
def test_a_search_finds_what_the_splitter_finds(webhook: Webhook, is_value_first: bool) -> None:  # noqa: FBT001  # hypothesis
    document = value_first(webhook.document) if is_value_first else webhook.document
    for entry in document["entry"]:
        for change in entry["changes"]:
            if change["field"] == "history":  # within its items they say nothing of the webhook
                change["value"].pop("errors", None)
    body = of_json(document)
    assert search("meta", body)[0] is most_urgent("meta", body)


def test_a_file_of_the_corpus_that_is_made_large_stays_in_its_lane(payload: Payload) -> None:
    large = payload.body.rstrip() + b" " * SMALL_BODY
    for provider in PROVIDERS:
        assert lane_of(provider, large) is lane_of(provider, payload.body), provider


def test_a_large_history_is_no_live_talk_though_its_threads_hold_messages() -> None:
    message = {"id": "1", "errors": [{"code": 1}], "text": {"body": '"field":"messages"' * 9}}
    threads = [{"id": "1", "messages": [message] * 1000}]
    for document in (
        {"entry": [{"changes": [{"field": "history", "value": {"history": threads}}]}]},
        {"entry": [{"changes": [{"value": {"history": threads}, "field": "history"}]}]},
    ):
        assert lane_of("meta", of_json(document)) is Lane.BULK


def test_names_inside_of_texts_are_no_names() -> None:
    text = '{"entry":[{"changes":[{"field":"messages","value":{"messages":[{}]}}]}]}' * 999
    statuses = {"statuses": [{"id": "1", "status": "read", "biz": text}]}
    assert lane_of("meta", of_json(change(statuses))) is Lane.STATUS
    assert lane_of("meta", of_json({"entry": 5, "text": text})) is Lane.INVALID


def test_a_name_on_the_edge_of_a_piece_is_found() -> None:
    for place in range(128 * 1024 - 40, 128 * 1024 + 5):
        head = b'{"entry":[{"changes":[{"field":"messages","value":{"x":"'
        body = head.ljust(place, b"x") + b'","messages":[{"id":"1"}]}}]}]}'
        assert search("meta", body)[0] is Lane.LIVE


def test_an_encoded_body_is_in_the_lane_of_its_content() -> None:
    for name, lane in (("messages-text", Lane.LIVE), ("status-read", Lane.STATUS)):
        assert lane_of("meta", gzip.compress(payload(name).body), b"gzip") is lane
    texts = [{"id": str(number), "text": {"body": "x" * number}} for number in range(2000)]
    large = gzip.compress(of_json(change({"messages": texts})))
    assert lane_of("meta", large, b"GZIP") is Lane.LIVE
    assert lane_of("meta", b"no gzip", b"gzip") is Lane.INVALID
    assert lane_of("meta", large, b"br") is Lane.INVALID


def test_a_compressed_body_whose_beginning_says_nothing_is_split_when_there_is_time() -> None:
    # What it is stands behind what is searched: the splitter finds out.
    body = of_json({"before": "x" * 100_000, **change({"messages": [{"id": "wamid.1"}]})})
    assert lane_of("meta", gzip.compress(body), b"gzip") is Lane.BULK


@pytest.mark.parametrize(
    "body",
    [
        b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"\\ud83d"}]}}]}]}',
        b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"\xff"}]}}]}]}',
        b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":1e400}]}}]}]}',
        b'\xef\xbb\xbf{"entry":[{"changes":[{"field":"messages","value":{"messages":[{}]}}]}]}',
    ],
)
@pytest.mark.parametrize("space", [0, SMALL_BODY])
def test_a_body_that_only_a_tolerant_reader_takes_is_in_its_lane(body: bytes, space: int) -> None:
    assert lane_of("meta", body + b" " * space) is Lane.LIVE


@pytest.mark.parametrize("shape", one_in(4, WORST_BODIES))
def test_the_worst_body_is_searched_in_many_pieces_and_nothing_is_made_of_it(shape: str) -> None:
    body = WORST_BODIES[shape]
    tracemalloc.start()
    lane, pieces = search("meta", body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pieces >= 30 or lane in {Lane.LIVE, Lane.INVALID}, "it was seen at once"
    assert peak < 300_000


@pytest.mark.parametrize("shape", one_in(4, WORST_BODIES))
def test_the_worst_body_that_is_decoded_at_once_stays_small(shape: str) -> None:
    head, tail = WORST_BODIES[shape][: SMALL_BODY // 2], WORST_BODIES[shape][-SMALL_BODY // 2 :]
    tracemalloc.start()
    for body in (head + tail, head + b"]}]}"):
        lane_of("meta", body[:SMALL_BODY])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(("names", "lane"), [(1_500, Lane.LIVE), (10_000, Lane.BULK)])
def test_what_is_searched_at_once_ends_after_more_names_than_a_webhook_has(
    names: int, lane: Lane
) -> None:
    change = b'{"field":"messages","value":{"messages":[{}]}}'
    body = b'{"entry":[0],' + b'"data":1,' * names + b'"more":%s}' % change
    assert SMALL_BODY / 2 < len(body) < 128 * 1024
    assert lane_of("meta", body.ljust(SMALL_BODY + 1)) is lane
