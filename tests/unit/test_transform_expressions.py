"""Transforms in JMESPath: what they make of events, what is refused and where, what they cost."""

import contextlib
import json
from typing import Any, Final

import msgspec
import pytest

from forebay.core.events import Event
from forebay.core.expression_errors import (
    ExpressionFailed,
    ExpressionFailure,
    UnusableExpression,
)
from forebay.core.transform_expression import (
    DATA_BYTES,
    OUTPUT_BYTES,
    WORK,
    compile_transform,
)
from support.inputs.events import corpus_events
from support.timing.starvation import Stopwatch


def text_event() -> Event:
    return next(each.event for each in corpus_events() if each.file == "messages-text")


def event_with(data: bytes) -> Event:
    return msgspec.structs.replace(text_event(), data=msgspec.Raw(data))


def made(text: str, event: Event | None = None) -> Any:  # noqa: ANN401  # any JSON
    return msgspec.json.decode(compile_transform(text).result(event or text_event()))


def failure_of(text: str, event: Event) -> ExpressionFailed:
    with pytest.raises(ExpressionFailed) as failed:
        compile_transform(text).result(event)
    return failed.value


def test_what_comes_out_is_what_the_expression_says() -> None:
    event = text_event()
    message = event.value()["value"]["messages"][0]
    assert made("{id: id, kind: kind, text: data.value.messages[0].text.body}") == {
        "id": event.id,
        "kind": "messages",
        "text": message["text"]["body"],
    }
    assert made("data") == event.value()
    assert made("join(' ', ['from', data.value.messages[0].from])") == f"from {message['from']}"
    assert made("data.value.messages[?type == 'text'] | [0].id") == message["id"]
    assert made("superseded") is False
    assert made("{text: data.nothing}") == {"text": None}


def test_every_event_can_be_handed_on_whole() -> None:
    compiled = compile_transform("@")
    for each in corpus_events():
        made_of_it = msgspec.json.decode(compiled.result(each.event))
        assert made_of_it["data"] == each.event.value(), each.file


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("data.[", "it ends too early"),
        ("{id: id", "it ends too early"),
        ("data ? id", "at character 6: "),
        ("data.value..messages", "at character 12: `.` is not expected here"),
        ("'open", "at character 1: "),
        ("upper(id)", "there is no function upper(): those of JMESPath are abs, avg,"),
        ("length(id, id)", "length() takes 1 of arguments, and 2 are given"),
        ("not_null()", "not_null() takes 1 or more of arguments, and 0 are given"),
        ("[" * 300 + "id" + "]" * 300, "it nests too deeply: 64 levels are the most"),
        ("[" * 4000, "it nests too deeply: 64 levels are the most"),
        ("||".join(["id"] * 80), "it nests too deeply: 64 levels are the most"),
        ("", "this is no expression in JMESPath"),
        ("\x00", "at character 1: "),
    ],
)
def test_what_cannot_be_compiled_says_where_and_why(text: str, sentence: str) -> None:
    with pytest.raises(UnusableExpression) as refusal:
        compile_transform(text)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    ("text", "failure", "sentence"),
    [
        ("data.nothing", ExpressionFailure.MISSING, "it gives null: what it reads is not there"),
        ("length(data.a)", ExpressionFailure.TYPE, "length() is not for a value of type number"),
        ("sum(data.l)", ExpressionFailure.TYPE, "sum() is not for a value of type str"),
        ("&id", ExpressionFailure.TYPE, "it gives something that is no JSON"),
        ("data.l[::0]", ExpressionFailure.TYPE, "a value is not what it expects"),
    ],
)
def test_what_makes_nothing_of_an_event_says_why_and_nothing_that_is_in_it(
    text: str, failure: ExpressionFailure, sentence: str
) -> None:
    failed = failure_of(text, event_with(b'{"a": 15550001234, "l": ["15550001234"]}'))
    assert (failed.failure, str(failed)) == (failure, sentence)


def test_what_is_larger_than_an_expression_may_read_is_not_read() -> None:
    event = event_with(json.dumps("x" * DATA_BYTES).encode())
    assert failure_of("id", event).failure is ExpressionFailure.TOO_LARGE


def test_what_comes_out_is_bounded_however_often_a_value_is_in_it() -> None:
    event = event_with(json.dumps("x" * 20_000).encode())
    twelve = "[data, data, data, data, data, data, data, data, data, data, data, data]"
    assert len(made(twelve, event)) == 12
    failed = failure_of(f"[{twelve}, {twelve}]", event)
    assert failed.failure in {ExpressionFailure.TOO_LARGE, ExpressionFailure.TOO_MUCH_WORK}
    doubled = ".[@, @]" * 12
    assert failure_of(f"data{doubled}", event_with(b'"x"')).failure is (
        ExpressionFailure.TOO_MUCH_WORK
    )


SIZE: Final = DATA_BYTES - 16
WORST: Final = {
    "numbers": b"[" + b",".join([b"1"] * (SIZE // 2)) + b"]",
    "objects": b"[" + b",".join([b'{"a":1}'] * (SIZE // 8)) + b"]",
    "lists": b"[" + b",".join([b"[]"] * (SIZE // 3)) + b"]",
    "words": b"[" + b",".join([b'"ab"'] * (SIZE // 5)) + b"]",
    "text": json.dumps("a" * SIZE).encode(),
    "names": json.dumps({str(name): name for name in range(SIZE // 16)}).encode(),
    "deep": b"[" * 900 + b"]" * 900,
}
"""Data of the size that may be read, as bad as it gets."""

HOSTILE: Final = [
    "data[*].[@,@,@,@]",
    "[data,data,data,data,data,data,data,data].[@,@,@,@,@,@,@,@][].[@,@,@,@,@,@][].[@,@][].[@,@]",
    "data[][][]",
    "[data,data,data,data,data,data,data,data,data,data,data,data,data,data,data,data][][]",
    "data[?@ == `1`]",
    "[data, data][?@ == [data, data]]",
    "data == data",
    "to_string([data,data,data,data])",
    "sort(data)",
    "sort_by(data, &@)",
    "data[*].to_string(@)",
    "join('xxxxxxxxxxxxxxxxxxxxxxxxxxxx', data[*].to_string(@))",
    "map(&[@,@,@], data)",
    "data.*.[@,@]",
    "merge(data, data, data, data)",
    "data[::-1]",
    "reverse(data)",
    "{a: data, b: data, c: data, d: data, e: data}",
    "data" + ".[@,@,@,@]" * 14,
    "contains(data, 'b')",
    "max_by(data, &to_string(@))",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_expression_on_the_worst_data_is_bounded(text: str) -> None:
    compiled = compile_transform(text)
    for data in WORST.values():
        event = event_with(data)
        watch = Stopwatch()
        with contextlib.suppress(ExpressionFailed):
            assert len(compiled.result(event)) <= OUTPUT_BYTES
        # Docs/design/0040 has 15 ms.
        assert watch.busy_seconds < 0.3


def test_what_one_evaluation_spent_is_not_missing_at_the_next() -> None:
    compiled = compile_transform("length(data)")
    numbers = event_with(json.dumps([1] * (WORK - 100)).encode())
    for _ in range(3):
        assert msgspec.json.decode(compiled.result(numbers)) == WORK - 100
    many = event_with(json.dumps([1] * (WORK + 1)).encode())
    with pytest.raises(ExpressionFailed):
        compiled.result(many)
    assert msgspec.json.decode(compiled.result(numbers)) == WORK - 100
