"""Who may send: what a manifest says that a webhook has to prove."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from forebay.core.field_types import CertificateName, HeaderName, UserName
from forebay.core.spec_base import ResourceRecord, SecretSource, SecretSources

__all__ = [
    "AuthenticationSpec",
    "BasicSpec",
    "ClientCertificateSpec",
    "HeaderSpec",
    "SignatureSpec",
]


class HeaderSpec(ResourceRecord):
    """A header that every webhook has to carry."""

    name: HeaderName
    values: SecretSources


class BasicSpec(ResourceRecord):
    """A user name with its password, as RFC 7617 has them."""

    username: UserName
    password: SecretSource


class SignatureSpec(ResourceRecord):
    """An HMAC over the body; header and prefix follow from the provider."""

    secrets: SecretSources


class ClientCertificateSpec(ResourceRecord):
    """A TLS client certificate, verified by the proxy in front of the receivers.

    The receivers have to know which header of the proxy holds it; else they refuse all.
    """

    names: Annotated[tuple[CertificateName, ...], Field(min_length=1, max_length=8)]
    """Common names or DNS names, any of which will do."""


class AuthenticationSpec(ResourceRecord):
    """What a webhook has to prove: all that is given here, at once."""

    headers: Annotated[tuple[HeaderSpec, ...], Field(max_length=8)] = ()
    basic: Annotated[tuple[BasicSpec, ...], Field(max_length=8)] = ()
    """Live pairs, any of which will do."""

    signature: SignatureSpec | None = None
    client_certificate: ClientCertificateSpec | None = None
    verify_token: SecretSource | None = None
    """Guards the GET challenge only: it lets no webhook in."""

    none: bool = False
    """Anyone may send. Has to be set explicitly."""

    @model_validator(mode="after")
    def _is_one_of_the_ways(self) -> Self:
        asks = any((self.headers, self.basic, self.signature, self.client_certificate))
        if self.none and asks:
            message = "`none: true` lets anyone in: remove it, or remove what stands beside it"
            raise ValueError(message)
        if not self.none and not asks:
            message = (
                "give `headers`, `basic`, `signature` or `clientCertificate`, or say `none: true` "
                "to let anyone in (`verifyToken` guards the GET challenge only)"
            )
            raise ValueError(message)
        names = [header.name.lower() for header in self.headers]
        if self.basic and "authorization" in names:
            message = (
                "`basic` and a header Authorization are one header, which cannot hold both: remove "
                "one of them"
            )
            raise ValueError(message)
        for name in names:
            if names.count(name) > 1:
                message = f"header {name!r} stands here twice: give one, with several `values`"
                raise ValueError(message)
        return self
