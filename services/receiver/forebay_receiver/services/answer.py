"""What goes back over the wire for a request."""

from typing import Final, NamedTuple

__all__ = ["STORED", "Answer"]


class Answer(NamedTuple):
    """What goes back over the wire."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    close: bool = False
    """Whether the connection has to end: what is left of the request will not be read."""


STORED: Final = Answer(200, ((b"content-length", b"0"),), b"")
"""What every webhook gets that is in the store."""
