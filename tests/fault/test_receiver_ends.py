"""500 webhooks/s while a receiver is stopped or killed: nothing that got a 200 is lost."""

import time

from support.receiver.balancer import Balancer
from support.receiver.store_outage import StoreOutage
from support.timing.poller import following


async def test_it_is_killed_and_started_again(outage: StoreOutage) -> None:
    receiver = await outage.receiver()
    async with outage.load(receiver) as load:
        await load.flows()
        await receiver.kill()
        await receiver.start()
        back = time.time()
        await load.goes_on(back)
    await outage.judge(load, back=back, also=frozenset({"connection"}))


async def test_it_is_stopped_and_started_again(outage: StoreOutage) -> None:
    receiver = await outage.receiver()
    async with outage.load(receiver) as load:
        await load.flows()
        stopped = time.time()
        assert await receiver.terminate() == 0
        await receiver.start()
        back = time.time()
        await load.goes_on(back)
    await outage.judge(load, back=back, also=frozenset({"connection"}))
    # What had come before it was told to leave was answered.
    assert all(each.answer == 200 for each in load.sendings if each.sent_at < stopped)


async def test_one_of_two_is_stopped_behind_a_load_balancer(outage: StoreOutage) -> None:
    drain = {"FOREBAY_RECEIVER_DRAIN_SECONDS": "1"}
    receivers = [await outage.receiver(**drain) for _ in range(2)]
    async with (
        following(Balancer(*receivers)) as balancer,
        outage.load(*receivers, targets=balancer.next) as load,
    ):
        await load.flows()
        assert await receivers[0].terminate() == 0
        await load.goes_on(time.time())
    await outage.judge(load, back=0.0)
    # Nobody outside has noticed.
    assert load.answers().keys() == {200}
    assert {each.port for each in load.sendings} == {receiver.port for receiver in receivers}
