"""Tokens of the HTTP API: what a Secret holds of one, and which of them a request has.

A token is 32 random bytes, which nobody guesses, so its plain SHA-256 is kept and nothing slower:
whoever reads the Secret cannot make a token of it. One file for each token, `<name>.json`.
"""

import base64
import enum
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

from forebay.core.endpoint_name import is_dns_label
from forebay.core.errors import ConfigurationError

__all__ = [
    "ALL_NAMESPACES",
    "MOST_TOKENS",
    "TOKEN_BYTES",
    "ApiScope",
    "ApiToken",
    "holder_of",
    "new_token",
    "read_token",
]

TOKEN_BYTES: Final = 32
"""Of chance."""

TOKEN_PREFIX: Final = "fby_"  # noqa: S105  # what distinguishes ours, for who searches for leaked ones

TOKEN_CHARACTERS: Final = 128
"""A longer one is none: nobody is to have megabytes hashed."""

MOST_TOKENS: Final = 1_000
"""In force at one time: each request is compared with all of them, in half a millisecond."""

ALL_NAMESPACES: Final = "*"


class ApiScope(enum.StrEnum):
    """What a token may read."""

    EVENTS = "events"
    """What happened to items: `/v1/events` and `/v1/messages`."""

    WEBHOOKS = "webhooks"
    """Stored webhooks: `/v1/webhooks`."""

    WAITING = "waiting"
    """What waits: `/v1/waiting`."""

    DEAD = "dead"
    """Dead letters: `/v1/dead`."""

    DESTINATIONS = "destinations"
    """How destinations are: `/v1/destinations`."""

    REVEAL = "reveal"
    """What is masked otherwise, where a request asks for it."""


class ApiToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of a token."""

    name: str
    """Who uses it: it stands in the log."""

    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Of the token, in hex."""

    namespaces: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=100)]
    """Whose endpoints it is for; `*` for those of all."""

    scopes: Annotated[tuple[ApiScope, ...], msgspec.Meta(min_length=1, max_length=20)]
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    """From then on it is none; None for never."""

    @property
    def own_namespaces(self) -> frozenset[str] | None:
        """Its namespaces; None for all."""
        return None if ALL_NAMESPACES in self.namespaces else frozenset(self.namespaces)

    def is_for(self, namespace: str) -> bool:
        """Say whether it is for the endpoints of a namespace."""
        own = self.own_namespaces
        return own is None or namespace in own

    def has_expired(self, now: datetime) -> bool:
        """Say whether its time is over."""
        return self.expires is not None and now >= self.expires


_DECODE: Final = msgspec.json.Decoder(ApiToken).decode


def read_token(content: bytes) -> ApiToken:
    """Read what is kept of a token.

    Raises:
        ConfigurationError: where it is none; the message names no value.
    """
    try:
        token = _DECODE(content)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"it is no entry as `forebay api token` writes it: {error}"
        raise ConfigurationError(message) from error
    for namespace in token.namespaces:
        if namespace != ALL_NAMESPACES and not is_dns_label(namespace):
            message = "a namespace in it is no name of one"
            raise ConfigurationError(message)
    if not is_dns_label(token.name):
        message = "its name is no DNS label, such as console"
        raise ConfigurationError(message)
    return token


def new_token(chance: bytes) -> tuple[str, str]:
    """Return a token, for who is to use it, and its hash, which is kept.

    Args:
        chance: `TOKEN_BYTES` random bytes.
    """
    text = TOKEN_PREFIX + base64.urlsafe_b64encode(chance).rstrip(b"=").decode()
    return text, _hash(text)


def holder_of(given: str, tokens: Iterable[ApiToken], now: datetime) -> ApiToken | None:
    """Return the token that was given, of those in force; None where it is none.

    All are compared, each in constant time: how long it takes says nothing of what is close.

    Args:
        given: As the request has it.
        tokens: Those that are kept.
        now: The time, by which one can have expired.
    """
    if len(given) > TOKEN_CHARACTERS:
        return None
    own = _hash(given)
    found: ApiToken | None = None
    for token in tokens:
        if hmac.compare_digest(own, token.sha256):
            found = token
    return None if found is None or found.has_expired(now.astimezone(UTC)) else found


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
