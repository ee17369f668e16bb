"""500 webhooks/s while NATS is killed, filled up, emptied or silent: every answer is true, in time.

What is asserted of each is said in `support.receiver.store_outage`.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay.core.compile import max_in_flight
from forebay.core.resource import Throughput
from support.inputs.tables import route
from support.nats.jetstream_spy import JetStreamSpy
from support.nats.nats_server import NatsServer
from support.programs.ports import HOST
from support.programs.small_disk import SmallDisk, small_disk
from support.programs.stalling_proxy import StallingProxy
from support.receiver.store_outage import StoreOutage, judge_answers, judge_silence, judge_stored
from support.timing.wait import eventually

_MEBIBYTE = 1024 * 1024


async def test_nats_is_killed_and_restarted(outage: StoreOutage) -> None:
    receiver = await outage.receiver()
    async with outage.load(receiver) as load:
        await load.flows()
        await outage.nats_server.kill()
        await load.refuses()
        await outage.nats_server.start()
        back = await outage.able()
        await load.goes_on(back)
    await outage.judge(load, back=back)


async def test_raw_is_full_until_it_gets_more_room(tmp_path: Path) -> None:
    async with StoreOutage(tmp_path, raw_max_bytes=_MEBIBYTE) as outage:
        receiver = await outage.receiver()
        async with outage.load(receiver) as load:
            await load.refuses()
            await outage.resize(64 * _MEBIBYTE)
            back = await outage.able()
            await load.goes_on(back)
        await outage.judge(load, back=back)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Give a disk of 2 MiB where NATS keeps its store."""
    with small_disk(tmp_path / "nats" / "store", "2m") as mounted:
        yield mounted


async def test_the_disk_is_full_and_then_has_room(tmp_path: Path, disk: SmallDisk) -> None:
    # NATS may take more than the disk has, as where something else fills a volume.
    server = NatsServer(tmp_path / "nats", max_file_store="1GB")
    async with StoreOutage(tmp_path, nats_server=server) as outage:
        receiver = await outage.receiver()
        async with outage.load(receiver) as load:
            await load.finds_silence()
            disk.grow("64m")
            # What the cluster's probe does: a server that met a full disk stays silent (0004).
            await server.restart()
            back = await outage.able()
            await load.goes_on(back)
        await outage.judge(load, back=back)
    judge_silence(load)


async def test_nats_accepts_and_never_answers(outage: StoreOutage) -> None:
    async with StallingProxy(outage.nats_server.port) as proxy:
        receiver = await outage.receiver(FOREBAY_NATS_URL=f"nats://{HOST}:{proxy.port}")
        async with outage.load(receiver) as load:
            await load.flows()
            proxy.stall()
            await load.finds_silence()
            proxy.resume()
            back = await outage.able()
            await load.goes_on(back)
        await outage.judge(load, back=back)
    judge_silence(load)


async def test_nats_stands_still_for_a_moment_under_more_than_is_declared(
    outage: StoreOutage,
) -> None:
    outage.tables.write_routes(route(max_in_flight=max_in_flight(Throughput())))
    receiver = await outage.receiver()
    # 400/s where 264/s are declared, for as long as 700 webhooks take to come: 1.75 s.
    async with outage.load(receiver, rate=400) as load:
        await load.flows()
        outage.nats_server.freeze()
        await eventually(
            lambda: load.sender.begun - len(load.sendings) >= 700, saying="700 to wait"
        )
        outage.nats_server.thaw()
        back = await outage.able()
        await load.goes_on(back)
    await outage.judge(load, back=back)
    reason = "endpoint_overloaded"
    assert await receiver.metric("forebay_receiver_refused_total", reason=reason) == 0


async def test_nats_accepts_connections_and_does_not_greet(outage: StoreOutage) -> None:
    async with StallingProxy(outage.nats_server.port) as proxy:
        receiver = await outage.receiver(FOREBAY_NATS_URL=f"nats://{HOST}:{proxy.port}")
        async with outage.load(receiver) as load:
            await load.flows()
            proxy.stall()
            proxy.drop()
            await eventually(
                lambda: receiver.logged("nats_connect_failed"),
                saying="the receiver to give up a connection",
            )
            proxy.resume()
            back = await outage.able()
            await load.goes_on(back)
        await outage.judge(load, back=back)
    # It was known that there is no connection: nobody had to wait for that.
    assert not load.waited_in_vain()


@pytest.mark.parametrize("listener", [False, True], ids=["nobody else", "a silent listener"])
async def test_raw_is_deleted_and_made_again(outage: StoreOutage, *, listener: bool) -> None:
    receiver = await outage.receiver()
    async with JetStreamSpy(outage.nats_server, to_webhooks=listener) as spy:
        async with outage.load(receiver) as load:
            await load.flows()
            await outage.delete_raw()
            deleted = time.time()
            # With a listener no publish gets an answer, without one each gets it at once.
            await load.refuses(1_000)
            await outage.provision()
            back = time.time()
            await load.goes_on(back)
        accepted = load.answers()[200]
        await eventually(lambda: spy.acks() >= accepted, saying="the spy to hear it all")
    judge_answers(load, back=back)
    stored = await outage.stored()
    since = {each.body for each in load.sendings if each.sent_at > deleted and each.answer == 200}
    assert since - stored.keys() == set()
    # What was stored before went with the stream: only who noted the answers knows.
    if listener:
        assert stored.keys() <= spy.stored().keys()
        judge_stored(load, spy.stored())
    else:
        assert spy.acks() == accepted
