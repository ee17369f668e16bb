"""The filter of a destination: an expression in CEL, compiled once, that takes an event or not.

CEL is what Kubernetes uses in its own rules. The evaluator is that of its makers (cel-cpp), with
less than the whole language: nothing in an expression repeats itself (no `all`, `exists`, `map`,
`filter`), makes texts longer (no `+`) or runs a pattern (no `matches`). So what an evaluation takes
is bounded by the length of the expression times the size of the data, and both have a limit
(docs/design/0040).

Variables have types: a misspelt one, or a comparison of a text with a number, is an error when it
is compiled, with its place. `data` can be anything, and what is not there is an error of the
evaluation.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec
from cel_expr_python import cel
from cel_expr_python.ext import ext_optional

from forebay.core.events import Event
from forebay.core.expression_errors import (
    ExpressionFailed,
    ExpressionFailure,
    UnusableExpression,
)

__all__ = ["DATA_BYTES", "TEXTS", "FilterExpression", "compile_filter"]

DATA_BYTES: Final = 32 * 1024
"""Of `data` that an expression may read. Events have 1 to 3 KB; the worst expression for data of
this size takes some 50 ms, and doubling it doubles that at least."""

TEXTS: Final = (
    "kind",
    "id",
    "source",
    "subject",
    "time",
    "itemkey",
    "itemtype",
    "lane",
    "channel",
    "conversation",
)
"""Variables that are texts: attributes of the event, and its kind."""

FLAGS: Final = ("otherchannel", "superseded", "variant", "repaired")
"""Variables that are true or false."""

DATA: Final = "data"

NAME_CHARACTERS: Final = 64
"""Of a name in a message: longer ones are cut."""

_LANGUAGE: Final = """
name: forebay
stdlib:
  exclude_macros: [all, exists, exists_one, existsOne, map, filter]
  exclude_functions:
  - name: _+_
  - name: matches
"""

_NAMES: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACE: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD: Final = re.compile(r"found no matching overload for '([^']*)' applied to '([^']*)'")

_LEFT_OUT: Final = {
    "_+_": "`+` is not there: a filter makes no new texts or numbers",
    "matches": "`matches` is not there: use startsWith, endsWith, contains, lowerAscii or `in`",
    **dict.fromkeys(
        ("all", "exists", "exists_one", "existsOne", "map", "filter"),
        "it may not go through lists: an event holds one item, such as `data.value.messages[0]`",
    ),
}
"""What is in CEL and not here."""


def _lower_ascii(text: str) -> str:
    return text.encode().lower().decode()


@cache
def _environment() -> Any:  # noqa: ANN401  # the library's own
    types: dict[str, Any] = dict.fromkeys(TEXTS, cel.Type.STRING)
    types |= dict.fromkeys(FLAGS, cel.Type.BOOL)
    types[DATA] = cel.Type.DYN
    overload = cel.Overload(
        id="string_lower_ascii",
        return_type=cel.Type.STRING,
        parameters=[cel.Type.STRING],
        is_member=True,
        impl=_lower_ascii,
    )
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_LANGUAGE),
        variables=types,
        functions=[cel.FunctionDecl("lowerAscii", [overload])],
        extensions=[ext_optional.ExtOptional()],
    )


class FilterExpression:
    """A filter that was compiled."""

    def __init__(self, program: Any, names: frozenset[str]) -> None:  # noqa: ANN401  # see above
        self._evaluate = program.eval
        self._attributes = tuple(name for name in (*TEXTS, *FLAGS) if name in names)
        self._reads_data = DATA in names

    def passes(self, event: Event) -> bool:
        """Say whether an event is to be delivered.

        Raises:
            ExpressionFailed: where it cannot be said.
        """
        values: dict[str, Any] = {name: getattr(event, name) for name in self._attributes}
        if self._reads_data:
            values[DATA] = _data_of(event)
        return self._outcome(values)

    def _outcome(self, values: Mapping[str, Any]) -> bool:
        try:
            found = self._evaluate(data=values).value()
        except Exception as error:  # the library's are of no class of their own
            raise ExpressionFailed(ExpressionFailure.TYPE, "it cannot be evaluated") from error
        if found is True or found is False:
            return bool(found)
        # An error is a value, and its text begins with a code; the rest may be of the event.
        said = str(found)[:64]
        if said.startswith(("NOT_FOUND", "UNKNOWN: Index error")):
            raise ExpressionFailed(ExpressionFailure.MISSING, "a field is not there")
        raise ExpressionFailed(ExpressionFailure.TYPE, "a value is of another type")


def _data_of(event: Event) -> Any:  # noqa: ANN401  # any JSON
    if len(event.data) > DATA_BYTES:
        message = f"its data is above {DATA_BYTES // 1024} KiB"
        raise ExpressionFailed(ExpressionFailure.TOO_LARGE, message)
    try:
        return event.value()
    except (msgspec.DecodeError, RecursionError) as error:
        message = "its data cannot be read"
        raise ExpressionFailed(ExpressionFailure.TOO_LARGE, message) from error


def compile_filter(text: str) -> FilterExpression:
    """Compile a filter.

    Args:
        text: The expression; how long it may be is the manifest's business (`expression_spec`).

    Raises:
        UnusableExpression: where it is none, with the place in it.
    """
    try:
        program = _environment().compile(text)
        result = program.return_type()
    except Exception as error:  # the library's are of no class of their own
        raise UnusableExpression(_explained(str(error))) from error
    if result not in (cel.Type.BOOL, cel.Type.DYN):  # they have no hash
        message = (
            f"it gives a {result.name().lower()}, and a filter has to give true or false: compare "
            "it with something"
        )
        raise UnusableExpression(message)
    return FilterExpression(program, frozenset(_NAMES.findall(text)))


def _explained(said: str) -> str:
    """Return what the library said of an expression in a sentence."""
    if "recursion" in said:
        return "it nests too deeply: 32 levels are the most"
    place = _PLACE.search(said)
    if place is None:
        return "this is no expression in CEL"
    line, column, words = place.groups()
    where = f"at character {column}" if line == "1" else f"in line {line} at character {column}"
    return f"{where}: {_in_words(words, said)}"


def _in_words(words: str, said: str) -> str:
    # A loop names its own variable first, which then is none.
    for name, advice in _LEFT_OUT.items():
        if f"undeclared reference to '{name}'" in said:
            return advice
    if unknown := _UNDECLARED.search(words):
        name = unknown[1].partition(".")[0][:NAME_CHARACTERS]
        return (
            f"there is no `{name}`: variables are {', '.join((*TEXTS, *FLAGS, DATA))}, functions "
            "startsWith, endsWith, contains, lowerAscii, size and has"
        )
    if mismatch := _OVERLOAD.search(words):
        sign = mismatch[1].strip("_") if mismatch[1].startswith("_") else mismatch[1]
        return _LEFT_OUT.get(mismatch[1], f"`{sign}` is not for {mismatch[2]}")
    if words.startswith("Syntax error: token recognition error at: '= "):
        return "`=` alone is nothing: two values are compared by `==`"
    return words.removeprefix("Syntax error: ").partition(" expecting ")[0]
