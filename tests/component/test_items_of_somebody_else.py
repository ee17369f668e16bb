"""Items with headers that no part writes: each is delivered or dead, and nobody waits behind it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import pytest

from forebay.core import envelope
from support.destinations.sink import Sink
from support.inputs.tables import PATH
from support.processor.processor_harness import token, webhook
from support.programs.processes import Part
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually
from support.traces.otlp_collector import OtlpCollector
from support.traces.story import serve_two

PERSON = "15550001"
STRANGE = "ab" * 16
"""The key of the item that somebody else stores."""

TRACE = "0af7651916cd43dd8448eb211c80319c"

HEADERS = {
    "span that is none": {envelope.TRACEPARENT: f"00-{TRACE}-{'z' * 16}-00"},
    "trace of 60 kB": {envelope.TRACEPARENT: "x" * 60_000},
    "trace that is not ASCII": {envelope.TRACEPARENT: "é" * 55},
    "trace with a line of its own": {envelope.TRACEPARENT: f"00-{'z' * 9}\nX-Own: 1\n-00"},
    "receipt that is no time": {envelope.RECEIVED_AT: "x"},
    "conversation of two tokens": {envelope.CONVERSATION: "x y  z"},
    "conversation with a wildcard": {envelope.CONVERSATION: "x.>"},
    "conversation that is none": {envelope.CONVERSATION: ""},
    "conversation of 5 kB": {envelope.CONVERSATION: "c" * 5000},
    "receipt after all years": {envelope.RECEIVED_AT: "9" * 5000},
}


class Both:
    """A stack with two destinations, its receiver and its processor."""

    def __init__(self, stack: Stack, billing: Sink, receiver: Part) -> None:
        self.stack = stack
        self.billing = billing
        self.receiver = receiver

    async def send(self, message: str) -> None:
        """Send a webhook with one message of the person."""
        body = webhook((message, PERSON))
        head = {**signed(body), "Connection": "close"}
        request = request_bytes("POST", PATH, headers=head, body=body)
        assert (await exchange(self.receiver.port, request)).status == 200
        await self.delivered(token(message))

    async def delivered(self, key: str) -> None:
        """Wait until both destinations have an item."""
        sinks = (self.stack.sink, self.billing)
        await eventually(
            lambda: all(key in each.keys for each in sinks), within=10, saying=f"{key} to come"
        )

    async def store_like_first(
        self, stream: str, headers: Mapping[str, str], key: str = "", body: bytes = b""
    ) -> None:
        """Store the first message of a stream once more, changed.

        Args:
            stream: Which one.
            headers: What it has instead of its own.
            key: The last token of its subject; as it was where it is empty.
            body: The same for its payload.
        """
        client = await nats.connect(self.stack.nats_server.url)
        try:
            found = await client.jetstream().get_msg(stream, 1)
            assert found.subject is not None
            front, _, last = found.subject.rpartition(".")
            subject, data = f"{front}.{key or last}", body or found.data
            assert data is not None
            own = {
                name: value
                for name, value in (found.headers or {}).items()
                if not name.startswith("Nats-")
            }
            lines = "".join(f"{name}: {value}\r\n" for name, value in {**own, **headers}.items())
            block = f"NATS/1.0\r\n{lines}\r\n".encode()
            sizes = f"{len(block)} {len(block) + len(data)}"
            # As bytes: the client would refuse some of it, and who means harm has another one.
            await client._send_command(  # noqa: SLF001
                f"HPUB {subject} {sizes}\r\n".encode() + block + data + b"\r\n"
            )
            await client.flush()
        finally:
            await client.close()


@pytest.fixture(params=["traced", "untraced"])
async def both(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Both]:
    """Give all parts, with traces and without."""
    async with AsyncExitStack() as cleanup:
        collector = await cleanup.enter_async_context(OtlpCollector())
        billing = await cleanup.enter_async_context(Sink())
        stack = await cleanup.enter_async_context(Stack(tmp_path))
        serve_two(stack, billing)
        is_traced = request.param == "traced"
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if is_traced else {}
        receiver = await stack.receiver(**settings)
        await stack.processor(**settings)
        yield Both(stack, billing, receiver)


async def test_an_item_with_any_headers_is_delivered_and_holds_up_nobody(both: Both) -> None:
    await both.send("wamid.before")
    for number, headers in enumerate(HEADERS.values()):
        key = f"{STRANGE[:-2]}{number:02d}"
        both.billing.answer_key(key, 500)
        await both.store_like_first("FOREBAY_EVENTS_0", headers, key)
        await both.delivered(key)
        (arrival, *_) = both.stack.sink.of(key)
        assert "X-Own" not in arrival.headers
        assert len(arrival.headers.get("traceparent", "")) in {0, 55}
    await both.send("wamid.after")


async def test_a_webhook_with_any_headers_is_split_and_holds_up_nobody(both: Both) -> None:
    await both.send("wamid.before")
    for number, headers in enumerate(HEADERS.values()):
        body = webhook((f"wamid.raw.{number}", PERSON))
        await both.store_like_first("FOREBAY_RAW_0", headers, body=body)
        await both.delivered(token(f"wamid.raw.{number}"))
    await both.send("wamid.after")
