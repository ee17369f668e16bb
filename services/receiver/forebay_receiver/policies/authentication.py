"""Who may send webhooks to an endpoint: all that its manifest asks for, and nothing left out.

The answer is 401 without a text; the reason goes to a metric only. There are two checks. What
stands in headers is checked before a body is read, so that strangers get none read; a signature is
over the body, and is checked when that is there. Within each check, time reveals nothing: every
live value is compared, in constant time, and a wrong value does not end the work, so that who knows
one secret of two headers cannot see that it was the right one. Only what a sender knows of its own
request, a header that is missing or of the wrong form, ends it at once. That the first check was
passed can be
seen: its 401 does not wait for the body.
"""

import binascii
import hashlib
import hmac
from collections.abc import Generator, Mapping

from typing_extensions import override

from forebay.core.signatures import Signatures
from forebay.core.tables import Authentication
from forebay_receiver.outcomes import Reason
from forebay_receiver.policies.proxy_certificate_header import CertificateProxy

__all__ = ["Credentials", "credentials_of"]


class Credentials:
    """What an endpoint asks for, made ready once for each change of the table."""

    __slots__ = ("_headers", "_is_enough", "_signature_header", "_signatures", "_tokens")

    def __init__(self, authentication: Authentication) -> None:
        self._headers = tuple(
            (check.name.encode(), tuple(value.encode() for value in check.values))
            for check in authentication.headers
        )
        signature = authentication.signature
        self._signature_header = None if signature is None else signature.header.encode()
        self._signatures = None if signature is None else Signatures(signature)
        self._tokens = tuple(token.encode() for token in authentication.verify_tokens)
        self._is_enough = authentication.none
        """Whether a webhook may come in without a header or a signature."""

    @property
    def has_verify_token(self) -> bool:
        """Whether the endpoint answers GET challenges."""
        return bool(self._tokens)

    def refusal_of_head(self, headers: Mapping[bytes, bytes]) -> Reason | None:
        """Return why a webhook is refused by its headers alone, before its body is read.

        None where all that stands in headers holds, and a signature is there to be checked.

        Args:
            headers: The request's headers by lower-case name.
        """
        refusal: Reason | None = None
        for name, values in self._headers:
            given = headers.get(name)
            if given is None:
                return Reason.HEADER_MISSING
            if not _any_equal(values, given):
                refusal = Reason.HEADER_WRONG
        if self._signature_header is not None:
            if self._signature_header not in headers:
                return refusal or Reason.SIGNATURE_MISSING
        elif not self._headers and not self._is_enough:
            # Tables are checked when they are read; this is the second lock on the same door.
            return Reason.HEADER_MISSING
        return refusal

    def refusal_of_body(self, headers: Mapping[bytes, bytes], body: bytes) -> Reason | None:
        """Return why a webhook is refused that `refusal_of_head` let pass, now that it is whole.

        Args:
            headers: The same headers.
            body: The bytes as they came.
        """
        if self._signature_header is None or self._signatures is None:
            return None
        given = headers.get(self._signature_header)
        if given is None:
            return Reason.SIGNATURE_MISSING
        return None if self._signatures.hold(given, body) else Reason.SIGNATURE_WRONG

    def refusing_body(
        self, headers: Mapping[bytes, bytes], body: bytes
    ) -> Generator[None, None, Reason | None]:
        """Return the same of a large body, and give up control after each piece of it."""
        if self._signature_header is None or self._signatures is None:
            return None
        given = headers.get(self._signature_header)
        if given is None:
            return Reason.SIGNATURE_MISSING
        holds = yield from self._signatures.holding(given, body)
        return None if holds else Reason.SIGNATURE_WRONG

    def verify_token_holds(self, given: str) -> bool:
        """Say whether a GET challenge carries one of the live verify tokens."""
        return _any_equal(self._tokens, given.encode("utf-8", "surrogateescape"))


class _FurtherCredentials(Credentials):
    """Also a client certificate and Basic: apart, so that endpoints without them pay nothing."""

    __slots__ = ("_certificate_names", "_pairs", "_proxy")

    def __init__(self, authentication: Authentication, proxy: CertificateProxy | None) -> None:
        super().__init__(authentication)
        certificate = authentication.client_certificate
        self._certificate_names = (
            None
            if certificate is None
            else frozenset(name.lower().encode() for name in certificate.names)
        )
        self._proxy = proxy
        self._pairs = tuple(
            _digest(f"{pair.username}:{pair.password}".encode()) for pair in authentication.basic
        )
        self._is_enough = self._is_enough or bool(self._pairs or self._certificate_names)

    @override
    def refusal_of_head(self, headers: Mapping[bytes, bytes]) -> Reason | None:
        # All are asked in any case: the time that it takes reveals nothing of the ones before.
        certificate = self._certificate_refusal(headers)
        basic = self._basic_refusal(headers)
        rest = super().refusal_of_head(headers)
        return certificate or basic or rest

    def _certificate_refusal(self, headers: Mapping[bytes, bytes]) -> Reason | None:
        """Check what the proxy says; names are no secrets, so time may reveal them."""
        if self._certificate_names is None:
            return None
        if self._proxy is None:
            # Anyone can send a header: nothing is trusted that no setting names.
            return Reason.CERTIFICATE_OFF
        names = self._proxy.names(headers)
        if names is None:
            return Reason.CERTIFICATE_MISSING
        return None if names & self._certificate_names else Reason.CERTIFICATE_WRONG

    def _basic_refusal(self, headers: Mapping[bytes, bytes]) -> Reason | None:
        """Find a live pair. Digests of whole pairs are compared.

        So an unknown user takes as long as a wrong password, whatever the length of either.
        """
        if not self._pairs:
            return None
        given = headers.get(b"authorization")
        if given is None:
            return Reason.BASIC_MISSING
        scheme, _, token = given.partition(b" ")
        if scheme.lower() != b"basic":
            return Reason.BASIC_WRONG
        try:
            pair = binascii.a2b_base64(token.strip(b" "), strict_mode=True)
        except binascii.Error:
            return Reason.BASIC_WRONG
        return None if _any_equal(self._pairs, _digest(pair)) else Reason.BASIC_WRONG


def credentials_of(
    authentication: Authentication, proxy: CertificateProxy | None = None
) -> Credentials:
    """Return what an endpoint asks for.

    Args:
        authentication: From the table.
        proxy: Whom to trust with client certificates; None for nobody, and then an endpoint
            that asks for one lets no webhook in.
    """
    if authentication.basic or authentication.client_certificate is not None:
        return _FurtherCredentials(authentication, proxy)
    return Credentials(authentication)


def _digest(pair: bytes) -> bytes:
    return hashlib.sha256(pair).digest()


def _any_equal(values: tuple[bytes, ...], given: bytes) -> bool:
    holds = False
    for value in values:
        holds |= hmac.compare_digest(value, given)
    return holds
