"""`forebay destinations` asks every processor, and says where one did not answer."""

import json
import time
from typing import Any

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RawSubject, endpoint_partition
from support.inputs.tables import endpoint, http_destination
from support.processor.processor_harness import token, webhook
from support.processor.shares import processors
from support.programs.dead_command import forebay
from support.programs.stack import Stack
from support.timing.wait import eventually

PEOPLE = 12
"""Their conversations are in eight partitions or more, so both processors have some."""

META = EndpointName("demo", "meta")


async def test_both_are_asked_and_each_probes_what_it_has(stack: Stack) -> None:
    stack.tables.write_endpoints(endpoint(http_destination(stack.sink.url())))
    parts = await processors(stack, 2)
    url = stack.nats_server.url
    messages = [f"wamid.two.{number}" for number in range(PEOPLE)]
    for message in messages:
        stack.sink.refuse_key(token(message), 401)
    subject = str(RawSubject("0", endpoint_partition(META, "0"), Lane.LIVE, META))
    async with stack.nats_server.client() as client:
        for number, message in enumerate(messages):
            headers = {
                "Forebay-Received-At": str(int(time.time() * 1000)),
                "Forebay-Endpoint": str(META),
            }
            body = webhook((message, f"1555{number}"))
            await client.jetstream().publish(subject, body, headers=headers)

    async def listed() -> dict[str, Any]:
        ended = await forebay("destinations", "ls", "--json", nats_url=url)
        assert (ended.code, ended.err) == (0, "")
        found: dict[str, Any] = json.loads(ended.out)
        return found

    async def all_wait() -> bool:
        return bool((await listed())["waiting"] == PEOPLE)

    await eventually(all_wait, saying="all items to wait, at both processors together")
    assert (await listed())["state"] == "Refused"
    for message in messages:
        stack.sink.forgive_key(token(message))
    ended = await forebay(
        *("destinations", "retry-now", "demo/meta", "sink", "--json"), nats_url=url
    )
    assert json.loads(ended.out) == {"processors": 2, "missing": 0, "changed": 2}

    async def all_came() -> bool:
        return {each.key for each in stack.sink.accepted} == set(map(token, messages))

    await eventually(all_came, saying="all items to come")
    parts[1].freeze()
    ended = await forebay("destinations", "close-breaker", "demo/meta", "sink", nats_url=url)
    parts[1].thaw()
    assert ended.code == 1
    assert "1 of 2 processors did not answer: say the same again in a moment" in ended.err
