"""From the provider to a program that was written for it, through receiver and processor."""

import hashlib
import hmac

import pytest

from forebay.core.tables import (
    Authentication,
    Destination,
    HttpTarget,
    ProcessorEndpoint,
    ReceiverRoute,
    SignatureCheck,
)
from support.corpus import PAYLOADS, PLATFORM_SECRET, payload
from support.processes import Part
from support.raw_http import exchange, request_bytes
from support.stack import Stack
from support.tables import ENDPOINT, PATH, QUICK_RETRY

DIALOG360 = Authentication(
    signature=SignatureCheck(
        header="x-360dialog-signature", prefix="optional", secrets=(PLATFORM_SECRET,)
    )
)


def signature(body: bytes) -> str:
    """Sign as 360dialog does, without the prefix."""
    return hmac.new(PLATFORM_SECRET.encode(), body, hashlib.sha256).hexdigest()


async def old_program(stack: Stack) -> Part:
    """Serve an endpoint whose webhooks go on as they came; return its receiver."""
    namespace, _, name = ENDPOINT.partition("/")
    target = HttpTarget(url=stack.sink.url("/webhook"), format="Raw")
    stack.tables.write_routes(
        ReceiverRoute(
            namespace=namespace, name=name, provider="360dialog", authentication=DIALOG360
        )
    )
    stack.tables.write_endpoints(
        ProcessorEndpoint(
            namespace=namespace,
            name=name,
            provider="360dialog",
            destinations=(Destination(name="old", http=target, retry=QUICK_RETRY),),
        )
    )
    receiver = await stack.receiver()
    await stack.processor()
    return receiver


async def test_every_webhook_of_the_corpus_passes_the_old_programs_own_check(stack: Stack) -> None:
    receiver = await old_program(stack)
    bodies = {payload.body for payload in PAYLOADS.values()}
    for body in bodies:
        headers = {
            "Content-Type": "application/json",
            "X-360dialog-Signature": signature(body),
            "Authorization": "Bearer of-the-provider",
        }
        answer = await exchange(
            receiver.port, request_bytes("POST", PATH, headers=headers, body=body)
        )
        assert answer.status == 200
    arrivals = await stack.sink.wait_for(len(bodies))
    assert sorted(arrival.body for arrival in arrivals) == sorted(bodies)
    for arrival in arrivals:
        assert arrival.headers["x-360dialog-signature"] == signature(arrival.body)
        assert arrival.headers["content-type"] == "application/json"
        # What lets a webhook in is for the receiver alone.
        assert "authorization" not in arrival.headers


@pytest.mark.parametrize(
    "odd",
    [
        b"application/json; x=\xff\xfe",
        "application/json; x=\u00e9\u0085".encode(),
        b"a/b\tc",
        b"=?utf-8?q?a?=",
    ],
)
async def test_a_webhook_arrives_whatever_its_content_type_holds(stack: Stack, odd: bytes) -> None:
    receiver = await old_program(stack)
    body = payload("messages-text").body
    fields = {"X-360dialog-Signature": signature(body), "Content-Type": "%"}
    request = request_bytes("POST", PATH, headers=fields, body=body)
    head, _, rest = request.partition(b"\r\n\r\n")
    sent = head.replace(b"Content-Type: %", b"Content-Type: " + odd) + b"\r\n\r\n" + rest
    assert (await exchange(receiver.port, sent)).status == 200
    (arrival,) = await stack.sink.wait_for(1)
    assert arrival.body == body
    assert arrival.headers["x-360dialog-signature"] == signature(body)
    assert arrival.attempt == 1
