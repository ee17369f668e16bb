"""What is wrong with an expression of a manifest, or with its evaluation on one event."""

import enum

from forebay.core.errors import ForebayError

__all__ = ["ExpressionFailed", "ExpressionFailure", "UnusableExpression"]


class UnusableExpression(ForebayError):  # noqa: N818  # named for what it is about
    """An expression that cannot be compiled; the message says where in it, and what to do."""


class ExpressionFailure(enum.StrEnum):
    """Why an expression says nothing of one event."""

    MISSING = "Missing"
    """It reads a field that the event has not."""

    TYPE = "Type"
    """A value is of another type than it expects, or what comes out of it is."""

    TOO_LARGE = "TooLarge"
    """The event's data is larger than an expression may read, or what comes out of it is."""

    TOO_MUCH_WORK = "TooMuchWork"
    """It would take too long, or did a moment ago."""

    UNUSABLE = "Unusable"
    """It cannot be compiled: the table was written by another version."""


class ExpressionFailed(ForebayError):  # noqa: N818  # named for what it is about
    """An expression says nothing of one event; the message holds nothing that is in the event."""

    def __init__(self, failure: ExpressionFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure
