"""What a PostgreSQL's errors mean for an item, by their SQLSTATE.

| SQLSTATE | what follows |
| --- | --- |
| 08, 53, 55, 57P, 58, 25006 | nobody gets through now: full disk, locks, restart, read-only |
| 28, 3D, 3F, 42 | nobody gets through with these settings: password, database, rights, tables |
| 22, 54 | this item cannot be held as it is: tried as text, and then rejected |
| 23 | a constraint that somebody added refuses this item: rejected |
| any other | tried again, later |

Of an error only its SQLSTATE is kept: its text and details hold values of the row.
"""

import re
import ssl
from typing import Final

import asyncpg

from forebay_processor.destinations.network.address_guard import AddressRefused
from forebay_processor.destinations.network.name_resolver import NameNotFound
from forebay_processor.destinations.network.no_answer import NoAnswerReason
from forebay_processor.destinations.port import Failed, Rejected, Trouble
from forebay_processor.destinations.postgres.wire import ServerMisbehaves

__all__ = [
    "FAILURES",
    "REPEATED",
    "SQLSTATE",
    "failure_of",
    "is_about_data",
    "is_missing_partition",
    "sqlstate_of",
]

SQLSTATE: Final = "sqlstate "
"""What the words of an error of PostgreSQL's begin with."""

FAILURES: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
    BufferError,
)
"""What the client raises for what a database, or the way to it, does. `TimeoutError` is one; the
last is of a message that is shorter than it has to be."""

REPEATED: Final = frozenset({"40001", "40P01"})
"""Two batches that were in each other's way: one is to begin anew, at once."""

_STATE: Final = re.compile("[0-9A-Z]{5}")

_NOBODY: Final = ("08", "53", "55", "57P", "58", "25006")
_CANCELLED: Final = "57014"
"""By `statement_timeout`, or by a person."""

_REFUSED: Final = ("28", "3D", "3F", "42")
_DATA: Final = ("22", "54")
_CONSTRAINT: Final = "23"


def sqlstate_of(error: BaseException) -> str:
    """Return the SQLSTATE of an error; empty for one that the server did not report.

    It goes into logs and metrics: one that is none, which a server can say as well, is `XX000`.
    """
    state = str(getattr(error, "sqlstate", None) or "")
    return state if not state or _STATE.fullmatch(state) else "XX000"


def is_about_data(error: BaseException) -> bool:
    """Say whether an item may be held in another form."""
    return sqlstate_of(error).startswith(_DATA) or _is_unsent(error)


def _is_unsent(error: BaseException) -> bool:
    """Say whether the client could not write a value down."""
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


def is_missing_partition(error: BaseException) -> bool:
    """Say whether a row found no partition: a removed constraint has a name, this has none."""
    return sqlstate_of(error) == "23514" and not getattr(error, "constraint_name", None)


def failure_of(error: BaseException) -> Failed | Rejected:
    """Return what an attempt ends in; see the module."""
    state = sqlstate_of(error)
    words = SQLSTATE + state
    if state:
        if state == _CANCELLED:
            return Failed("timeout")
        if state.startswith(_NOBODY):
            return Failed(words, trouble=Trouble.DESTINATION)
        if state.startswith(_REFUSED):
            return Failed(words, trouble=Trouble.REFUSED)
        if state.startswith((*_DATA, _CONSTRAINT)):
            return Rejected(words)
        return Failed(words)
    if _is_unsent(error):
        return Rejected(f"{SQLSTATE}22000")
    if isinstance(error, AddressRefused | ServerMisbehaves):
        return Failed(str(error), trouble=Trouble.DESTINATION)
    if isinstance(error, TimeoutError):
        return Failed("timeout")
    return Failed(_reason(error), trouble=Trouble.DESTINATION)


def _reason(error: BaseException) -> str:
    if isinstance(error, NameNotFound):
        return NoAnswerReason.NO_NAME.value
    if isinstance(error, ssl.CertificateError):
        return NoAnswerReason.BAD_CERTIFICATE.value
    if isinstance(error, ssl.SSLError) or "rejected SSL upgrade" in str(error):
        return NoAnswerReason.NO_TLS.value
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return f"{SQLSTATE}25006"
    if isinstance(error, ConnectionRefusedError):
        return NoAnswerReason.NO_CONNECTION.value
    return NoAnswerReason.RESET.value
