"""From the provider to a program that was written for it, through receiver and processor."""

import hashlib
import hmac

import pytest

from forebay.core.tables import Authentication, SignatureCheck
from support.inputs.corpus import PAYLOADS, PLATFORM_SECRET, payload
from support.programs.whole_path import WholePath
from support.receiver.raw_http import request_bytes
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

DIALOG360 = Authentication(
    signature=SignatureCheck(
        header="x-360dialog-signature", prefix="optional", secrets=(PLATFORM_SECRET,)
    )
)


def signature(body: bytes) -> str:
    """Sign as 360dialog does, without the prefix."""
    return hmac.new(PLATFORM_SECRET.encode(), body, hashlib.sha256).hexdigest()


async def old_program(whole_path: WholePath) -> str:
    """Serve an endpoint whose webhooks go on as they came too; return its name."""
    return await whole_path.endpoint("360dialog", authentication=DIALOG360)


async def test_every_webhook_of_the_corpus_passes_the_old_programs_own_check(
    whole_path: WholePath,
) -> None:
    own = await old_program(whole_path)
    bodies = {payload.body for payload in PAYLOADS.values()}
    for body in bodies:
        headers = {
            "Content-Type": "application/json",
            "X-360dialog-Signature": signature(body),
            "Authorization": "Bearer of-the-provider",
        }
        request = request_bytes("POST", whole_path.path(own), headers=headers, body=body)
        assert (await whole_path.send(request)).status == 200
    await eventually(lambda: len(whole_path.bodies(own)) >= len(bodies))
    arrivals = whole_path.bodies(own)
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
async def test_a_webhook_arrives_whatever_its_content_type_holds(
    whole_path: WholePath, odd: bytes
) -> None:
    own = await old_program(whole_path)
    body = payload("messages-text").body
    fields = {"X-360dialog-Signature": signature(body), "Content-Type": "%"}
    request = request_bytes("POST", whole_path.path(own), headers=fields, body=body)
    head, _, rest = request.partition(b"\r\n\r\n")
    sent = head.replace(b"Content-Type: %", b"Content-Type: " + odd) + b"\r\n\r\n" + rest
    assert (await whole_path.send(sent)).status == 200
    await eventually(lambda: whole_path.bodies(own))
    (arrival,) = whole_path.bodies(own)
    assert arrival.body == body
    assert arrival.headers["x-360dialog-signature"] == signature(body)
    assert arrival.attempt == 1
