"""Requests by chance, of every form that HTTP has, with what each of them has to lead to.

Each choice of a form knows whether it is on the list of what is served. So the generator knows
which requests are stored, with which bytes, and which are not, without asking anyone's parser.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from forebay.core.signatures import sign
from support.inputs.corpus import APP_SECRET

__all__ = ["SIGNED_PATH", "TOKEN", "TOKEN_PATH", "GeneratedRequest", "cut", "generate"]

TOKEN: Final = "Bearer example-token"  # made up
TOKEN_PATH: Final = "/v1/webhooks/demo/d360"
SIGNED_PATH: Final = "/v1/webhooks/demo/meta"

_SMUGGLED: Final = (
    f"POST {TOKEN_PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: {TOKEN}\r\n"
    "Content-Length: 8\r\n\r\nsmuggled"
).encode()
"""A webhook inside of a body: whoever loses count stores it."""


@dataclass
class GeneratedRequest:
    """One request, while it is made and after."""

    body: bytes
    version: str = "HTTP/1.1"
    method: str = "POST"
    target: str = TOKEN_PATH
    headers: list[tuple[str, str]] = field(default_factory=list)
    payload: bytes = b""
    """What follows the head."""

    is_served: bool = True
    """Whether the closed list says that it is stored, with `body`."""

    is_last: bool = False
    """Whether its answer has to end the connection; what is refused may end it too."""

    is_understood_alike: bool = True
    """Whether other servers have to find the same body in it."""

    data: bytes = b""

    def refuse(self) -> None:
        """Say that it is not on the list, and that nothing behind it is read as a request."""
        self.is_served = False


def generate(rand: random.Random) -> GeneratedRequest:
    """Return a request; most are served, in some odd way."""
    request = GeneratedRequest(_body(rand))
    _framing(request, rand)
    for choose, chance in _FORMS:
        if rand.random() < chance:
            choose(request, rand)
    if not any(name.lower() == "host" for name, _ in request.headers) and request.is_served:
        request.headers.append(("Host", "hooks.example.com"))
    _credentials(request, rand)
    rand.shuffle(request.headers)
    line = " ".join(part for part in (request.method, request.target, request.version) if part)
    head = "".join(_header_line(name, value, rand) for name, value in request.headers)
    blank = b"\r\n" * rand.choice((0, 0, 0, 0, 1, 2))
    request.data = blank + f"{line}\r\n{head}\r\n".encode("latin-1") + request.payload
    return request


def cut(data: bytes, rand: random.Random) -> list[bytes]:
    """Return data in pieces: whole, at chance, or byte by byte."""
    match rand.randrange(16):
        case 0:
            return [data[place : place + 1] for place in range(len(data))]
        case number if number < 6:  # a third
            return [data]
        case _:
            places = sorted(rand.randint(0, len(data)) for _ in range(rand.randint(1, 8)))
            starts, ends = [0, *places], [*places, len(data)]
            return [data[start:end] for start, end in zip(starts, ends, strict=True) if start < end]


def _body(rand: random.Random) -> bytes:
    match rand.randrange(6):
        case 0:
            return b""
        case 1:
            return _SMUGGLED
        case 2:
            return b"\r\n" * rand.randint(1, 9)
        case 3:
            return b'{"entry": []}'
        case _:
            return rand.randbytes(rand.randint(1, 400))


def _case(name: str, rand: random.Random) -> str:
    return rand.choice((name, name, name.lower(), name.upper()))


def _header_line(name: str, value: str, rand: random.Random) -> str:
    after = _space(rand)
    if name == "Transfer-Encoding":
        # llhttp knows a coding with a space behind it, and refuses one with a tab.
        after = after.replace("\t", " ")
    return f"{_case(name, rand)}:{_space(rand)}{value}{after}\r\n"


def _space(rand: random.Random) -> str:
    return rand.choice((" ", " ", " ", "", "\t", "  ", " \t "))


def _credentials(request: GeneratedRequest, rand: random.Random) -> None:
    if SIGNED_PATH in request.target:
        value = f"sha256={sign(APP_SECRET, request.body)}"
        request.headers.append(("X-Hub-Signature-256", value))
    else:
        request.headers.append(("Authorization", TOKEN))
    if rand.random() < 0.03:
        # A second value of a checked header matches nothing.
        request.headers.append(request.headers[-1])
        request.refuse()


# -- how the body is delimited


def _framing(request: GeneratedRequest, rand: random.Random) -> None:
    if rand.random() < 0.5:
        request.payload = request.body
        if request.body or rand.random() < 0.5:
            zeros = rand.choice(("", "", "", "0", "000"))
            request.headers.append(("Content-Length", f"{zeros}{len(request.body)}"))
        return
    coding = rand.choice(("chunked", "chunked", "Chunked", "CHUNKED"))
    request.headers.append(("Transfer-Encoding", coding))
    request.payload = _chunks(request, rand)


def _chunks(request: GeneratedRequest, rand: random.Random) -> bytes:
    body = request.body
    parts: list[bytes] = []
    place = 0
    while place < len(body):
        size = rand.choice((1, 2, rand.randint(1, 50), len(body)))
        chunk = body[place : place + size]
        number = f"{len(chunk):{rand.choice(('x', 'X', '04x'))}}".encode()
        parts.append(number + _extension(rand) + b"\r\n" + chunk + b"\r\n")
        place += size
    # No length and no coding: senders must not, and the parser refuses them.
    trailers = b"".join(_trailer(rand) for _ in range(rand.choice((0, 0, 0, 1, 3))))
    request.is_last = request.is_last or b"Connection" in trailers
    return b"".join((*parts, b"0", _extension(rand), b"\r\n", trailers, b"\r\n"))


def _extension(rand: random.Random) -> bytes:
    return rand.choice((b"", b"", b"", b";a", b";a=b", b';a="b;c"', b";" + b"x" * 40 + b"=1"))


def _trailer(rand: random.Random) -> bytes:
    return rand.choice(
        (
            b"X-Trailer: 1\r\n",
            b"Authorization: Bearer another\r\n",
            b"Host: b\r\n",
            b"Connection: close\r\n",
            b"Connection: upgrade\r\n",
            b"Upgrade: h2c\r\n",
            b"Expect: nothing\r\n",
            b"Empty:\r\n",
        )
    )


# -- the other forms; each is chosen or not


def _signed(request: GeneratedRequest, _: random.Random) -> None:
    request.target = SIGNED_PATH


def _target(request: GeneratedRequest, rand: random.Random) -> None:
    path = request.target
    form, is_served = rand.choice(
        (
            ("{path}/", True),
            ("{path}?a=b&c", True),
            ("{path}/?", True),
            ("http://hooks.example.com{path}", True),
            ("HTTPS://a:443{path}?x", True),
            ("{path}//", False),
            ("/{path}", False),
            ("{path}%20", False),
            ("/v1/webhooks/demo/nobody", False),
            ("*", False),
            ("/", False),
        )
    )
    request.target = form.format(path=path)
    if not is_served:
        request.refuse()


def _version(request: GeneratedRequest, rand: random.Random) -> None:
    request.version = rand.choice(
        ("HTTP/1.0", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0", "http/1.1", "")
    )
    request.is_last = True
    is_chunked = any(name == "Transfer-Encoding" for name, _ in request.headers)
    if request.version != "HTTP/1.0" or is_chunked:
        request.refuse()


def _method(request: GeneratedRequest, rand: random.Random) -> None:
    request.method = rand.choice(("GET", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI", "post", "X"))
    request.refuse()


def _host(request: GeneratedRequest, rand: random.Random) -> None:
    match rand.randrange(4):
        case 0:
            request.headers += [("Host", "a"), ("Host", "a")]
            request.refuse()
        case 1:
            request.headers += [("Host", "a"), ("Host", "b")]
            request.refuse()
        case 2:
            request.headers.append(("Host", "hooks.example.com:8080"))
        case _:
            if request.version != "HTTP/1.0":
                request.refuse()


def _upgrade(request: GeneratedRequest, rand: random.Random) -> None:
    if rand.random() < 0.8:
        connection = rand.choice(("Upgrade", "upgrade, HTTP2-Settings", "keep-alive, Upgrade"))
        request.headers.append(("Connection", connection))
    protocol = rand.choice(("h2c", "websocket", "TLS/1.2, HTTP/2.0", "x"))
    request.headers.append(("Upgrade", protocol))
    if rand.random() < 0.5:
        request.headers.append(("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABk"))


def _connection(request: GeneratedRequest, rand: random.Random) -> None:
    value = rand.choice(("close", "keep-alive", "Close", "TE, close", "x"))
    request.headers.append(("Connection", value))
    request.is_last = request.is_last or "close" in value.lower()


def _expect(request: GeneratedRequest, rand: random.Random) -> None:
    value = rand.choice(("100-continue", "100-Continue", "100-continue", "200-ok", "100"))
    request.headers.append(("Expect", value))
    if value.lower() != "100-continue" and request.version != "HTTP/1.0":
        request.refuse()


def _encoding(request: GeneratedRequest, rand: random.Random) -> None:
    value = rand.choice(("gzip", "GZIP", "deflate", "identity", "br", "zstd", "gzip, br"))
    request.headers.append(("Content-Encoding", value))
    if "br" in value or value == "zstd":
        request.refuse()


def _two_framings(request: GeneratedRequest, rand: random.Random) -> None:
    request.headers.append(
        rand.choice(
            (
                ("Transfer-Encoding", "chunked"),
                ("Transfer-Encoding", "gzip, chunked"),
                ("Transfer-Encoding", "identity"),
                ("Content-Length", "5"),
                ("Content-Length", f"{len(request.body)}, {len(request.body)}"),
                ("Content-Length", "+1"),
                ("Content-Length", "0x1"),
            )
        )
    )
    names = [name for name, _ in request.headers if name in {"Transfer-Encoding", "Content-Length"}]
    if len(names) > 1 or request.headers[-1] != ("Transfer-Encoding", "chunked"):
        request.refuse()
    else:
        # It had none, and so no body; now it waits for chunks that are not there.
        request.payload = b"0\r\n\r\n"
        if request.version == "HTTP/1.0":
            request.refuse()


def _more_headers(request: GeneratedRequest, rand: random.Random) -> None:
    for _ in range(rand.randint(1, 20)):
        name = rand.choice(("X-A", "X-B", "Accept", "Cookie", "Forwarded", "Content-Type"))
        request.headers.append((name, rand.choice(("1", "", "a b", "\xe9", '"x, y"', "x" * 300))))


def _no_header(request: GeneratedRequest, rand: random.Random) -> None:
    request.headers.append(
        rand.choice((("X A", "1"), ("", "1"), ("X\x00", "1"), ("X", "a\x00b"), ("X", "a\rb")))
    )
    request.refuse()


_FORMS: Final[tuple[tuple[Callable[[GeneratedRequest, random.Random], None], float], ...]] = (
    (_signed, 0.3),
    (_target, 0.15),
    (_version, 0.08),
    (_method, 0.04),
    (_host, 0.1),
    (_upgrade, 0.25),
    (_connection, 0.15),
    (_expect, 0.15),
    (_encoding, 0.1),
    (_two_framings, 0.05),
    (_more_headers, 0.2),
    (_no_header, 0.03),
)
"""What may be odd about a request, and how often it is."""
