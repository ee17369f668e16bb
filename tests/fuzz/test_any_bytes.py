"""Whatever bytes come, the receiver answers or closes: no crash, no hang, no dishonest 5xx.

A webhook POST is taken apart, doubled, cut, mixed with what confuses HTTP servers, and sent in
pieces of any size. `make fuzz` does this for a minute; in CI it is a fixed number of requests.
"""

import asyncio
import os
import random
import time

from forebay.core.signatures import sign
from support.inputs.corpus import APP_SECRET, payload
from support.inputs.tables import PATH
from support.programs.stack import Stack
from support.timing.wait import eventually

ROUNDS = 1500
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""For so long, instead of the fixed number of rounds; the seed is then the clock's."""

HONEST = {100, 200, 400, 401, 404, 405, 408, 413, 417, 503, 505}

BODY = payload("messages-text").body
REQUEST = [
    f"POST {PATH} HTTP/1.1\r\n".encode(),
    b"Host: hooks.example.com\r\n",
    b"Content-Type: application/json\r\n",
    f"X-Hub-Signature-256: sha256={sign(APP_SECRET, BODY)}\r\n".encode(),
    f"Content-Length: {len(BODY)}\r\n".encode(),
    b"\r\n",
    BODY,
]
HEADERS = [
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: -1\r\n",
    b"Expect: 100-continue\r\n",
    b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
    b"Connection: close\r\n",
    b"X: \x00\r\n",
    b": no name\r\n",
    b"no colon\r\n",
    b" folded\r\n",
    b"A: b\r\n" * 200,
    b"B" * 40_000 + b": b\r\n",
]
LINES = [
    b"GET / HTTP/1.1\r\n",
    b"PUT " + PATH.encode() + b" HTTP/1.1\r\n",
    b"POST " + PATH.encode() + b" HTTP/1.0\r\n",
    b"POST " + PATH.encode() + b" HTTP/9.9\r\n",
    b"POST " + PATH.encode() + b"\x00 HTTP/1.1\r\n",
    b"POST " + PATH.encode() + b"?a=b HTTP/1.1\r\n",
    b"POST /v1/webhooks/../x HTTP/1.1\r\n",
    b"POST /v1/webhooks/no/body HTTP/1.1\r\n",
    b"POST http://hooks.example.com" + PATH.encode() + b" HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n\r\n",
]


def mangle(rand: random.Random) -> bytes:
    """Return a request, or several, of which something is wrong; sometimes nothing is."""
    parts = list(REQUEST)
    for _ in range(rand.randint(0, 3)):
        match rand.randint(0, 4):
            case 0:
                parts.insert(rand.randint(1, len(parts) - 2), rand.choice(HEADERS))
            case 1:
                parts[0] = rand.choice(LINES)
            case 2:
                parts *= rand.randint(2, 20)
                break
            case 3:
                parts += [b"GET / HTTP/1.1\r\n", b"Host: hooks.example.com\r\n", b"\r\n"]
            case _:
                del parts[rand.randrange(len(parts))]
                break
    data = bytearray(b"".join(parts))
    if data and rand.random() < 0.4:
        for _ in range(rand.randint(1, 5)):
            data[rand.randrange(len(data))] = rand.randrange(256)
    if rand.random() < 0.2:
        del data[rand.randint(0, len(data)) :]
    return bytes(data)


async def send(port: int, data: bytes, rand: random.Random) -> bytes:
    """Send in pieces, close our half, and return all that comes back; a reset is an answer too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        position = 0
        while position < len(data):
            size = rand.choice([len(data), rand.randint(1, 50), rand.randint(1, 2000)])
            writer.write(data[position : position + size])
            await writer.drain()
            position += size
        writer.write_eof()
        return await reader.read()
    except OSError:
        return b""
    finally:
        writer.close()


def statuses(answer: bytes) -> list[int]:
    """Return the statuses of all responses in what came back; their bodies are empty."""
    lines = answer.split(b"\r\n")
    return [int(line.split()[1]) for line in lines if line.startswith(b"HTTP/1.1 ")]


async def test_any_bytes_are_answered_or_closed(stack: Stack) -> None:
    stack.serve_demo()
    receiver = await stack.receiver()
    seed = int(time.time()) if SECONDS else 20261123
    rand = random.Random(seed)
    ends = time.monotonic() + SECONDS
    rounds = seen = 0
    while rounds < ROUNDS or time.monotonic() < ends:
        rounds += 1
        data = mangle(rand)
        async with asyncio.timeout(5):
            found = statuses(await send(receiver.port, data, rand))
        assert set(found) <= HONEST, (seed, rounds, data)
        seen += len(found)
    assert seen > rounds / 2
    assert await receiver.ready()

    async def is_idle() -> bool:
        return (await receiver.admin("/load")).body == b'{"in_flight":0,"in_flight_bytes":0}'

    # The last connection may have been closed by us before the receiver saw its end.
    await eventually(is_idle, saying="nothing to be in flight")
