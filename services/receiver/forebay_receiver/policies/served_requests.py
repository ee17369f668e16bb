"""Which requests are served: the closed list. What is not on it is refused, nothing of it stored.

| of a request | served | else |
| --- | --- | --- |
| version | HTTP/1.0 and HTTP/1.1 | 505 |
| `Host` | exactly one; HTTP/1.0 may have none | 400 |
| target | a path, or `http(s)://` with a path; one slash at its end counts for nothing | 404 |
| method | `POST` to an endpoint; `GET` for Meta's challenge | 404, 405 |
| framing | one `Content-Length`, or `Transfer-Encoding: chunked` (HTTP/1.1), or no body | 400 |
| `Expect` | `100-continue`; in HTTP/1.0 it is passed over (RFC 9110, 10.1.1) | 417 |
| `Content-Encoding` | what `forebay.core.content_encoding` takes apart | 415 |
| `Upgrade` | passed over (RFC 9110, 7.8): answered as if it were not there | |
| a header's value | without the white space around it; repeats joined by `, ` | |
| extensions of chunks, trailers | counted and dropped: a trailer is no header | |
| size | a head and framing within `handlers.limits` | 400 |
| | a body within the setting, said and sent | 413 |
| time | a head and a body within the setting | 408 |

The parser (llhttp) sees to what HTTP's grammar asks: names, values and numbers, two lengths, a
length beside chunks, line ends; what is none of it gets 400.
"""

import re
from collections.abc import Mapping
from typing import Final

from forebay.core.content_encoding import is_supported
from forebay_receiver.outcomes import Reason

__all__ = ["HTTP_1_0", "HTTP_1_1", "is_encoding_served", "path_and_query", "rejection"]

HTTP_1_0: Final = "1.0"
HTTP_1_1: Final = "1.1"

_AUTHORITY: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
"""What stands before the path in a target of the absolute form (RFC 9112, 3.2.2)."""


def rejection(version: str, headers: Mapping[bytes, bytes], repeats: int) -> Reason | None:
    """Return why a request is not on the list by its form; None where it is.

    Args:
        version: Of HTTP, such as `1.1`.
        headers: By lower-case name; repeats joined by `, `. Trailers are not among them.
        repeats: How many headers had a name that was there before.
    """
    if version != HTTP_1_1 and version != HTTP_1_0:  # noqa: PLR1714  # a third of the time
        return Reason.HTTP_VERSION
    if b"host" in headers:
        # Only of repeats: a comma in a single one is a strange name, and the name is not compared.
        if repeats and b"," in headers[b"host"]:
            return Reason.MALFORMED
    elif version == HTTP_1_1:
        return Reason.MALFORMED
    if b"transfer-encoding" in headers and (
        version != HTTP_1_1 or headers[b"transfer-encoding"].lower() != b"chunked"
    ):
        return Reason.MALFORMED
    if (
        b"expect" in headers
        and version == HTTP_1_1
        and headers[b"expect"].lower() != b"100-continue"
    ):
        return Reason.EXPECTATION
    return None


def is_encoding_served(encoding: bytes) -> bool:
    """Say whether a body of this `Content-Encoding` can be taken apart when it is split."""
    return is_supported(encoding.decode("latin-1"))


def path_and_query(target: bytes) -> tuple[str, str]:
    """Return a request target's path and query; both as they were sent, escapes and all."""
    if not target.startswith(b"/"):
        authority = _AUTHORITY.match(target)
        if authority is not None:
            target = target[authority.end() :]
    path, _, query = target.partition(b"?")
    return path.decode("latin-1"), query.decode("latin-1")
