"""What a destination answered to an attempt, in the few classes that metrics have.

They are read from the words of the result, which are a closed list: they stand in dead letters
(`network.no_answer`, `http.destination.result_of`, `postgres.errors`).
"""

import enum
from typing import Final

from forebay_processor.destinations.network.no_answer import NoAnswerReason
from forebay_processor.destinations.port import Delivered, Failed, Result, Trouble
from forebay_processor.destinations.postgres.errors import SQLSTATE

__all__ = ["AnswerClass", "answer_class"]


class AnswerClass(enum.StrEnum):
    """Classes of answers."""

    TAKEN = "2xx"
    REFUSED = "4xx"
    BROKEN = "5xx"
    OTHER = "other"
    """Another status, or an attempt that never left this process."""

    TIMEOUT = "timeout"
    """No answer in time."""

    CONNECTION = "connection"
    """None was made, or it broke before an answer came."""


_STATUS: Final = "status "
_OF_STATUS: Final = {"4": AnswerClass.REFUSED, "5": AnswerClass.BROKEN}
_OF_SQLSTATE: Final = {
    "08": AnswerClass.CONNECTION,
    **dict.fromkeys(("22", "23", "28", "3D", "3F", "42", "54"), AnswerClass.REFUSED),
    **dict.fromkeys(("25", "40", "53", "55", "57", "58", "XX"), AnswerClass.BROKEN),
}
"""A database's errors by their class: about what we want, or about how it is."""

_OF_CONNECTIONS: Final = frozenset(
    each.value for each in NoAnswerReason if each is not NoAnswerReason.NO_URL
)


def answer_class(result: Result) -> AnswerClass:
    """Return the class of what an attempt ended in."""
    if isinstance(result, Delivered):
        return AnswerClass.TAKEN
    error = result.error
    if error.startswith(_STATUS):
        return _OF_STATUS.get(error[len(_STATUS)], AnswerClass.OTHER)
    if error.startswith(SQLSTATE):
        kind = error[len(SQLSTATE) :][:2]
        return _OF_SQLSTATE.get(kind, AnswerClass.OTHER)
    if error == "timeout":
        return AnswerClass.TIMEOUT
    is_destinations = isinstance(result, Failed) and result.trouble is Trouble.DESTINATION
    if is_destinations or error in _OF_CONNECTIONS:
        return AnswerClass.CONNECTION
    return AnswerClass.OTHER
