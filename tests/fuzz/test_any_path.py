"""Whatever path or query comes: only the endpoint's own path stores, only its token is answered."""

import itertools
import re
import socket

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from support.inputs.tables import PATH, VERIFY_TOKEN
from support.nats.streams import count
from support.processor.processor_harness import RAW
from support.programs.ports import HOST
from support.programs.stack import Stack
from support.receiver.raw_http import request_bytes
from support.receiver.receiver_harness import signed

BODY = b'{"entry": []}'
NUMBERS = itertools.count(10**11)
PIECES = (
    *(b"/", b"v1", b"webhooks", b"demo", b"meta", b"A", b"*", b".", b"..", b"http://h"),
    *(b"%2e", b"%2F", b"%00", b"?", b"#", b";", b"\\", b"\x00", b"\x7f", b"\xc3\xa9", b"\xff"),
    *(b" ", b"\t"),
)
TOKENS = st.sampled_from(PIECES)
PATHS = st.one_of(
    st.lists(TOKENS, max_size=12).map(b"".join),
    st.builds(
        lambda at, extra: PATH.encode()[:at] + extra + PATH.encode()[at:],
        st.integers(0, len(PATH)),
        st.lists(TOKENS, min_size=1, max_size=3).map(b"".join),
    ),
    st.binary(max_size=60),
)


def names_the_endpoint(target: bytes) -> bool:
    """Say whether a request's target is the endpoint's path, with or without host, query and slash.

    RFC 9112 asks servers to take the form with a host; more than one space around the target is for
    them to take or not, and llhttp takes it.
    """
    path = re.sub(rb"^[Hh][Tt][Tt][Pp][Ss]?://[^/?]+(?=/)", b"", target.strip(b" "))
    return path.partition(b"?")[0].removesuffix(b"/") == PATH.encode()


def new_body() -> bytes:
    """Return a webhook that was not sent before, all of the same length."""
    return b'{"entry": [], "n": %012d}' % next(NUMBERS)


def status_of(port: int, target: bytes, method: str = "POST", *, body: bytes = BODY) -> int | None:
    """Send a webhook to a target, and return the answer's status; None where there is none."""
    head = request_bytes(method, "/", headers={**signed(body), "Connection": "close"}, body=body)
    start = f"{method} ".encode()
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(head.replace(start + b"/", start + target, 1))
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return int(answer.split(b" ", 2)[1]) if answer else None


async def test_any_path_is_404_or_no_http(stack: Stack) -> None:
    stack.serve_demo()
    receiver = await stack.receiver()
    accepted = 0

    @settings(
        max_examples=300,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(PATHS)
    @example(PATH.encode())
    @example(PATH.encode() + b"?a=b")
    @example(PATH.encode() + b"?")
    @example(PATH.encode() + b"\x00")
    @example(PATH.encode() + b"/")
    @example(b"http://hooks.example.com" + PATH.encode())
    @example(PATH.encode().replace(b"demo", b"d%65mo"))
    def check(target: bytes) -> None:
        nonlocal accepted
        status = status_of(receiver.port, target, body=new_body())
        if status == 200:
            accepted += 1
            assert names_the_endpoint(target)
        else:
            assert status in {400, 404, None} or (status == 505 and b"\n" in target)
            # What stands in a query is for the parser to judge.
            assert not names_the_endpoint(target) or b"?" in target

    check()
    refused = await receiver.metric("forebay_receiver_refused_total", endpoint="meta")
    assert refused == 0
    # Each body is another one: what was not answered 200 would be there besides.
    async with stack.nats_server.client() as client:
        assert 0 < await count(client, RAW) == accepted


QUERIES = st.one_of(
    st.binary(max_size=80),
    st.lists(
        st.sampled_from(
            (
                *(b"hub.mode=subscribe", b"hub.mode=", b"hub.challenge=1", b"hub.challenge"),
                *(b"hub.verify_token=", b"hub.verify_token=%FF", b"hub.verify_token=wrong"),
                *(b"&", b";", b"=", b"%", b"%zz", b"\xff", b"\xc3\xa9", b"+", b"?", b"/"),
            )
        ),
        max_size=10,
    ).map(b"&".join),
)


async def test_any_query_gets_no_challenge_without_the_token(stack: Stack) -> None:
    stack.serve_demo()
    receiver = await stack.receiver()
    path = PATH.encode()

    @settings(
        max_examples=200,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(QUERIES)
    @example(b"hub.mode=subscribe&hub.challenge=1&hub.verify_token=" + b"x" * 9000)
    @example(b"hub.mode=subscribe&hub.challenge=1&hub.verify_token=\xed\xa0\x80")
    @example(b"hub.mode=subscribe&hub.challenge=%ED%A0%80&hub.verify_token=%ED%A0%80")
    @example(b"&" * 5000)
    @example(b"\n\r\n")
    def check(query: bytes) -> None:
        statuses = {400, 403, 404, None}
        if b"\n" in query:
            statuses.add(505)  # it ends the line, which then names no version
        assert status_of(receiver.port, path + b"?" + query, "GET") in statuses

    check()
    token = VERIFY_TOKEN.encode()
    query = b"?hub.mode=subscribe&hub.challenge=1&hub.verify_token=" + token
    assert status_of(receiver.port, path + query, "GET") == 200
