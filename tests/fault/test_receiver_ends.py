"""500 webhooks/s while a receiver is stopped or killed: nothing that got a 200 is lost."""

import time

from support.balancer import Balancer
from support.follower import following
from support.ordeal import Ordeal


async def test_it_is_killed_and_started_again(ordeal: Ordeal) -> None:
    receiver = await ordeal.receiver()
    async with ordeal.load(receiver) as load:
        await load.flows()
        await receiver.kill()
        await receiver.start()
        back = time.time()
        await load.goes_on(back)
    await ordeal.judge(load, back=back, also=frozenset({"connection"}))


async def test_it_is_stopped_and_started_again(ordeal: Ordeal) -> None:
    receiver = await ordeal.receiver()
    async with ordeal.load(receiver) as load:
        await load.flows()
        stopped = time.time()
        assert await receiver.terminate() == 0
        await receiver.start()
        back = time.time()
        await load.goes_on(back)
    await ordeal.judge(load, back=back, also=frozenset({"connection"}))
    # What had come before it was told to leave was answered.
    assert all(each.answer == 200 for each in load.sendings if each.sent_at < stopped)


async def test_one_of_two_is_stopped_behind_a_load_balancer(ordeal: Ordeal) -> None:
    drain = {"FOREBAY_RECEIVER_DRAIN_SECONDS": "1"}
    receivers = [await ordeal.receiver(**drain) for _ in range(2)]
    async with (
        following(Balancer(*receivers)) as balancer,
        ordeal.load(*receivers, targets=balancer.next) as load,
    ):
        await load.flows()
        assert await receivers[0].terminate() == 0
        await load.goes_on(time.time())
    await ordeal.judge(load, back=0.0)
    # Nobody outside has noticed.
    assert load.answers().keys() == {200}
    assert {each.port for each in load.sendings} == {receiver.port for receiver in receivers}
