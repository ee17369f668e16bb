"""When certificates end: of authorities that somebody stored, and of a server that answers."""

import contextlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["connection_end", "end_of", "first_end"]


def first_end(pem: str) -> float | None:
    """Return when the first of the authorities in a text ends, in seconds since 1970.

    None where there is none that can be read: whoever uses it says so.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return None
    ends = (end_of(each) for each in context.get_ca_certs())
    return min((each for each in ends if each is not None), default=None)


def connection_end(server: Mapping[str, Any] | None, authority: Path | None) -> float | None:
    """Return when the first of what a connection rests on ends, in seconds since 1970.

    Args:
        server: The certificate that the server showed, as `ssl` describes it.
        authority: A file with authorities; one that cannot be read tells nothing.
    """
    ends = [end_of(server)]
    if authority is not None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            ends.append(first_end(authority.read_text()))
    return min((each for each in ends if each is not None), default=None)


def end_of(certificate: Mapping[str, Any] | None) -> float | None:
    """Return when a certificate ends, as `ssl` describes it; None where there is none."""
    end = (certificate or {}).get("notAfter")
    return None if end is None else float(ssl.cert_time_to_seconds(end))
