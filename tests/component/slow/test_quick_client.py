"""The short way of messages: what nats-py's own way gives, and that it is taken at all."""

import functools
import gc
import weakref
from collections.abc import AsyncIterator, Mapping

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from forebay.runtime.jetstream.fast_subscriptions import QuickClient, subscribe
from support.nats.nats_server import NatsServer, settled
from support.timing.wait import eventually


class Call:
    """Something that takes messages."""

    def take(self, _: Msg) -> None:
        """Take one."""


HEADERS = {"Forebay-Key": "a:b:c", "traceparent": "00-ab-cd-01", "Empty": "", "Umlaut": "grün"}


@pytest.fixture
async def quick(nats_server: NatsServer) -> AsyncIterator[QuickClient]:
    """Give a connected client."""
    client = QuickClient()
    await client.connect(nats_server.url)
    yield client
    await client.close()


@pytest.fixture
async def other(nats_server: NatsServer) -> AsyncIterator[Client]:
    """Give a client of nats-py."""
    async with nats_server.client() as client:
        yield client


async def some(client: Client, sender: Client, count: int = 50) -> list[Msg]:
    """Return what a client gets of so many messages."""
    inbox, got = client.new_inbox(), list[Msg]()
    await subscribe(client, f"{inbox}.*", got.append)
    await settled(client)
    for number in range(count):
        await sender.publish(f"{inbox}.{number}", b"%d" % number, "reply.to", HEADERS)
    await sender.publish(f"{inbox}.plain", b"")
    await eventually(lambda: len(got) == count + 1, saying="all messages")
    return got


async def test_messages_are_what_they_are_on_the_long_way(
    quick: QuickClient, other: Client
) -> None:
    short, long = await some(quick, other), await some(other, other)
    for one, same in zip(short, long, strict=True):
        assert one.subject.rpartition(".")[2] == same.subject.rpartition(".")[2]
        assert (one.data, one.reply, one.headers) == (same.data, same.reply, same.headers)
    assert short[0].headers == HEADERS
    assert not short[-1].headers


async def test_a_status_is_read(quick: QuickClient, other: Client) -> None:
    read: list[Mapping[str, str] | None] = []
    for client in (quick, other):
        got: list[Msg] = []
        inbox = client.new_inbox()
        await subscribe(client, inbox, got.append)
        # Nobody answers there: the server says so with a status.
        await client.publish("nobody.is.there", b"", inbox)
        await eventually(functools.partial(bool, got), saying="the status")
        read.append(got[0].headers)
    assert read[0] == read[1]
    assert read[0] is not None
    assert read[0]["Status"] == "503"


async def test_the_short_way_is_taken(
    quick: QuickClient, other: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This fails where nats-py does not call any more what `QuickClient` overrides."""
    parsed: list[bytes] = []
    parse = QuickClient._parse_header_lines  # noqa: SLF001  # what is tested

    def noted(raw: bytes) -> dict[str, str]:
        parsed.append(raw)
        return parse(raw)

    monkeypatch.setattr(QuickClient, "_parse_header_lines", staticmethod(noted))
    inbox, at_once = quick.new_inbox(), list[bool]()
    subscription = await subscribe(quick, inbox, lambda _: at_once.append(not waiting()))

    def waiting() -> int:
        return subscription.delivered

    await settled(quick)
    await other.publish(inbox, b"1", headers=HEADERS)
    await eventually(lambda: at_once, saying="the message")
    assert parsed
    assert at_once == [True], "it went through the subscription's queue"


async def test_nothing_comes_after_the_end_of_a_subscription(
    quick: QuickClient, other: Client
) -> None:
    inbox, got = quick.new_inbox(), list[Msg]()
    subscription = await subscribe(quick, inbox, got.append)
    await settled(quick)
    await other.publish(inbox, b"1")
    await eventually(lambda: got)
    await subscription.unsubscribe()
    await other.publish(inbox, b"2")
    await settled(other)
    await settled(quick)
    assert [message.data for message in got] == [b"1"]


async def test_it_goes_on_after_a_reconnect(quick: QuickClient, nats_server: NatsServer) -> None:
    inbox, got = quick.new_inbox(), list[Msg]()
    await subscribe(quick, inbox, got.append)
    await nats_server.restart()
    await eventually(lambda: quick.is_connected, within=20, saying="the client to be back")

    async def comes() -> bool:
        async with nats_server.client() as client:
            await client.publish(inbox, b"again")
        return bool(got)

    await eventually(comes, within=10, saying="a message")


async def test_what_a_function_raises_does_not_end_the_connection(
    quick: QuickClient, other: Client
) -> None:
    inbox, got = quick.new_inbox(), list[bytes]()

    def takes(message: Msg) -> None:
        if message.data == b"bad":
            raise ValueError(message.data)
        got.append(message.data)

    await subscribe(quick, inbox, takes)
    await settled(quick)
    for data in (b"1", b"bad", b"2"):
        await other.publish(inbox, data)
    await eventually(lambda: len(got) == 2, saying="both good ones")
    assert got == [b"1", b"2"]
    assert quick.stats["reconnects"] == 0


async def test_what_has_ended_is_forgotten(quick: QuickClient) -> None:
    calls = weakref.WeakSet[Call]()
    for _ in range(3):
        call = Call()
        calls.add(call)
        subscription = await subscribe(quick, quick.new_inbox(), call.take)
        await subscription.unsubscribe()
        del call, subscription
    await subscribe(quick, quick.new_inbox(), lambda _: None)

    def are_gone() -> bool:
        gc.collect()
        return not calls

    await eventually(are_gone, saying="what took messages to be let go of")
