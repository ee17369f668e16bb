"""What a trusted proxy says of the TLS client certificate that it has verified.

TLS ends before the receiver, so it sees a certificate only by what the proxy writes into a header,
and each proxy writes it in a form of its own. The form is a setting and never guessed: what is an
escaped character in one form is a separator in another.

Reading is strict, for a value that can be read in two ways lets strangers in: whatever is not
exactly of the form names nobody. That also catches a proxy that adds its header to one of the
client's, for both then come as one value, joined by a comma and a space.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from forebay_receiver.settings import CertificateForm, ReceiverSettings

__all__ = ["CertificateProxy", "Names", "names_in", "proxy_of"]

Names = frozenset[bytes]
"""Names of a certificate, in lower case: a DNS name is the same in any case."""

KNOWN: Final = 64
"""Values that are kept with what they say: a sender's is the same with every webhook, and reading
it costs as much as all the rest. Bounded, for strangers can send any."""

NOBODY: Final[Names] = frozenset()

_ATTRIBUTE = re.compile(
    rb"([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)="
    rb'((?:[^\x00-\x1f\x7f,+"\\<>;]|\\[0-9A-Fa-f]{2}|\\[ "#+,;<=>\\])*)'
)
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)
_FIELD = re.compile(rb'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",; ]*)')
_INFO = re.compile(rb'Subject="([^"]*)"(?:[;,].*)?', re.DOTALL)
_QUERY = re.compile(rb"[A-Za-z0-9%+._~*-]*")
_NAME = re.compile(rb"[!-~](?:[ -~]*[!-~])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateProxy:
    """Which header to trust; there is none unless the settings name one."""

    header: bytes
    """In lower case."""

    form: CertificateForm
    verified: tuple[bytes, bytes] | None = None
    """A further header, in lower case, and the value that it has to have: some proxies pass on a
    certificate that failed, and say so beside it."""

    def names(self, headers: Mapping[bytes, bytes]) -> Names | None:
        """Return the names of the request's certificate; None where the proxy names none."""
        value = headers.get(self.header)
        if not value:
            return None
        if self.verified is not None and headers.get(self.verified[0]) != self.verified[1]:
            return NOBODY
        return names_in(self.form, value)


def proxy_of(settings: ReceiverSettings) -> CertificateProxy | None:
    """Return whom to trust by the settings; None for nobody."""
    if settings.client_certificate_header is None:
        return None
    name, _, value = (settings.client_certificate_verified or "").partition("=")
    return CertificateProxy(
        header=settings.client_certificate_header.lower().encode(),
        form=settings.client_certificate_form,
        verified=(name.lower().encode(), value.encode()) if name else None,
    )


@functools.lru_cache(maxsize=KNOWN)
def names_in(form: CertificateForm, value: bytes) -> Names:
    """Return the names in a header's value; none where it is not exactly of the form."""
    return frozenset(name.lower() for name in _READERS[form](value))


def _subject(value: bytes) -> tuple[bytes, ...]:
    """Read a distinguished name; one with several common names names nobody."""
    names: list[bytes] = []
    place = 0
    while True:
        attribute = _ATTRIBUTE.match(value, place)
        if attribute is None:
            return ()
        if attribute[1].upper() in {b"CN", b"2.5.4.3"}:
            names.append(_ESCAPED.sub(_unescape, attribute[2]))
        place = attribute.end()
        if place == len(value):
            return tuple(names) if len(names) == 1 and _NAME.fullmatch(names[0]) else ()
        if value[place : place + 1] not in {b",", b"+"}:
            return ()
        place += 1


def _unescape(match: re.Match[bytes]) -> bytes:
    code: bytes = match[1]
    return bytes([int(code, 16)]) if len(code) == 2 else code  # noqa: PLR2004  # hex digits


def _name(value: bytes) -> tuple[bytes, ...]:
    return (value,) if _NAME.fullmatch(value) and b"," not in value else ()


def _xfcc(value: bytes) -> tuple[bytes, ...]:
    """Read one element. Several are several hops, of which only a person can say which to trust."""
    names: list[bytes] = []
    subjects = place = 0
    while True:
        field = _FIELD.match(value, place)
        if field is None:
            return ()
        key, text = field[1].lower(), field[2]
        if text.startswith(b'"'):
            text = text[1:-1]
        if key == b"subject":
            subjects += 1
            names += _subject(text)
        elif key == b"dns" and _NAME.fullmatch(text):
            names.append(text)
        place = field.end()
        if place == len(value):
            return tuple(names) if subjects <= 1 else ()
        if value[place : place + 1] != b";":
            return ()
        place += 1


def _traefik(value: bytes) -> tuple[bytes, ...]:
    """Read the first certificate's subject: the leaf stands before its chain.

    Traefik escapes nothing inside a subject, so a second `CN=` could be a part of another value.
    """
    if not _QUERY.fullmatch(value):
        return ()
    info = _INFO.fullmatch(unquote_to_bytes(value.replace(b"+", b" ")))
    if info is None or info[1].count(b"CN=") != 1:
        return ()
    parts = [part for part in info[1].split(b",") if part.startswith(b"CN=")]
    return _name(parts[0].removeprefix(b"CN=")) if parts else ()


_READERS: Final[Mapping[CertificateForm, Callable[[bytes], tuple[bytes, ...]]]] = {
    "subject": _subject,
    "name": _name,
    "xfcc": _xfcc,
    "traefik": _traefik,
}
