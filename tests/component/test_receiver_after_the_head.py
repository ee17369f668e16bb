"""What comes behind a request's head is never trusted, and never without a limit.

Trailers, extensions of chunks, the sizes' padding, blank lines: counted and dropped.
"""

import asyncio
import contextlib

import psutil
import pytest

from support.inputs.tables import PATH
from support.programs.ports import HOST
from support.receiver.raw_http import connect, request_bytes
from support.receiver.receiver_harness import (
    CERTIFICATE_HEADER,
    CERTIFICATE_NAME,
    TOKEN,
    ReceiverHarness,
    path_of,
    signed,
)
from support.receiver.receiver_in_process import statuses_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

MEBIBYTE = 1024 * 1024
CHUNKED = {"Transfer-Encoding": "chunked"}
SUBJECT = f"CN={CERTIFICATE_NAME}"


def in_chunks(body: bytes, trailers: str = "") -> bytes:
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers.encode())


@pytest.mark.parametrize(
    ("name", "trailer"),
    [
        ("certified", f"{CERTIFICATE_HEADER}: {SUBJECT}"),
        ("d360", f"Authorization: {TOKEN}"),
    ],
)
async def test_a_credential_in_a_trailer_is_none(
    receiver: ReceiverHarness, name: str, trailer: str
) -> None:
    request = request_bytes("POST", path_of(name), headers=CHUNKED)
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        await connection.send(request + in_chunks(b"{}", f"{trailer}\r\n"))
        assert (await connection.response()).status == 401


async def test_a_trailer_is_no_header_of_the_next_request_either(receiver: ReceiverHarness) -> None:
    first = request_bytes("POST", path_of("open"), headers=CHUNKED)
    second = request_bytes("POST", path_of("certified"), body=b"{}")
    trailer = f"{CERTIFICATE_HEADER}: {SUBJECT}\r\n"
    async with connect(receiver.part.port) as connection:
        await connection.send(first + in_chunks(b"{}", trailer) + second)
        assert [(await connection.response()).status for _ in range(2)] == [200, 401]


async def test_a_trailer_takes_no_credential_away(receiver: ReceiverHarness) -> None:
    body, before = receiver.new_body(), await receiver.stored()
    request = request_bytes("POST", PATH, headers={**CHUNKED, **signed(body)})
    trailers = "X-Hub-Signature-256: sha256=00\r\nContent-Encoding: br\r\nHost: b\r\n"
    async with connect(receiver.part.port) as connection:
        await connection.send(request + in_chunks(body, trailers))
        assert (await connection.response()).status == 200
    assert await receiver.stored() == before + 1
    assert (await receiver.last()).data == body


async def test_a_hundred_trailers_are_400(receiver: ReceiverHarness) -> None:
    request = request_bytes("POST", path_of("open"), headers=CHUNKED)
    async with receiver.nothing_stored(), connect(receiver.part.port) as connection:
        await connection.send(request + in_chunks(b"{}", "a: b\r\n" * 100))
        assert (await connection.response()).status == 400
        assert await connection.closed()


HEAD = request_bytes("POST", path_of("open"), headers=CHUNKED)
ENDLESS = {
    "trailers": (HEAD + b"2\r\n{}\r\n0\r\n", b"X: %b\r\n" % (b"y" * 1000)),
    "short trailers": (HEAD + b"2\r\n{}\r\n0\r\n", b"a:b\r\n"),
    "one trailer": (HEAD + b"2\r\n{}\r\n0\r\nX: ", b"y"),
    "an extension": (HEAD + b"2;x=", b"y"),
    "extensions": (HEAD, b"1;x=%b\r\n \r\n" % (b"y" * 1000)),
    "a size": (HEAD, b"0"),
    "blank lines": (b"", b"\r\n"),
    "blank lines behind a webhook": (
        request_bytes("POST", path_of("open"), body=b"{}"),
        b"\r\n",
    ),
    "a header": (HEAD[:-2] + b"X: ", b"y"),
    "white space before a value": (HEAD[:-2] + b"X:", b" "),
    "a target": (b"POST /", b"x"),
    "a target behind blanks": (b"POST ", b" "),
    "a method": (b"", b"P"),
    "a target of a GET": (b"GET /", b"x"),
    "headers of a GET": (b"GET / HTTP/1.1\r\n", b"a:b\r\n"),
    "a GET's head behind blank lines": (b"\r\n\r\nGET / HTTP/1.1\r\n", b"a:b\r\n"),
    "a body of a GET": (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"1"),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_does_not_end_is_ended_before_it_costs_memory(
    receiver: ReceiverHarness, kind: str
) -> None:
    start, piece = ENDLESS[kind]
    process = psutil.Process(receiver.part.pid)
    before = process.memory_info().rss
    answers = await flood(receiver.part.port, start, piece, 200 * MEBIBYTE)
    assert answers[-1] in {400, 404}
    assert process.memory_info().rss - before < 16 * MEBIBYTE
    assert (await receiver.post(receiver.new_body())).status == 200


async def flood(port: int, start: bytes, piece: bytes, size: int) -> list[int]:
    """Send a piece again and again until the connection is closed; return what was answered.

    What is sent behind the answer is thrown away by the receiver for a moment: it may be much.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    data = piece * (MEBIBYTE // 4 // len(piece) + 1)
    reading = asyncio.create_task(reader.read())
    writer.write(start)
    for _ in range(size // len(data)):
        writer.write(data)
        with contextlib.suppress(OSError):
            await writer.drain()
        if reading.done():
            break
    answers = statuses_in(await reading)
    writer.transport.abort()
    return answers


async def test_a_body_in_chunks_of_one_byte_is_read(receiver: ReceiverHarness) -> None:
    body = b"[" + b"1," * 50_000 + b"1]"
    before = await receiver.stored()
    async with connect(receiver.part.port) as connection:
        await connection.send(HEAD + b"".join(b"1\r\n%c\r\n" % each for each in body))
        await connection.send(b"0\r\n\r\n")
        assert (await connection.response()).status == 200
    assert await receiver.stored() == before + 1
    assert (await receiver.last()).data == body
