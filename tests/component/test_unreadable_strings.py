"""Half an emoji, bytes that are no text, numbers without bounds: over the whole path."""

import gzip
import json
import zlib
from collections.abc import Mapping

import pytest

from forebay.core.signatures import sign
from forebay.core.tables import Destination, HttpTarget, ProcessorEndpoint
from support.cases import CASES
from support.corpus import APP_SECRET
from support.plant import webhook
from support.processes import Part
from support.raw_http import exchange, request_bytes
from support.stack import Stack
from support.tables import PATH, QUICK_RETRY, route
from support.wait import eventually


async def start(stack: Stack) -> Part:
    """Serve one endpoint whose webhooks go out as events and as they came."""
    stack.tables.write_routes(route())
    destinations = tuple(
        Destination(
            name=name,
            http=HttpTarget(
                url=stack.sink.url(f"/{name}"), format="Raw" if name == "raw" else "Event"
            ),
            retry=QUICK_RETRY,
        )
        for name in ("event", "raw")
    )
    stack.tables.write_endpoints(
        ProcessorEndpoint(namespace="demo", name="meta", provider="meta", destinations=destinations)
    )
    receiver = await stack.receiver()
    await stack.processor()
    return receiver


async def post(receiver: Part, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    fields = {"X-Hub-Signature-256": f"sha256={sign(APP_SECRET, body)}", **(headers or {})}
    request = request_bytes("POST", PATH, headers=fields, body=body)
    assert (await exchange(receiver.port, request)).status == 200


def arrived(stack: Stack, path: str) -> list[bytes]:
    return [each.body for each in stack.sink.accepted if each.path == path]


@pytest.mark.parametrize(
    ("name", "count"), [("lone-surrogate", 1), ("batch-with-one-lone-surrogate", 50)]
)
async def test_half_an_emoji_is_one_texts_trouble(stack: Stack, name: str, count: int) -> None:
    receiver = await start(stack)
    (posted,) = CASES[name].posts(name)
    body = posted.body
    await post(receiver, body)
    await eventually(lambda: len(arrived(stack, "/event")) == count and arrived(stack, "/raw"))
    assert arrived(stack, "/raw") == [body]
    events = [json.loads(event) for event in arrived(stack, "/event")]
    texts = [event["data"]["value"]["messages"][0]["text"]["body"] for event in events]
    assert sum("\N{REPLACEMENT CHARACTER}" in text for text in texts) == 1
    assert all(event["repaired"] for event in events)


@pytest.mark.parametrize(
    ("damage", "written"),
    [
        (b'"\xff"', '"\N{REPLACEMENT CHARACTER}"'.encode()),
        (b"1e400", b"1e400"),
        (b"9" * 700, b"9" * 700),
        (b"9" * 5000, b"9" * 5000),
    ],
)
async def test_what_cannot_be_represented_stands_beside_what_can(
    stack: Stack, damage: bytes, written: bytes
) -> None:
    receiver = await start(stack)
    body = webhook(("wamid.1", "15550001")).replace(b'"Hello"', damage)
    await post(receiver, body)
    await eventually(lambda: arrived(stack, "/event") and arrived(stack, "/raw"))
    assert arrived(stack, "/raw") == [body]
    (event,) = arrived(stack, "/event")
    assert b'"body":' + written in event
    assert b'"repaired":true' in event


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_webhook_is_split_and_handed_on_as_it_came(
    stack: Stack, encoding: str
) -> None:
    receiver = await start(stack)
    plain = webhook(("wamid.1", "15550001"), ("wamid.2", "15550002"))
    body = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain)
    await post(receiver, body, {"Content-Encoding": encoding})
    await eventually(lambda: len(arrived(stack, "/event")) == 2 and len(stack.sink.accepted) == 3)
    (whole,) = [each for each in stack.sink.accepted if each.path == "/raw"]
    assert whole.headers["content-encoding"] == encoding
    # The sink's own server takes the encoding off: what it read is what was compressed.
    assert whole.body in {plain, body}


async def test_a_large_body_is_mended_in_pieces(stack: Stack) -> None:
    receiver = await start(stack)
    text = b'"' + b"Hello " * 60_000 + b'\\ud83d"'
    body = webhook(("wamid.1", "15550001"), ("wamid.2", "15550002")).replace(b'"Hello"', text, 1)
    await post(receiver, body)
    await eventually(lambda: len(arrived(stack, "/event")) == 2 and arrived(stack, "/raw"))
    assert arrived(stack, "/raw") == [body]
    found = {
        json.loads(event)["data"]["value"]["messages"][0]["text"]["body"][-2:]
        for event in arrived(stack, "/event")
    }
    assert found == {" \N{REPLACEMENT CHARACTER}", "lo"}
