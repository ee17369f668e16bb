"""What a destination's transform makes of an item: anew at each attempt, by the present manifest.

So what waits goes out by the expression that is in force when it goes, and a dead letter that the
transform made can be replayed when it is right. Where it makes nothing of an item, the item is
rejected: it becomes a dead letter that says why, for nobody asked for it as it came. An expression
that takes long rests (`resting_expressions`), and its items wait meanwhile.
"""

from functools import lru_cache
from typing import Final

import msgspec

from forebay.core.body_item import BODY_KIND
from forebay.core.expression_errors import ExpressionFailed, UnusableExpression
from forebay.core.transform_expression import compile_transform
from forebay_processor.delivery.resting_expressions import RestingExpressions
from forebay_processor.destinations.cloudevents import event_of
from forebay_processor.destinations.port import Attempt, Failed, Rejected

__all__ = ["transformed"]

COMPILED: Final = 4096
"""Expressions that are kept compiled: some KB each."""

_compiled: Final = lru_cache(COMPILED)(compile_transform)


def transformed(
    expression: str, attempt: Attempt, resting: RestingExpressions
) -> Attempt | Failed | Rejected:
    """Return an attempt with what is to be delivered, or why there is nothing; never raises.

    A whole webhook that waited for a destination of another kind stays as it came.

    Args:
        expression: The destination's.
        attempt: Of the item as it came.
        resting: What evaluates it.
    """
    if attempt.item.kind == BODY_KIND:
        return attempt
    owner = attempt.endpoint, attempt.destination
    if seconds := resting.seconds_left(owner, expression):
        return Failed("the transform took long, and rests", seconds)
    try:
        compiled = _compiled(expression)
        made = resting.evaluated(owner, expression, lambda: compiled.result(event_of(attempt)))
    except UnusableExpression:
        # The operator compiles it before it writes a table: this one is of another version.
        return Failed("the transform cannot be compiled")
    except ExpressionFailed as error:
        return Rejected(f"transform: {error}")
    return msgspec.structs.replace(attempt, transformed=made)
