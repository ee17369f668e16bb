"""Half an emoji, bytes that are no text, numbers without bounds: over the whole path."""

import gzip
import json
import zlib
from collections.abc import Sequence

import pytest

from support.destinations.sink import Arrival
from support.inputs.cases import CASES
from support.processor.processor_harness import webhook
from support.programs.whole_path import WholePath
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


def bodies(arrivals: Sequence[Arrival]) -> list[bytes]:
    return [each.body for each in arrivals if each.accepted]


@pytest.mark.parametrize(
    ("name", "count"), [("lone-surrogate", 1), ("batch-with-one-lone-surrogate", 50)]
)
async def test_half_an_emoji_is_one_texts_trouble(
    whole_path: WholePath, name: str, count: int
) -> None:
    own = await whole_path.endpoint()
    (posted,) = CASES[name].posts(name)
    body = posted.body
    await whole_path.post(own, body)
    await eventually(
        lambda: len(bodies(whole_path.items(own))) == count and bodies(whole_path.bodies(own))
    )
    assert bodies(whole_path.bodies(own)) == [body]
    events = [json.loads(event) for event in bodies(whole_path.items(own))]
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
    whole_path: WholePath, damage: bytes, written: bytes
) -> None:
    own = await whole_path.endpoint()
    body = webhook(("wamid.1", "15550001")).replace(b'"Hello"', damage)
    await whole_path.post(own, body)
    await eventually(lambda: bodies(whole_path.items(own)) and bodies(whole_path.bodies(own)))
    assert bodies(whole_path.bodies(own)) == [body]
    (event,) = bodies(whole_path.items(own))
    assert b'"body":' + written in event
    assert b'"repaired":true' in event


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_webhook_is_split_and_handed_on_as_it_came(
    whole_path: WholePath, encoding: str
) -> None:
    own = await whole_path.endpoint()
    plain = webhook(("wamid.1", "15550001"), ("wamid.2", "15550002"))
    body = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain)
    await whole_path.post(own, body, headers={"Content-Encoding": encoding})
    await eventually(
        lambda: len(bodies(whole_path.items(own))) == 2 and bodies(whole_path.bodies(own))
    )
    (whole,) = whole_path.bodies(own)
    assert whole.headers["content-encoding"] == encoding
    # The sink's own server takes the encoding off: what it read is what was compressed.
    assert whole.body in {plain, body}


async def test_a_large_body_is_mended_in_pieces(whole_path: WholePath) -> None:
    own = await whole_path.endpoint()
    text = b'"' + b"Hello " * 60_000 + b'\\ud83d"'
    body = webhook(("wamid.1", "15550001"), ("wamid.2", "15550002")).replace(b'"Hello"', text, 1)
    await whole_path.post(own, body)
    await eventually(
        lambda: len(bodies(whole_path.items(own))) == 2 and bodies(whole_path.bodies(own))
    )
    assert bodies(whole_path.bodies(own)) == [body]
    found = {
        json.loads(event)["data"]["value"]["messages"][0]["text"]["body"][-2:]
        for event in bodies(whole_path.items(own))
    }
    assert found == {" \N{REPLACEMENT CHARACTER}", "lo"}
