"""Why a webhook was not stored: the closed set of outcomes and reasons, and their answers.

Outcomes and reasons are labels of metrics (`requests_total{outcome}`, `refused_total{reason}`,
`waited_total{outcome}`), so they never change lightly. The answer of each reason is the contract of
docs/receiver.md, in one place.
"""

import enum
from typing import Final

__all__ = ["BODY_UNREAD", "STATUS_OF", "Outcome", "Reason", "Waited"]


class Outcome(enum.StrEnum):
    """The outcome of a request."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CHALLENGE = "challenge"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class Waited(enum.StrEnum):
    """What came of a webhook that waited for a leader or a connection."""

    STORED = "stored"
    FOUND = "found"
    """It had been stored by an earlier publish, whose PubAck was lost."""

    UNAVAILABLE = "unavailable"
    """It was answered 503 all the same."""


class Reason(enum.StrEnum):
    """Why a request was refused, or could not be served."""

    MALFORMED = "malformed"
    """No HTTP, or not of the form that is served; or more of a head than is allowed."""

    HTTP_VERSION = "http_version"
    EXPECTATION = "expectation"
    UNKNOWN_ENDPOINT = "unknown_endpoint"
    METHOD = "method"
    CONTENT_ENCODING = "content_encoding"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    CERTIFICATE_OFF = "certificate_off"
    """The endpoint asks for a client certificate, and no setting names a header to trust."""

    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_WRONG = "certificate_wrong"
    BASIC_MISSING = "basic_missing"
    BASIC_WRONG = "basic_wrong"
    HEADER_MISSING = "header_missing"
    HEADER_WRONG = "header_wrong"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_WRONG = "signature_wrong"
    VERIFY_TOKEN = "verify_token"  # noqa: S105  # the name of a reason
    TOO_MANY_CONNECTIONS = "too_many_connections"
    OVERLOADED = "overloaded"
    ENDPOINT_OVERLOADED = "endpoint_overloaded"
    NATS_AWAY = "nats_away"
    NATS_SILENT = "nats_silent"
    NO_STREAM = "no_stream"
    STREAM_FULL = "stream_full"
    ABOVE_MAX_PAYLOAD = "above_max_payload"
    STORE_REFUSED = "store_refused"


STATUS_OF: dict[Reason, int] = {
    Reason.MALFORMED: 400,
    Reason.HTTP_VERSION: 505,
    Reason.EXPECTATION: 417,
    Reason.UNKNOWN_ENDPOINT: 404,
    Reason.METHOD: 405,
    Reason.CONTENT_ENCODING: 415,
    Reason.TOO_LARGE: 413,
    Reason.TOO_SLOW: 408,
    Reason.CERTIFICATE_OFF: 401,
    Reason.CERTIFICATE_MISSING: 401,
    Reason.CERTIFICATE_WRONG: 401,
    Reason.BASIC_MISSING: 401,
    Reason.BASIC_WRONG: 401,
    Reason.HEADER_MISSING: 401,
    Reason.HEADER_WRONG: 401,
    Reason.SIGNATURE_MISSING: 401,
    Reason.SIGNATURE_WRONG: 401,
    Reason.VERIFY_TOKEN: 403,
    Reason.TOO_MANY_CONNECTIONS: 503,
    Reason.OVERLOADED: 503,
    Reason.ENDPOINT_OVERLOADED: 503,
    Reason.NATS_AWAY: 503,
    Reason.NATS_SILENT: 503,
    Reason.NO_STREAM: 503,
    Reason.STREAM_FULL: 503,
    # Not 413: the contract takes the body, only this NATS does not. Its operator can change that,
    # and the provider's repeat is stored then.
    Reason.ABOVE_MAX_PAYLOAD: 503,
    Reason.STORE_REFUSED: 503,
}
"""The HTTP status that answers each reason."""

BODY_UNREAD: Final = frozenset(
    {
        Reason.MALFORMED,
        Reason.HTTP_VERSION,
        Reason.EXPECTATION,
        Reason.TOO_LARGE,
        Reason.TOO_SLOW,
        Reason.METHOD,
        Reason.UNKNOWN_ENDPOINT,
        Reason.ABOVE_MAX_PAYLOAD,
    }
)
"""After which the connection ends: what is left of the request is not read."""
