"""Answers as bytes for the wire: no date, no server, an empty body nearly always."""

from http import HTTPStatus
from typing import Final

from forebay_receiver.services.answer import STORED, Answer

__all__ = ["CONTINUE", "OK", "encode"]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""No answer: it asks the sender of `Expect: 100-continue` for the body."""

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


def encode(answer: Answer, *, close: bool) -> bytes:
    """Return an answer's bytes.

    Args:
        answer: What to say.
        close: Whether the connection ends with it.
    """
    lines = [_STATUS_LINES[answer.status]]
    lines += [b"%b: %b\r\n" % header for header in answer.headers]
    if close:
        lines.append(b"connection: close\r\n")
    lines += [b"\r\n", answer.body]
    return b"".join(lines)


OK: Final = encode(STORED, close=False)
"""What nearly every request gets."""
