"""Why a destination gave no answer, in the words that dead letters have.

The words are older than the client: they were the names of aiohttp's exceptions, they stand in dead
letters that are kept for 30 days, and people search for them. So they stay.
"""

import enum

__all__ = ["NoAnswer", "NoAnswerReason", "NoConnection"]


class NoAnswerReason(enum.StrEnum):
    """What went wrong, without a name, an address or a word of the destination's."""

    NO_URL = "InvalidUrlClientError"
    """The URL's host is neither a name nor an address."""

    NO_NAME = "ClientConnectorDNSError"
    """The name has no address, or the name server is silent."""

    NO_CONNECTION = "ClientConnectorError"
    NO_TLS = "ClientConnectorSSLError"
    BAD_CERTIFICATE = "ClientConnectorCertificateError"
    DISCONNECTED = "ServerDisconnectedError"
    """The connection was closed in order before an answer came."""

    RESET = "ClientOSError"
    """The connection broke before an answer came."""

    NO_HTTP = "ClientResponseError"
    """What came is no answer of HTTP, or its head is too long."""


class NoAnswer(Exception):  # noqa: N818  # named for what happened
    """There is no answer; whether the request arrived is not known."""

    def __init__(self, reason: str) -> None:
        """Take what is reported."""
        super().__init__(reason)
        self.reason = str(reason)


class NoConnection(NoAnswer):
    """There is no answer, and nothing of the request was sent."""
