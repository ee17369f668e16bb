"""Who may send webhooks to an endpoint: all that its manifest asks for, and nothing left out.

The checks run in a fixed order and every live value is compared in constant time. The answer is
401 without a text; the reason goes to a metric only.
"""

import hmac
from collections.abc import Mapping

from forebay.core.signatures import Signatures
from forebay.core.tables import Authentication
from forebay_receiver.errors import Reason

__all__ = ["Credentials"]


class Credentials:
    """What an endpoint asks for, made ready once for each change of the table."""

    __slots__ = ("_headers", "_none", "_signature_header", "_signatures", "_tokens")

    def __init__(self, authentication: Authentication) -> None:
        self._headers = tuple(
            (check.name.encode(), tuple(value.encode() for value in check.values))
            for check in authentication.headers
        )
        signature = authentication.signature
        self._signature_header = None if signature is None else signature.header.encode()
        self._signatures = None if signature is None else Signatures(signature)
        self._tokens = tuple(token.encode() for token in authentication.verify_tokens)
        self._none = authentication.none

    @property
    def has_verify_token(self) -> bool:
        """Whether the endpoint answers GET challenges."""
        return bool(self._tokens)

    def refusal(self, headers: Mapping[bytes, bytes], body: bytes) -> Reason | None:
        """Return why a webhook is refused, or None where every check holds.

        Args:
            headers: The request's headers by lower-case name.
            body: The bytes as they came.
        """
        for name, values in self._headers:
            given = headers.get(name)
            if given is None:
                return Reason.HEADER_MISSING
            if not _any_equal(values, given):
                return Reason.HEADER_WRONG
        if self._signature_header is not None and self._signatures is not None:
            given = headers.get(self._signature_header)
            if given is None:
                return Reason.SIGNATURE_MISSING
            return None if self._signatures.hold(given, body) else Reason.SIGNATURE_WRONG
        if not self._headers and not self._none:
            # Tables are checked when they are read; this is the second lock on the same door.
            return Reason.HEADER_MISSING
        return None

    def verify_token_holds(self, given: str) -> bool:
        """Say whether a GET challenge carries one of the live verify tokens."""
        return _any_equal(self._tokens, given.encode("utf-8", "surrogateescape"))


def _any_equal(values: tuple[bytes, ...], given: bytes) -> bool:
    holds = False
    for value in values:
        holds |= hmac.compare_digest(value, given)
    return holds
