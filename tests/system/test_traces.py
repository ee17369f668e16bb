"""One webhook in a real trace store: every hop, every retry, and a replay that links to it.

The store is Jaeger, by OTLP over gRPC; without its program this is skipped, and
`tests/component/test_traces.py` judges the same story by a collector of our own.
"""

import time
from pathlib import Path

import pytest

from support.destinations.sink import Sink
from support.inputs.tables import PATH
from support.processor.processor_harness import token, webhook
from support.programs.dead_command import forebay_dead
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed
from support.timing.wait import eventually
from support.traces.jaeger import MISSING, Jaeger, jaeger_program
from support.traces.spans import Trace
from support.traces.story import judge_story, recorded_story, serve_two

pytestmark = pytest.mark.skipif(jaeger_program() is None, reason=MISSING)

DEAD = "wamid.trace.dead"


async def stored(jaeger: Jaeger, trace_id: str, count: int) -> Trace:
    """Return a trace of which so many spans are stored."""

    async def is_enough() -> bool:
        return len((await jaeger.trace(trace_id)).spans) >= count

    await eventually(is_enough, within=20, saying=f"{count} spans in the store")
    return await jaeger.trace(trace_id)


async def test_the_store_has_every_hop_and_a_later_replay_links_to_it(tmp_path: Path) -> None:
    async with Jaeger(tmp_path) as jaeger, Sink() as billing, Stack(tmp_path) as stack:
        serve_two(stack, billing)
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{jaeger.grpc_port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "FOREBAY_TRACES_RATIO": "1",
        }
        receiver = await stack.receiver(**settings)
        await stack.processor(**settings)
        sent = await recorded_story(stack, billing, receiver, time.time)

        trace = await stored(jaeger, sent.trace_id, 15)
        judge_story(trace, sent, time.time())
        assert await jaeger.services() >= {"forebay-receiver", "forebay-processor"}
        # Another item is given up, and replayed later: a trace of its own, with a link.
        billing.answer_key(token(DEAD), 422)
        body = webhook((DEAD, "15550009"))
        headers = {**signed(body), "Connection": "close"}
        answer = await exchange(
            receiver.port, request_bytes("POST", PATH, headers=headers, body=body)
        )
        assert answer.status == 200
        await eventually(lambda: billing.of(token(DEAD)), saying="the item that is refused")
        (first,) = billing.of(token(DEAD))
        trace_id = first.headers["traceparent"].split("-")[1]
        lost = await stored(jaeger, trace_id, 7)
        dead = lost.one("publish FOREBAY_DEAD_0")
        assert dead.is_error
        url = stack.nats_server.url
        assert (await forebay_dead("replay", "-e", "demo/meta", "--yes", nats_url=url)).code == 0
        await eventually(lambda: len(billing.of(token(DEAD))) == 2, saying="the replayed item")
        again = billing.of(token(DEAD))[1].headers["traceparent"].split("-")[1]
        assert again != trace_id
        replay = await stored(jaeger, again, 1)
        (span,) = replay.spans
        assert span.links == ((trace_id, dead.parent_id),)
