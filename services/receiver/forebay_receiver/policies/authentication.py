"""Who may send webhooks to an endpoint: all that its manifest asks for, and nothing left out.

The checks run in a fixed order and every live value is compared in constant time. The answer is
401 without a text; the reason goes to a metric only.
"""

import hmac
from collections.abc import Mapping

from forebay.core.signatures import signature_holds
from forebay.core.tables import Authentication, HeaderCheck
from forebay_receiver.errors import Reason

__all__ = ["check_credentials", "verify_token_holds"]


def check_credentials(
    authentication: Authentication, headers: Mapping[bytes, bytes], body: bytes
) -> Reason | None:
    """Return why the webhook is refused, or None where every check holds.

    Args:
        authentication: What the endpoint asks for; an empty one lets nobody in unless it says so.
        headers: The request's headers by lower-case name.
        body: The bytes as they came.
    """
    for check in authentication.headers:
        given = headers.get(check.name.encode())
        if given is None:
            return Reason.HEADER_MISSING
        if not _value_holds(check, given):
            return Reason.HEADER_WRONG
    signature = authentication.signature
    if signature is not None:
        given = headers.get(signature.header.encode())
        if given is None:
            return Reason.SIGNATURE_MISSING
        if not signature_holds(signature, given.decode("latin-1"), body):
            return Reason.SIGNATURE_WRONG
    if signature is None and not authentication.headers and not authentication.none:
        # Tables are checked when they are read; this is the second lock on the same door.
        return Reason.HEADER_MISSING
    return None


def verify_token_holds(authentication: Authentication, given: str) -> bool:
    """Say whether a GET challenge carries one of the live verify tokens."""
    return _any_equal(authentication.verify_tokens, given.encode("utf-8", "surrogateescape"))


def _value_holds(check: HeaderCheck, given: bytes) -> bool:
    return _any_equal(check.values, given)


def _any_equal(values: tuple[str, ...], given: bytes) -> bool:
    holds = False
    for value in values:
        holds |= hmac.compare_digest(value.encode(), given)
    return holds
