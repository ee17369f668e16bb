"""When certificates end: of authorities that somebody stored, and of a server that answers."""

import contextlib
import functools
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["authorities_text", "connection_end", "earliest", "end_of", "first_end"]


def authorities_text(pem: str) -> str:
    """Return authorities in PEM as `ssl` takes them: ASCII, which all but comments is.

    Bundles name each authority above it, many of them with letters of their own language.
    """
    return pem.encode("ascii", "ignore").decode()


@functools.lru_cache(maxsize=64)
def first_end(pem: str) -> float | None:
    """Return when the first of the authorities in a text ends, in seconds since 1970.

    It is remembered: to read one takes half a millisecond, the operator asks at each pass over an
    endpoint, and a thousand of them name the same few.

    None where there is none that can be read: whoever uses it says so. One that OpenSSL takes can
    still have fields that Python cannot read (a URL that is no UTF-8): then none is known.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=authorities_text(pem))
        certificates = context.get_ca_certs()
    except (ssl.SSLError, ValueError):
        return None
    return earliest(map(end_of, certificates))


def connection_end(server: Mapping[str, Any] | None, authority: Path | None) -> float | None:
    """Return when the first of what a connection rests on ends, in seconds since 1970.

    Args:
        server: The certificate that the server showed, as `ssl` describes it.
        authority: A file with authorities; one that cannot be read is ignored.
    """
    ends = [end_of(server)]
    if authority is not None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            ends.append(first_end(authority.read_text()))
    return earliest(ends)


def earliest(ends: Iterable[float | None]) -> float | None:
    """Return the first of some ends; None where none is known."""
    return min((each for each in ends if each is not None), default=None)


def end_of(certificate: Mapping[str, Any] | None) -> float | None:
    """Return when a certificate ends, as `ssl` describes it; None where there is none.

    None, too, where its end is no time: anybody can write one that OpenSSL takes.
    """
    end = (certificate or {}).get("notAfter")
    try:
        return None if end is None else float(ssl.cert_time_to_seconds(end))
    except ValueError:
        return None
