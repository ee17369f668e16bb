"""The values of an endpoint's Secrets, each held to what it is for.

A Secret is filled by people and their tools: editors put a byte order mark first, Windows ends a
line with a carriage return, `kubectl create secret --from-file` keeps the newline at a file's end.

- One newline at the end is no part of a value, and is not reported: tools add it.
- What is empty but for white space cannot be meant: refused, since who compares with an empty
  secret lets strangers in.
- What else looks like a mistake, and might be meant, is used as it stands, and reported as a
  warning.
- A value that cannot be what it is for (a header's, a signing secret, PEM) is refused.

No message holds a value, or a part of one.
"""

import base64
import binascii
import re
from typing import Final, Protocol

from forebay.core.endpoint_name import EndpointName
from forebay.core.errors import ConfigurationError
from forebay.core.postgres_address import PostgresAddress, read_postgres_address
from forebay.core.spec_base import SecretKeyRef, SecretSource
from forebay.core.validation_errors import InvalidEndpoint, Path, Problem

__all__ = ["SecretValues", "Secrets"]

SIGNING_PREFIX: Final = "whsec_"
SIGNING_KEY_BYTES: Final = range(24, 65)
"""What Standard Webhooks allows a symmetric key to be long."""

BYTE_ORDER_MARK: Final = "\ufeff"


class Secrets(Protocol):
    """Where the values of Secrets come from."""

    def __call__(self, namespace: str, name: str, key: str, /) -> str:
        """Return a value as it is stored.

        Raises:
            ConfigurationError: where there is none; the message names the secret and its key.
        """


class SecretValues:
    """The secrets of one endpoint, looked up one by one; remembers all that cannot be used."""

    def __init__(
        self, endpoint: EndpointName, secrets: Secrets, warnings: list[Problem] | None = None
    ) -> None:
        """Begin without problems.

        Args:
            endpoint: Whose.
            secrets: Where values come from.
            warnings: Takes what is used though it looks like a mistake.
        """
        self._endpoint = endpoint
        self._secrets = secrets
        self._warnings = warnings
        self._problems: list[Problem] = []

    def check(self) -> None:
        """Raise InvalidEndpoint where any secret could not be used."""
        if self._problems:
            raise InvalidEndpoint(self._problems)

    def text(self, path: Path, source: SecretSource) -> str:
        """Return a value that may be any text; what looks like a mistake in it is reported."""
        value = self._found(path, source)
        oddity = _oddity(value)
        if oddity and self._warnings is not None:
            reason = (
                f"{_name(source.secret_key_ref)} {oddity}: it is used as it stands; if that is not "
                "meant, store it without"
            )
            self._warnings.append(Problem(str(self._endpoint), path, reason))
        return value

    def _found(self, path: Path, source: SecretSource) -> str:
        """Return a value without the newline at its end; empty text where it is refused."""
        reference = source.secret_key_ref
        try:
            value = self._secrets(self._endpoint.namespace, reference.name, reference.key)
        except ConfigurationError as error:
            return self._refuse(path, str(error))
        value = value.removesuffix("\n")
        if not value:
            return self._refuse(path, f"{_name(reference)} is empty: give it a value")
        if not value.strip(BYTE_ORDER_MARK).strip():
            return self._refuse(
                path, f"{_name(reference)} holds nothing but white space: give it a value"
            )
        return value

    def header(self, path: Path, source: SecretSource) -> str:
        """Return the value of a header."""
        value = self._found(path, source)
        if value and not (value.isascii() and value.isprintable() and value == value.strip()):
            return self._refuse(
                path,
                f"{_name(source.secret_key_ref)} cannot be a header's value: use printable ASCII, "
                "without spaces or newlines at its ends",
            )
        return value

    def signing_secret(self, path: Path, source: SecretSource) -> str:
        """Return a Standard Webhooks secret."""
        value = self._found(path, source)
        if not value:
            return value
        try:
            key = base64.b64decode(value.removeprefix(SIGNING_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not value.startswith(SIGNING_PREFIX) or len(key) not in SIGNING_KEY_BYTES:
            return self._refuse(
                path,
                f"{_name(source.secret_key_ref)} is no Standard Webhooks secret: use "
                f"{SIGNING_PREFIX} and 24 to 64 random bytes in base64",
            )
        return value

    def postgres_address(
        self, path: Path, source: SecretSource, *, has_tls: bool
    ) -> PostgresAddress:
        """Return where a PostgreSQL is and who we are there; one of nowhere where it is refused.

        Args:
            path: Where the secret is named.
            source: A URL `postgresql://...`.
            has_tls: Whether the manifest says how TLS is to be.
        """
        value = self._found(path, source)
        if value:
            try:
                address = read_postgres_address(value)
            except ConfigurationError as error:
                self._refuse(path, f"{_name(source.secret_key_ref)} {error}")
            else:
                if not (address.is_plain and has_tls):
                    return address
                self._refuse(
                    path,
                    f"{_name(source.secret_key_ref)} says sslmode=disable, and the manifest says "
                    "how TLS is to be: remove one of them",
                )
        return PostgresAddress(hosts=(), database="", user="")

    def pem(self, path: Path, source: SecretSource, ending: str) -> str:
        """Return certificates or a key in PEM.

        Whether they can be used is known where they are used: here no more than their form, which
        is what goes wrong when a Secret is made (DER, or the wrong key of it).
        """
        value = self._found(path, source)
        if value and re.search(rf"-----BEGIN ([A-Z]+ )*{ending}-----\n", value) is None:
            return self._refuse(
                path,
                f"{_name(source.secret_key_ref)} holds no {ending.lower()} in PEM: it has to have "
                f"a line `-----BEGIN {ending}-----`",
            )
        return value

    def nats_credentials(self, path: Path, source: SecretSource) -> str:
        """Return a JWT and a seed of NATS as `nsc` writes them."""
        value = self._found(path, source)
        if value and not (re.search(r"(?m)^\s*ey", value) and re.search(r"(?m)^\s*SU", value)):
            return self._refuse(
                path,
                f"{_name(source.secret_key_ref)} holds no JWT and seed of a NATS user: make it "
                "with `nsc generate creds`",
            )
        return value

    def _refuse(self, path: Path, reason: str) -> str:
        self._problems.append(Problem(str(self._endpoint), path, reason))
        return ""


def _name(reference: SecretKeyRef) -> str:
    return f"key {reference.key!r} of Secret {reference.name!r}"


def _oddity(value: str) -> str:
    """Return what of a value looks like a mistake, in words; empty where nothing does."""
    if value.startswith(BYTE_ORDER_MARK):
        return "begins with a byte order mark, as editors on Windows write one"
    if value.endswith("\r"):
        return "ends with a carriage return, as lines do on Windows"
    if value != value.strip():
        return "has white space at its beginning or end"
    if BYTE_ORDER_MARK in value or any(ord(each) < ord(" ") or each == "\x7f" for each in value):
        return "holds a control character or a line break"
    return ""
