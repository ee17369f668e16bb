"""The backlog of each endpoint: what is stored for it and not delivered, and nothing of others."""

from typing import Any

from nats.js import JetStreamContext

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import (
    EventSubject,
    Lane,
    RawSubject,
    RetrySubject,
    StreamKind,
    consumer_name,
    endpoint_partition,
    stream_name,
)
from support.nats.nats_server import NatsServer
from support.operator.operator_process import Forebay, manifest
from support.timing.wait import eventually

Json = Any

RAW = stream_name(StreamKind.RAW, "0")


def backlog(forebay: Forebay, name: str) -> Json:
    return ((forebay.endpoint(name) or {}).get("status") or {}).get("backlog")


async def store_raw(stream: JetStreamContext, endpoint: EndpointName, count: int) -> None:
    subject = str(RawSubject("0", endpoint_partition(endpoint, "0"), Lane.LIVE, endpoint))
    for _ in range(count):
        await stream.publish(subject, b"{}")


async def test_each_endpoint_has_its_own(forebay: Forebay, nats_server: NatsServer) -> None:
    forebay.secret()
    busy, quiet = (EndpointName(forebay.tenant, name) for name in ("busy", "quiet"))
    for endpoint in (busy, quiet):
        forebay.apply(manifest(*endpoint))
    await forebay.operator().start()
    for endpoint in (busy, quiet):
        await forebay.wait_condition(endpoint.name, "StreamsReady", "StreamsThere")

    async with nats_server.client() as client:
        stream = client.jetstream()
        await store_raw(stream, busy, 5)
        await store_raw(stream, quiet, 2)
        for number in range(3):
            event = EventSubject("0", number, Lane.STATUS, busy, "statuses", f"a{number}")
            await stream.publish(str(event), b"{}")
            retry = RetrySubject("0", number, Lane.LIVE, busy, "crm", "c0", f"a{number}")
            await stream.publish(str(retry), b"{}")

        await eventually(
            lambda: (backlog(forebay, "busy") or {}).get("items") == 11,
            saying="5 raw, 3 stored and 3 parked",
        )
        await eventually(lambda: (backlog(forebay, "quiet") or {}).get("items") == 2)

        # What a processor has acked is no backlog, though it is kept.
        consumer = consumer_name("split", Lane.LIVE, endpoint_partition(busy, "0"))
        pull = await stream.pull_subscribe_bind(consumer, RAW)
        for message in await pull.fetch(20, timeout=2):
            if message.subject.endswith(".busy"):
                await message.ack_sync()
        await eventually(
            lambda: (backlog(forebay, "busy") or {}).get("items") == 6,
            saying="the acked webhooks to be no backlog any more",
        )
        assert (await stream.stream_info(RAW)).state.messages == 7
        names = {each.name for each in await stream.consumers_info(RAW)}
        assert all(name.startswith("split-") for name in names)


async def test_age_of_the_oldest_is_reported(forebay: Forebay, nats_server: NatsServer) -> None:
    forebay.secret()
    endpoint = EndpointName(forebay.tenant, "sales")
    forebay.apply(manifest(*endpoint))
    await forebay.operator().start()
    await forebay.wait_condition("sales", "StreamsReady", "StreamsThere")
    async with nats_server.client() as client:
        await store_raw(client.jetstream(), endpoint, 1)
    await eventually(
        lambda: (backlog(forebay, "sales") or {}).get("oldestSeconds", 0) >= 2,
        saying="the webhook to be two seconds old",
    )
