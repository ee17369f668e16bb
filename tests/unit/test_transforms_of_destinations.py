"""What a transform makes of an item before it is handed to a destination of any kind."""

import json

import msgspec
import pytest
from msgspec.structs import replace

from forebay.core.body_item import BODY_KIND
from forebay_processor.delivery.resting_expressions import (
    REST_TIMES,
    SLOW_SECONDS,
    RestingExpressions,
)
from forebay_processor.delivery.transforms import transformed as transform
from forebay_processor.destinations.cloudevents import encode_event, event_of
from forebay_processor.destinations.http.destination import posted
from forebay_processor.destinations.port import Attempt, Failed, Rejected
from support.inputs.events import attempt_of, corpus_events


def transformed(expression: str, attempt: Attempt) -> Attempt | Failed | Rejected:
    return transform(expression, attempt, RestingExpressions(lambda: 0.0))


def text_attempt() -> Attempt:
    return attempt_of(next(each.item for each in corpus_events() if each.file == "messages-text"))


def made(expression: str) -> Attempt:
    found = transformed(expression, text_attempt())
    assert isinstance(found, Attempt)
    return found


def test_an_event_keeps_all_but_its_data() -> None:
    plain = json.loads(encode_event(text_attempt()))
    assert plain["subject"]
    assert json.loads(encode_event(made("{only: kind}"))) == {
        **plain,
        "transformed": True,
        "data": {"only": "messages"},
    }


def test_a_transformed_event_has_no_model_for_a_handler() -> None:
    same = event_of(made("data"))
    assert same.value() == event_of(text_attempt()).value()
    assert event_of(text_attempt()).typed() is not None
    assert same.typed() is None


@pytest.mark.parametrize("content_type", ["application/cloudevents+json", "application/json"])
def test_plain_json_is_the_result_and_a_cloudevent_holds_it(content_type: str) -> None:
    body, headers = posted(made("[id]"), (), 0, content_type)
    token = text_attempt().token
    assert headers["webhook-id"] == token
    found = json.loads(body)
    assert (found if content_type == "application/json" else found["data"]) == [token]


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("data.nothing", "transform: it gives null: what it reads is not there"),
        ("length(superseded)", "transform: length() is not for a value of type boolean"),
    ],
)
def test_what_makes_nothing_is_rejected(expression: str, sentence: str) -> None:
    assert transformed(expression, text_attempt()) == Rejected(sentence)


def test_one_that_cannot_be_compiled_keeps_items_waiting() -> None:
    assert transformed("upper(id)", text_attempt()) == Failed("the transform cannot be compiled")


def test_a_whole_webhook_stays_as_it_came() -> None:
    attempt = text_attempt()
    webhook = replace(
        attempt, item=replace(attempt.item, kind=BODY_KIND, data=msgspec.Raw(b'{"body": ""}'))
    )
    assert transformed("{x: id}", webhook) is webhook


def test_one_that_takes_long_rests_and_its_items_wait_that_long() -> None:
    spent = iter([0.0, 2 * SLOW_SECONDS, 1.0, 1.0])
    resting = RestingExpressions(lambda: 100.0, lambda: next(spent))
    assert isinstance(transform("{id: id}", text_attempt(), resting), Attempt)
    waits = transform("{id: id}", text_attempt(), resting)
    assert isinstance(waits, Failed)
    assert waits.error == "the transform took long, and rests"
    assert waits.retry_after == pytest.approx(2 * SLOW_SECONDS * REST_TIMES)
    assert isinstance(transform("{kind: kind}", text_attempt(), resting), Attempt)
