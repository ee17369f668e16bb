"""The kinds of text and numbers that a manifest's fields hold, each with what to write instead."""

import difflib
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from forebay.core.endpoint_name import NAME_LIMIT, is_dns_label
from forebay.core.item_kinds import KINDS
from forebay.core.nats_subject import PLACES, SUBJECT_SIZE, is_free_subject
from forebay.core.quantity_pattern import QUANTITY

__all__ = [
    "CertificateName",
    "CronExpression",
    "Digits",
    "EventKind",
    "FunctionName",
    "HandlerName",
    "HeaderName",
    "HeaderValue",
    "Host",
    "HttpUrl",
    "ImageName",
    "InboxPrefix",
    "Name",
    "NatsSubject",
    "NatsUrl",
    "Quantity",
    "SchemaName",
    "SecretKey",
    "SecretName",
    "ServerName",
    "ShardName",
    "StreamName",
    "TimeZone",
    "UserName",
    "duration",
    "label",
    "parse_duration",
]

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_DURATION_UNITS: Final = (3600.0, 60.0, 1.0, 0.001)
_HOST_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_PORTS: Final = range(1, 65536)
_PORT: Final = (
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
_NATS_SERVER: Final = rf"(nats|tls)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]{{2,45}}\])(:{_PORT})?"


def parse_duration(text: object) -> float:
    """Return the seconds of a duration such as `1s`, `10m`, `72h`, `1h30m` or `500ms`."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if match is None:
        message = "write a duration such as 500ms, 1s, 10m, 1h30m or 72h"
        raise ValueError(message)
    return sum(
        int(number) * unit
        for number, unit in zip(match.groups(), _DURATION_UNITS, strict=True)
        if number is not None
    )


def duration(shortest: str, longest: str) -> BeforeValidator:
    """Read a duration into seconds and hold it between two others."""
    low, high = parse_duration(shortest), parse_duration(longest)

    def check(value: object) -> float:
        seconds = parse_duration(value)
        if not low <= seconds <= high:
            message = f"use {shortest} to {longest}"
            raise ValueError(message)
        return seconds

    return BeforeValidator(check)


def label(limit: int) -> AfterValidator:
    """Take a DNS label of at most `limit` characters."""

    def check(text: str) -> str:
        if not is_dns_label(text, limit):
            message = (
                f"use a DNS label: lower-case letters, digits and hyphens, at most {limit} "
                "characters, with a letter or digit first and last"
            )
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _at_most(limit: int) -> AfterValidator:
    """Take a text of so many characters, as the CRD does."""

    def check(text: str) -> str:
        if len(text) > limit:
            message = f"use at most {limit} characters"
            raise ValueError(message)
        return text

    return AfterValidator(check)


def _matching(pattern: str, advice: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(advice)
        return text

    return AfterValidator(check)


def _http_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        port_fits = parts.port is None or parts.port in _PORTS
    except ValueError:
        # Not its words: they hold what stands where the port should be, which may be a password.
        message = "this is no URL: check its host and port"
        raise ValueError(message) from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_fits:
        message = "give a URL with http or https and a host, such as https://crm.example.com/events"
        raise ValueError(message)
    if parts.username is not None or parts.password is not None:
        message = "keep credentials out of the URL: put them into a Secret and name it in `headers`"
        raise ValueError(message)
    if parts.fragment or not text.isascii() or not text.isprintable() or " " in text:
        message = "a URL holds no fragment, space or non-ASCII character: percent-encode them"
        raise ValueError(message)
    return text


def _nats_subject(text: str) -> str:
    if not is_free_subject(text):
        places = ", ".join(f"{{{place}}}" for place in PLACES)
        message = (
            "use up to 16 words of letters, digits, hyphens and underscores with dots between "
            "them, such as acme.whatsapp.{kind}: the first is written out and is not forebay; "
            f"in the others may stand {places}"
        )
        raise ValueError(message)
    return text


def _event_kind(text: str) -> str:
    if text not in KINDS:
        near = difflib.get_close_matches(text, KINDS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        message = f"there is no such kind of item: {hint}the kinds are {', '.join(KINDS)}"
        raise ValueError(message)
    return text


Name = Annotated[str, label(NAME_LIMIT)]
CronExpression = Annotated[
    str,
    _at_most(100),
    _matching(
        r"[0-9A-Za-z*,/#-]+( [0-9A-Za-z*,/#-]+){4}",
        "write minute, hour, day of the month, month, day of the week, one space between them, "
        "such as `0 9 * * MON`",
    ),
]
TimeZone = Annotated[
    str,
    _at_most(64),
    _matching(
        r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}",
        "write a time zone of the IANA's database, such as Europe/Vienna, or UTC",
    ),
]
ShardName = Annotated[str, label(16)]
ImageName = Annotated[
    str,
    _matching(
        r"(?=.{1,512}$)[a-z0-9][A-Za-z0-9._:/@-]*",
        "give an image with its tag or digest, such as registry.example.com/bots/shop:1.2",
    ),
]
Host = Annotated[
    str,
    _matching(
        rf"(?=.{{1,253}}$){_HOST_LABEL}(\.{_HOST_LABEL})+",
        "give a host name such as hooks.example.com: lower case, no scheme, no path, no port and "
        "no underscore (360dialog takes neither)",
    ),
]
ServerName = Annotated[
    str,
    _matching(
        rf"(?=.{{1,253}}$){_HOST_LABEL}(\.{_HOST_LABEL})*",
        "give the name that stands in the certificate, such as crm.example.com",
    ),
]
HeaderName = Annotated[
    str,
    _at_most(128),
    _matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "an HTTP header cannot have this name"),
]
HeaderValue = Annotated[
    str,
    _at_most(4096),
    _matching(r"[!-~]([ -~]*[!-~])?", "use printable ASCII, without spaces at its ends"),
]
HttpUrl = Annotated[str, _at_most(2048), AfterValidator(_http_url)]
FunctionName = Annotated[
    str,
    _at_most(128),
    _matching(r"[A-Za-z_][A-Za-z0-9_]*", "give the name of a function of the handler's module"),
]
HandlerName = Annotated[
    str,
    _at_most(255),
    _matching(
        r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*",
        "give module:function, such as acme.bot:handle",
    ),
]
InboxPrefix = Annotated[
    str,
    _at_most(128),
    _matching(
        r"_?[A-Za-z0-9-][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*",
        "give words of letters, digits, hyphens and underscores with dots between them, such as "
        "_INBOX_acme",
    ),
]
NatsSubject = Annotated[str, _at_most(SUBJECT_SIZE), AfterValidator(_nats_subject)]
NatsUrl = Annotated[
    str,
    _at_most(2048),
    _matching(
        rf"{_NATS_SERVER}(,{_NATS_SERVER}){{0,7}}",
        "give nats://host:4222 or tls://host:4222, or up to 8 of these with commas between them; "
        "who we are there goes into `user`, `token` or `credentials`",
    ),
]
StreamName = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9_-]{1,255}",
        "a stream's name has letters, digits, hyphens and underscores only",
    ),
]
Digits = Annotated[
    str,
    _matching(r"[0-9]{1,32}", "this is an id of digits, such as 106540352242922"),
]
EventKind = Annotated[str, AfterValidator(_event_kind)]
SchemaName = Annotated[
    str,
    _matching(
        r"(?!pg_)[a-z_][a-z0-9_]{0,62}",
        "a schema's name has up to 63 lower-case letters, digits and underscores, no digit first, "
        "and does not begin with pg_, which is PostgreSQL's own",
    ),
]
SecretKey = Annotated[
    str,
    _matching(
        r"[-._a-zA-Z0-9]{1,253}",
        "a Secret's key has letters, digits, hyphens, underscores and dots only",
    ),
]
SecretName = Annotated[
    str,
    _matching(
        r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?",
        "a Secret's name has lower-case letters, digits, hyphens and dots only",
    ),
]
UserName = Annotated[
    str,
    _matching(
        r"[ -9;-~]{1,128}",
        "a user name has up to 128 printable ASCII characters, and no colon (RFC 7617)",
    ),
]
CertificateName = Annotated[
    str,
    _matching(
        r"[!-~]([ -~]{0,251}[!-~])?",
        "give a certificate's common name or DNS name, such as client.webhooks.fbclientcerts.com",
    ),
]
Quantity = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if type(value) in {int, float} else value),
    _at_most(32),
    _matching(
        QUANTITY,
        "write a quantity as Kubernetes has it, such as 500m or 256Mi",
    ),
]
"""A Kubernetes quantity; a bare number may stand without quotes, as kubectl takes it."""
