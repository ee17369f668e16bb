"""A transport that goes nowhere: notes what is written and how it is closed."""

import asyncio

from typing_extensions import override

__all__ = ["Wire"]


class Wire(asyncio.Transport):
    """The double of a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""
        """How it was closed, if it was."""

        self.unsent = 0
        """Bytes that the other side has not taken yet."""

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    @override
    def abort(self) -> None:
        self.ended = self.ended or "aborted"

    @override
    def close(self) -> None:
        self.ended = self.ended or "closed"

    @override
    def is_closing(self) -> bool:
        return bool(self.ended)

    @override
    def get_write_buffer_size(self) -> int:
        return self.unsent
