"""What the stored word for a failed attempt means, for people.

Dead letters, logs and breakers hold words that are older than our HTTP client (they were names of
aiohttp's exceptions) and that people search for: they stay as they are. Where a person reads them,
this is what they say.
"""

from types import MappingProxyType
from typing import Final

__all__ = ["PLAIN_WORDS", "plain_failure"]

PLAIN_WORDS: Final = MappingProxyType(
    {
        "InvalidUrlClientError": "its URL has no host that can be asked",
        "ClientConnectorDNSError": "its name has no address",
        "ClientConnectorError": "no connection",
        "ClientConnectorSSLError": "no TLS",
        "ClientConnectorCertificateError": "its certificate is not accepted",
        "ServerDisconnectedError": "it closed the connection without an answer",
        "ClientOSError": "the connection broke",
        "ClientResponseError": "its answer is no HTTP",
        "timeout": "no answer in time",
        "sqlstate 25006": "it is read-only, a standby perhaps",
        "sqlstate 28000": "it does not let this user in",
        "sqlstate 28P01": "it refuses the password",
        "sqlstate 3D000": "it has no such database",
        "sqlstate 42501": "the user lacks a right there",
        "sqlstate 53100": "its disk is full",
        "sqlstate 53300": "it has no connection left",
        "sqlstate 55P03": "its tables are locked",
        "sqlstate 57P01": "it is being shut down",
        "sqlstate 57P03": "it is starting or stopping",
    }
)


def plain_failure(word: str) -> str:
    """Return what a stored word says; what is none of them, such as `status 500`, as it is."""
    return PLAIN_WORDS.get(word, word)
