"""500 webhooks/s into three nats-servers: a lost leader, twins, a server that wants to be left."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.nats.jetstream_spy import IN_PROCESS, JetStreamSpy
from support.nats.nats_cluster import NatsCluster
from support.processor.processor_harness import webhook
from support.receiver.receiver_harness import RAW, signed
from support.receiver.store_outage import LATEST_SECONDS, RATE, StoreOutage
from support.timing.poller import following
from support.timing.starvation import Starvation
from support.timing.wait import eventually


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    """Give three servers."""
    async with NatsCluster(tmp_path) as running:
        yield running


@pytest.fixture
async def outage(tmp_path: Path, cluster: NatsCluster) -> AsyncIterator[StoreOutage]:
    """Give RAW in three copies."""
    async with StoreOutage(tmp_path, nats_server=cluster.servers[0], replicas=3) as running:
        yield running


@pytest.mark.parametrize("whom", ["the server of the receiver", "another server"])
async def test_the_leader_is_killed(outage: StoreOutage, cluster: NatsCluster, whom: str) -> None:
    leader = await cluster.leader(RAW)
    poller, _ = cluster.others(leader)
    home = leader if whom == "the server of the receiver" else poller
    receiver = await outage.receiver(FOREBAY_NATS_URL=home.url)
    async with outage.load(receiver) as load:
        await load.flows()
        await leader.kill()
        await load.refuses()
        back = await outage.able(poller)
        await load.goes_on(back)
    await leader.start()
    await outage.able(leader)
    await outage.judge(load, back=back)


@pytest.mark.parametrize("whom", ["the leader", "a follower"])
async def test_a_server_in_lame_duck_mode_is_left(
    outage: StoreOutage, cluster: NatsCluster, whom: str
) -> None:
    leader = await cluster.leader(RAW)
    poller, _ = cluster.others(leader)
    home = leader if whom == "the leader" else poller
    receiver = await outage.receiver(FOREBAY_NATS_URL=home.url)
    async with outage.load(receiver) as load:
        await load.flows()
        home.leave_clients()
        await eventually(
            lambda: receiver.logged("nats_lame_duck"), saying="the receiver to learn of it"
        )
        await eventually(lambda: not home.running, within=20, saying="the server to leave")
        back = await outage.able(cluster.others(home)[0])
        await load.goes_on(back)
    await home.start()
    await outage.able(home)
    await outage.judge(load, back=back)


async def test_two_receivers_get_the_same_webhook_at_the_same_time(
    outage: StoreOutage, cluster: NatsCluster
) -> None:
    leader = await cluster.leader(RAW)
    receivers = [
        await outage.receiver(FOREBAY_NATS_URL=server.url) for server in cluster.others(leader)
    ]
    async with JetStreamSpy(leader) as spy:
        async with outage.load(*receivers, rate=RATE / 2) as load:
            await load.goes_on(await outage.able(leader))
        assert spy.refused(IN_PROCESS) > 0
    await outage.judge(load, back=0.0)


async def test_twins_that_no_quorum_stores_are_both_refused(
    outage: StoreOutage, cluster: NatsCluster
) -> None:
    leader = await cluster.leader(RAW)
    receivers = [await outage.receiver(FOREBAY_NATS_URL=leader.url) for _ in range(2)]
    async with (
        JetStreamSpy(leader) as spy,
        outage.sender(*receivers) as sender,
        following(Starvation(*receivers)) as starvation,
    ):
        for poller in cluster.others(leader):
            poller.freeze()
        body = webhook(("wamid.twin", "15550001234"))
        headers = "".join(f"{name}: {value}\r\n" for name, value in signed(body).items()).encode()
        await sender.post(body, headers)
        assert [each.answer for each in sender.sendings] == [503, 503]
        # What the machine kept a receiver from doing is no delay of its own.
        took = [each.took - starvation.of(each) for each in sender.sendings]
        assert max(took) <= LATEST_SECONDS
        # The second was asked for again and again, within its budget.
        assert spy.refused(IN_PROCESS) >= 10
        for poller in cluster.others(leader):
            poller.thaw()
        await outage.able(leader)
        # The provider sends it again.
        assert await sender.post(body, headers) == 200
    assert len(await outage.stored()) == 1
