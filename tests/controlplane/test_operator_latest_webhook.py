"""The status says when the latest webhook was stored: coarsely, so that it is written seldom."""

from datetime import UTC, datetime

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import Lane, RawSubject, StreamKind, consumer_name, endpoint_partition
from forebay.core.subjects import stream_name as name_of
from support.nats.nats_server import NatsServer
from support.operator.operator_process import Forebay, manifest
from support.timing.wait import eventually

RAW = name_of(StreamKind.RAW, "0")


async def store(nats_server: NatsServer, endpoint: EndpointName) -> None:
    """Store a webhook, and take it as a processor does, so that no backlog is left."""
    partition = endpoint_partition(endpoint, "0")
    async with nats_server.client() as client:
        stream = client.jetstream()
        await stream.publish(str(RawSubject("0", partition, Lane.LIVE, endpoint)), b"{}")
        pull = await stream.pull_subscribe_bind(consumer_name("split", Lane.LIVE, partition), RAW)
        for message in await pull.fetch(10, timeout=2):
            await message.ack_sync()


def latest(forebay: Forebay, name: str) -> str | None:
    status = (forebay.endpoint(name) or {}).get("status") or {}
    found = status.get("lastEventTime")
    return found if isinstance(found, str) else None


async def test_it_is_reported_once_and_a_restart_writes_nothing(
    forebay: Forebay, nats_server: NatsServer
) -> None:
    forebay.secret()
    endpoint, quiet = (EndpointName(forebay.tenant, name) for name in ("sales", "quiet"))
    for each in (endpoint, quiet):
        forebay.apply(manifest(*each))
    operator = forebay.operator()
    await operator.start()
    for each in (endpoint, quiet):
        await forebay.wait_condition(each.name, "StreamsReady", "StreamsThere")
    assert latest(forebay, "sales") is None

    began = datetime.now(UTC).replace(microsecond=0)
    await store(nats_server, endpoint)
    first = await eventually(lambda: latest(forebay, "sales"), saying="the time of the webhook")
    assert first is not None
    assert began <= datetime.fromisoformat(first) <= datetime.now(UTC)
    assert latest(forebay, "quiet") is None

    # Within the same minute another one is no news; neither is a restart.
    await store(nats_server, endpoint)
    before = forebay.versions()
    await operator.stop()
    await operator.start()
    await operator.settle()
    assert forebay.versions() == before
    assert latest(forebay, "sales") == first
