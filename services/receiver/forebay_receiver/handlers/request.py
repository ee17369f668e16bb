"""One request on its way through the receiver."""

from forebay_receiver.services.answer import Answer
from forebay_receiver.services.routes import ServedEndpoint

__all__ = ["NO_HEADERS", "Request"]

NO_HEADERS: dict[bytes, bytes] = {}
"""Of a request that could not be read; never written to."""


class Request:
    """One request while it is read, until it is answered."""

    __slots__ = (
        "body",
        "endpoint",
        "headers",
        "keep_alive",
        "rejection",
        "reserved",
        "size",
        "started",
    )

    def __init__(self, started: float, headers: dict[bytes, bytes]) -> None:
        self.started = started
        """When its first byte came, on the loop's clock."""

        self.headers = headers
        """By lower-case name; of its head only."""

        self.body: bytes | bytearray = b""
        """What came of it so far. One that grows is a bytearray: a list of its parts would take
        twenty times the bytes where each part is one of them."""

        self.size = 0
        """Bytes of the body that came, also of one that is not kept."""

        self.reserved = 0
        """Bytes of it that the intake has counted, since it waits for its end or its turn."""

        self.endpoint: ServedEndpoint | None = None
        """Whom it is for; None where it has a rejection."""

        self.rejection: Answer | None = None
        """What it gets, whatever its body is: that one is not kept."""

        self.keep_alive = False
