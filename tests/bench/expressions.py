"""What evaluating an expression on an event costs, by each library that could do it.

    PYTHONPATH=tests python -m bench.expressions

Filters and transforms as destinations have them, and those libraries of docs/design/0040 that are
installed: most are no dependency. Each evaluates three conditions on every event of the corpus; the
data is decoded anew, as a processor has to. Processor time, the least of five rounds.
"""

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from forebay.core.errors import ForebayError
from forebay.core.events import Event
from forebay.core.filter_expression import compile_filter
from forebay.core.transform_expression import compile_transform
from support.inputs.events import corpus_events

ROUNDS: Final = 5
_DECODE: Final = msgspec.json.Decoder().decode

Evaluate = Callable[[Event, bytes], object]

CEL: Final = {
    "envelope": 'event.lane == "live" && event.itemtype in ["text", "image"]',
    "path": "has(event.data.value) && has(event.data.value.statuses) && "
    'event.data.value.statuses[0].status == "failed"',
    "text": "has(event.data.value) && has(event.data.value.messages) && "
    "has(event.data.value.messages[0].text) && "
    'event.data.value.messages[0].text.body.startsWith("STOP")',
}
JMESPATH: Final = {
    "envelope": "lane == 'live' && contains(['text', 'image'], itemtype)",
    "path": "data.value.statuses[0].status == 'failed'",
    "text": "starts_with(data.value.messages[0].text.body || '', 'STOP')",
    "transform": "{id: id, kind: kind, text: data.value.messages[0].text.body, "
    "from: data.value.messages[0].from, names: data.value.contacts[].profile.name}",
}
JSONATA: Final = {
    "envelope": "lane = 'live' and itemtype in ['text', 'image']",
    "path": "data.value.statuses[0].status = 'failed'",
    "text": "$substring(data.value.messages[0].text.body, 0, 4) = 'STOP'",
    "transform": "{'id': id, 'text': data.value.messages[0].text.body, "
    "'from': data.value.messages[0].from, 'names': data.value.contacts.profile.name}",
}


def candidates() -> Iterator[tuple[str, str, Evaluate]]:
    """Return each library that is here with a condition's name and its evaluation."""
    for name, text in CEL.items():
        yield "ours: filter", name, _filter(text.replace("event.", ""))
    for name, text in JMESPATH.items():
        yield "ours: transform", name, _transform(text)
    yield from _of("cel_expr_python.cel", "cel-expr-python, the event as a map", _cel_cpp, CEL)
    yield from _of("cel", "common-expression-language (cel-rust)", _cel_rust, CEL)
    yield from _of("celpy", "cel-python", _celpy, CEL)
    yield from _of("jmespath", "jmespath, not counted", _jmespath, JMESPATH)
    yield from _of("jsonata", "jsonata-python", _jsonata, JSONATA)
    yield from _of("jsonatapy", "jsonatapy (Rust)", _jsonatapy, JSONATA)


def _of(
    module: str, name: str, make: Callable[[Any, str], Evaluate], texts: dict[str, str]
) -> Iterator[tuple[str, str, Evaluate]]:
    with contextlib.suppress(ImportError):
        library = importlib.import_module(module)
        for condition, text in texts.items():
            yield name, condition, make(library, text)


def _filter(text: str) -> Evaluate:
    compiled = compile_filter(text)
    return lambda event, _: compiled.passes(event)


def _transform(text: str) -> Evaluate:
    compiled = compile_transform(text)
    return lambda event, _: compiled.result(event)


def _cel_cpp(cel: Any, text: str) -> Evaluate:  # noqa: ANN401  # a library, as all below
    types = {"event": cel.Type("map<string, dyn>")}
    compiled = cel.NewEnv(variables=types).compile(text)
    return lambda _, body: compiled.eval(data={"event": _DECODE(body)}).value()


def _cel_rust(cel: Any, text: str) -> Evaluate:  # noqa: ANN401
    compiled = cel.compile(text)
    return lambda _, body: compiled.execute({"event": _DECODE(body)})


def _celpy(celpy: Any, text: str) -> Evaluate:  # noqa: ANN401
    environment = celpy.Environment()
    compiled = environment.program(environment.compile(text))
    return lambda _, body: compiled.evaluate({"event": celpy.json_to_cel(_DECODE(body))})


def _jmespath(jmespath: Any, text: str) -> Evaluate:  # noqa: ANN401
    compiled = jmespath.compile(text)
    return lambda _, body: compiled.search(_DECODE(body))


def _jsonata(jsonata: Any, text: str) -> Evaluate:  # noqa: ANN401
    compiled = jsonata.Jsonata(text)
    return lambda _, body: compiled.evaluate(_DECODE(body))


def _jsonatapy(jsonatapy: Any, text: str) -> Evaluate:  # noqa: ANN401
    compiled = jsonatapy.compile(text)
    return lambda _, body: compiled.evaluate(_DECODE(body))


def seconds(evaluate: Evaluate, events: list[tuple[Event, bytes]]) -> float:
    """Return the processor time of one evaluation."""
    least = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for event, body in events:
            # A field that is not there is an error in CEL, and costs what it costs.
            with contextlib.suppress(ForebayError):
                evaluate(event, body)
        least = min(least, time.process_time() - began)
    return least / len(events)


def main() -> None:
    """Measure all and print a line for each."""
    events = [(each.event, each.body) for each in corpus_events()] * 3
    for library, condition, evaluate in candidates():
        took = seconds(evaluate, events)
        print(f"{library:<40} {condition:<10} {took * 1e6:8.1f} us {1 / took:12,.0f} items/s")


if __name__ == "__main__":
    main()
