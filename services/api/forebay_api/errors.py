"""What a request is refused for. `handlers.application` makes answers of them, and nobody else.

ForebayError
├── ApiRefusal            with its status
│   ├── NoToken           401  none, or none that is in force
│   ├── NotAllowed        403  a scope or a namespace that the token has not
│   ├── NotFound          404  nothing there, or nothing that the token may know of
│   ├── TooManyRequests   429  of this token
│   ├── ServerBusy        503  of all tokens
│   ├── TookTooLong       504
│   └── RequestFailed     500  a fault of ours
├── ConfigurationError    400  a parameter that can mean nothing
└── StoreError            503  NATS
"""

from http import HTTPStatus
from typing import ClassVar

from forebay.core.errors import ForebayError

__all__ = [
    "ApiRefusal",
    "NoToken",
    "NotAllowed",
    "NotFound",
    "RequestFailed",
    "ServerBusy",
    "TooManyRequests",
    "TookTooLong",
]


class ApiRefusal(ForebayError):  # noqa: N818  # an answer, not a failure of the program
    """A request is not served; its text is for whoever sent it."""

    status: ClassVar[HTTPStatus]


class NoToken(ApiRefusal):
    """It has no token that is in force."""

    status = HTTPStatus.UNAUTHORIZED


class NotAllowed(ApiRefusal):
    """Its token is not for this."""

    status = HTTPStatus.FORBIDDEN


class NotFound(ApiRefusal):
    """There is no such thing, as far as its token may know."""

    status = HTTPStatus.NOT_FOUND


class TooManyRequests(ApiRefusal):
    """Others of its token are being served."""

    status = HTTPStatus.TOO_MANY_REQUESTS


class ServerBusy(ApiRefusal):
    """As many requests are being served as may be."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class TookTooLong(ApiRefusal):
    """It was ended after its time."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class RequestFailed(ApiRefusal):
    """A fault of ours kept it from being answered."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
