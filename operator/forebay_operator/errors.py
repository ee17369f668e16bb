"""Why something could not be done: a closed tree; `services.workers` turns it into another try.

    OperatorError
    ├── ApiUnavailable      the API server did not answer, or is overloaded: tried again, later
    │   └── ApiUnreachable  no connection to it came about: it is away, or something is in between
    ├── ApiRefused          it refused an object: reported in a condition, tried again as well
    ├── ObjectChanged       an object changed or went meanwhile: tried again at once
    ├── StreamsUnavailable  NATS is away or silent
    ├── StreamsMissing      a stream or a consumer is gone from NATS: made again, later
    └── StreamsRefused      NATS refuses a stream; the message says why

Foreign errors are wrapped in the adapters. What is wrong with a manifest is no error here but a
condition: see `forebay.core.validation_errors` and `policies.checks`.
"""

from forebay.core.errors import ForebayError

__all__ = [
    "ApiRefused",
    "ApiUnavailable",
    "ApiUnreachable",
    "ObjectChanged",
    "OperatorError",
    "StreamsMissing",
    "StreamsRefused",
    "StreamsUnavailable",
]


class OperatorError(ForebayError):
    """Something that the operator could not do this time."""


class ApiUnavailable(OperatorError):  # noqa: N818  # a state, not a failure of the program
    """The API server gave no answer that counts."""


class ApiUnreachable(ApiUnavailable):
    """No connection to the API server came about."""


class ApiRefused(OperatorError):  # noqa: N818
    """The API server refused; the message is its own."""


class ObjectChanged(OperatorError):  # noqa: N818
    """The object is another one than we thought: read it again."""


class StreamsUnavailable(OperatorError):  # noqa: N818
    """NATS did not answer."""


class StreamsRefused(OperatorError):  # noqa: N818
    """NATS refused; the message says what."""


class StreamsMissing(OperatorError):  # noqa: N818  # a state, not a failure of the program
    """A stream or a consumer that was made is gone; the message says which."""
