"""500 webhooks/s into three nats-servers: a lost leader, twins, a server that wants to be left."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.edge import RAW, signed
from support.follower import following
from support.nats_cluster import NatsCluster
from support.ordeal import LATEST_SECONDS, RATE, Ordeal
from support.plant import webhook
from support.starvation import Starvation
from support.wait import eventually
from support.witness import IN_PROCESS, Witness


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    """Give three servers."""
    async with NatsCluster(tmp_path) as running:
        yield running


@pytest.fixture
async def ordeal(tmp_path: Path, cluster: NatsCluster) -> AsyncIterator[Ordeal]:
    """Give RAW in three copies."""
    async with Ordeal(tmp_path, nats_server=cluster.servers[0], replicas=3) as running:
        yield running


@pytest.mark.parametrize("whom", ["the server of the receiver", "another server"])
async def test_the_leader_is_killed(ordeal: Ordeal, cluster: NatsCluster, whom: str) -> None:
    leader = await cluster.leader(RAW)
    follower, _ = cluster.others(leader)
    home = leader if whom == "the server of the receiver" else follower
    receiver = await ordeal.receiver(FOREBAY_NATS_URL=home.url)
    async with ordeal.load(receiver) as load:
        await load.flows()
        await leader.kill()
        await load.refuses()
        back = await ordeal.able(follower)
        await load.goes_on(back)
    await leader.start()
    await ordeal.able(leader)
    await ordeal.judge(load, back=back)


@pytest.mark.parametrize("whom", ["the leader", "a follower"])
async def test_a_server_in_lame_duck_mode_is_left(
    ordeal: Ordeal, cluster: NatsCluster, whom: str
) -> None:
    leader = await cluster.leader(RAW)
    follower, _ = cluster.others(leader)
    home = leader if whom == "the leader" else follower
    receiver = await ordeal.receiver(FOREBAY_NATS_URL=home.url)
    async with ordeal.load(receiver) as load:
        await load.flows()
        home.leave_clients()
        await eventually(
            lambda: receiver.logged("nats_lame_duck"), saying="the receiver to be told"
        )
        await eventually(lambda: not home.running, within=20, saying="the server to leave")
        back = await ordeal.able(cluster.others(home)[0])
        await load.goes_on(back)
    await home.start()
    await ordeal.able(home)
    await ordeal.judge(load, back=back)


async def test_two_receivers_get_the_same_webhook_at_the_same_time(
    ordeal: Ordeal, cluster: NatsCluster
) -> None:
    leader = await cluster.leader(RAW)
    receivers = [
        await ordeal.receiver(FOREBAY_NATS_URL=server.url) for server in cluster.others(leader)
    ]
    async with Witness(leader) as witness:
        async with ordeal.load(*receivers, rate=RATE / 2) as load:
            await load.goes_on(await ordeal.able(leader))
        assert witness.refused(IN_PROCESS) > 0
    await ordeal.judge(load, back=0.0)


async def test_twins_that_no_quorum_stores_are_both_refused(
    ordeal: Ordeal, cluster: NatsCluster
) -> None:
    leader = await cluster.leader(RAW)
    receivers = [await ordeal.receiver(FOREBAY_NATS_URL=leader.url) for _ in range(2)]
    async with (
        Witness(leader) as witness,
        ordeal.sender(*receivers) as sender,
        following(Starvation(*receivers)) as starvation,
    ):
        for follower in cluster.others(leader):
            follower.freeze()
        body = webhook(("wamid.twin", "15550001234"))
        headers = "".join(f"{name}: {value}\r\n" for name, value in signed(body).items()).encode()
        await sender.post(body, headers)
        assert [each.answer for each in sender.sendings] == [503, 503]
        # What the machine kept a receiver from doing is no delay of its own.
        took = [each.took - starvation.of(each) for each in sender.sendings]
        assert max(took) <= LATEST_SECONDS
        # The second was asked for again and again, within its budget.
        assert witness.refused(IN_PROCESS) >= 10
        for follower in cluster.others(leader):
            follower.thaw()
        await ordeal.able(leader)
        # The provider sends it again.
        assert await sender.post(body, headers) == 200
    assert len(await ordeal.stored()) == 1
