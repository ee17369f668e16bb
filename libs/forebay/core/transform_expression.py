"""The transform of a destination: an expression in JMESPath that makes what it gets of an event.

JMESPath has no loops but over what is there, no recursion and no clock. Still an expression may
double what it makes with each step; so the evaluator, which is that of the library of its makers,
counts what it does: nodes of the expression that it visits, and values and characters that
functions and comparisons go through. Beyond `WORK` it is over. What comes out is bounded as well,
before it is written as JSON: it may hold one value many times.
"""

from collections.abc import Iterator
from typing import Any, Final

import jmespath.exceptions
import jmespath.functions
import jmespath.parser
import jmespath.visitor
import msgspec
from typing_extensions import override

from forebay.core.events import Event
from forebay.core.expression_errors import (
    ExpressionFailed,
    ExpressionFailure,
    UnusableExpression,
)

__all__ = ["DATA_BYTES", "OUTPUT_BYTES", "TransformExpression", "compile_transform"]

DATA_BYTES: Final = 128 * 1024
"""Of `data` that an expression may read: to decode it takes the loop up to 5 ms. Events have 1 to
3 KB."""

OUTPUT_BYTES: Final = 256 * 1024
"""Of what comes out, as JSON."""

WORK: Final = 5_000
"""Steps of an evaluation, each one or two microseconds. What people write takes 20 to 300."""

CHARACTERS: Final = 64
"""Of a text that count as one step."""

DEPTH: Final = 64
"""Of an expression: each level is three calls inside the evaluator, and Python allows a
thousand."""

TOKEN_CHARACTERS: Final = 64
"""Of what stands at the place of an error: more is cut."""

_ENCODE: Final = msgspec.json.Encoder().encode
_FUNCTIONS: Final = jmespath.functions.Functions()


class _OutOfWork(Exception):  # noqa: N818  # is no error of ours
    """An evaluation has had its share."""


class _Interpreter(jmespath.visitor.TreeInterpreter):
    """The library's own, which counts."""

    def __init__(self) -> None:
        super().__init__(jmespath.visitor.Options(custom_functions=_FUNCTIONS))
        self.left = 0
        """Steps that are left."""

    def spend(self, steps: int) -> None:
        """Count some steps, before they are taken."""
        self.left -= steps
        if self.left < 0:
            raise _OutOfWork

    @override
    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:  # as the library has it
        self.left -= 1
        if self.left < 0:
            raise _OutOfWork
        return super().visit(node, *args, **kwargs)

    @override
    def visit_function_expression(self, node: Any, value: Any) -> Any:
        arguments = [self.visit(child, value) for child in node["children"]]
        for each in arguments:
            self.spend(_weight(each, self.left))
        return _FUNCTIONS.call_function(node["value"], arguments)

    @override
    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        self.spend(_weight(left, self.left))
        self.spend(_weight(right, self.left))
        if node["value"] not in {"eq", "ne"} and not _have_an_order(left, right):
            return None
        return self.COMPARATOR_FUNC[node["value"]](left, right)

    @override
    def visit_flatten(self, node: Any, value: Any) -> Any:
        base = self.visit(node["children"][0], value)
        if not isinstance(base, list):
            return None
        self.spend(sum(len(each) if isinstance(each, list) else 1 for each in base))
        return [part for each in base for part in (each if isinstance(each, list) else (each,))]

    @override
    def visit_slice(self, node: Any, value: Any) -> Any:
        if isinstance(value, list):
            self.spend(len(value))
        return super().visit_slice(node, value)


def _have_an_order(*values: object) -> bool:
    return all(
        isinstance(each, int | float | str) and not isinstance(each, bool) for each in values
    )


def _weight(value: Any, most: int) -> int:  # noqa: ANN401  # any JSON
    """Return the steps that it takes to go through a value; raises _OutOfWork above `most`."""
    if not isinstance(value, str | list | dict):
        return 0
    steps, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        steps += 1
        if isinstance(each, str):
            steps += len(each) // CHARACTERS
        elif isinstance(each, list):
            waiting += each[: most + 1]
        elif isinstance(each, dict):
            waiting += each.values()
            steps += sum(map(len, each)) // CHARACTERS
        if steps > most or len(waiting) > most + 1:
            raise _OutOfWork
    return steps


class TransformExpression:
    """A transform that was compiled."""

    def __init__(self, tree: Any) -> None:  # noqa: ANN401  # the library's own
        self._tree = tree
        self._interpreter = _Interpreter()

    def result(self, event: Event) -> msgspec.Raw:
        """Return what it makes of an event, as JSON.

        Raises:
            ExpressionFailed: where it makes nothing of it, or more than it may.
        """
        if len(event.data) > DATA_BYTES:
            message = f"the event's data is above {DATA_BYTES // 1024} KiB"
            raise ExpressionFailed(ExpressionFailure.TOO_LARGE, message)
        interpreter = self._interpreter
        interpreter.left = WORK
        try:
            value = {**msgspec.structs.asdict(event), "kind": event.kind, "data": event.value()}
            found = interpreter.visit(self._tree, value)
            # Nothing of it is written before it is known to be small: a value may be in it often.
            _weight(found, OUTPUT_BYTES // CHARACTERS)
        except (_OutOfWork, RecursionError) as error:
            message = "it takes too many steps"
            raise ExpressionFailed(ExpressionFailure.TOO_MUCH_WORK, message) from error
        except jmespath.exceptions.JMESPathTypeError as error:
            message = f"{error.function_name}() is not for a value of type {error.actual_type}"
            raise ExpressionFailed(ExpressionFailure.TYPE, message) from error
        except Exception as error:  # whatever a function of the library does with any JSON
            message = "a value is not what it expects"
            raise ExpressionFailed(ExpressionFailure.TYPE, message) from error
        return _written(found)


def _written(found: Any) -> msgspec.Raw:  # noqa: ANN401  # any JSON
    if found is None:
        message = "it gives null: what it reads is not there"
        raise ExpressionFailed(ExpressionFailure.MISSING, message)
    try:
        text = _ENCODE(found)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        message = "it gives something that is no JSON"
        raise ExpressionFailed(ExpressionFailure.TYPE, message) from error
    if len(text) > OUTPUT_BYTES:
        message = f"it gives more than {OUTPUT_BYTES // 1024} KiB"
        raise ExpressionFailed(ExpressionFailure.TOO_LARGE, message)
    return msgspec.Raw(text)


def compile_transform(text: str) -> TransformExpression:
    """Compile a transform.

    Args:
        text: The expression; how long it may be is the manifest's business (`expression_spec`).

    Raises:
        UnusableExpression: where it is none, with the place in it.
    """
    try:
        tree = jmespath.parser.Parser().parse(text).parsed
    except jmespath.exceptions.IncompleteExpressionError as error:
        message = "it ends too early: something is missing at its end"
        raise UnusableExpression(message) from error
    except jmespath.exceptions.LexerError as error:
        message = f"at character {error.lexer_position + 1}: {error.message[:TOKEN_CHARACTERS]}"
        raise UnusableExpression(message) from error
    except jmespath.exceptions.ParseError as error:
        token = str(error.token_value)[:TOKEN_CHARACTERS]
        message = f"at character {error.lex_position + 1}: `{token}` is not expected here"
        raise UnusableExpression(message) from error
    except RecursionError as error:
        raise UnusableExpression(_TOO_DEEP) from error
    except ValueError as error:
        message = "this is no expression in JMESPath"
        raise UnusableExpression(message) from error
    for node, depth in _nodes(tree):
        if depth > DEPTH:
            raise UnusableExpression(_TOO_DEEP)
        if node["type"] == "function_expression":
            _check_call(node["value"], len(node["children"]))
    return TransformExpression(tree)


_TOO_DEEP: Final = f"it nests too deeply: {DEPTH} levels are the most"


def _nodes(tree: Any) -> Iterator[tuple[Any, int]]:  # noqa: ANN401  # the library's own
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(each, depth + 1) for each in node["children"] if isinstance(each, dict)]


def _check_call(name: str, given: int) -> None:
    known = _FUNCTIONS.FUNCTION_TABLE.get(name)
    if known is None:
        those = ", ".join(sorted(_FUNCTIONS.FUNCTION_TABLE))
        message = f"there is no function {name[:TOKEN_CHARACTERS]}(): those of JMESPath are {those}"
        raise UnusableExpression(message)
    signature = known["signature"]
    is_variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not is_variadic):
        more = " or more" if is_variadic else ""
        message = f"{name}() takes {len(signature)}{more} of arguments, and {given} are given"
        raise UnusableExpression(message)
