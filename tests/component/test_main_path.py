"""From webhook to destination, through real processes and a real nats-server."""

import time

from forebay.core.signatures import sign
from support.inputs.corpus import APP_SECRET, PAYLOADS
from support.inputs.tables import PATH
from support.processor.processor_harness import EVENTS, RAW, RETRY
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.timing.wait import eventually


async def test_every_payload_of_the_corpus_reaches_the_destination_once(stack: Stack) -> None:
    stack.serve_demo()
    receiver = await stack.receiver()
    await stack.processor()
    began = time.time()
    for payload in PAYLOADS.values():
        headers = {"X-Hub-Signature-256": f"sha256={sign(APP_SECRET, payload.body)}"}
        answer = await exchange(
            receiver.port, request_bytes("POST", PATH, headers=headers, body=payload.body)
        )
        assert answer.status == 200, payload.name
    wanted = {key for payload in PAYLOADS.values() for key in payload.webhook_ids(began)}
    late = {key for payload in PAYLOADS.values() for key in payload.webhook_ids(began + 60)}
    await stack.sink.wait_for(len(wanted))
    # Whatever comes twice has come by then.
    await eventually(lambda: is_done(stack), saying="all to be split, delivered and acked")
    assert len(stack.sink.arrivals) == len(wanted)
    assert stack.sink.keys <= wanted | late
    assert not stack.sink.repeats


async def is_done(stack: Stack) -> bool:
    """Say whether no webhook and no item waits anywhere."""
    async with stack.nats_server.client() as client:
        streams = client.jetstream()
        rows = (await streams.stream_info(RETRY)).state.messages
        consumers = [each for name in (RAW, EVENTS) for each in await streams.consumers_info(name)]
    return not rows and not any(each.num_pending or each.num_ack_pending for each in consumers)
