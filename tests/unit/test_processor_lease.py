"""How long a lease lasts, and when the watchdog barks."""

import asyncio

from forebay_processor.maintenance.nats_watchdog import Watchdog
from forebay_processor.shared.lease import DEAD_SECONDS, VALID_SECONDS, Lease, lease_clock
from support.timing.wait import eventually


async def test_a_lease_is_over_before_anybody_may_take_what_it_is_for() -> None:
    assert VALID_SECONDS < DEAD_SECONDS
    lease = Lease()
    assert not lease.is_valid
    lease.renew(lease_clock())
    assert VALID_SECONDS - 1 < lease.remaining <= VALID_SECONDS
    # It counts from when the step began, not from its answer.
    lease.renew(lease_clock() - VALID_SECONDS)
    assert not lease.is_valid


async def test_the_watchdog_barks_when_there_is_no_answer_any_more() -> None:
    watchdog = Watchdog(0.05)
    watchdog.answered()
    async with asyncio.timeout(5):
        await watchdog.watch()
    assert watchdog.has_barked


async def test_the_watchdog_sleeps_until_the_first_answer() -> None:
    watchdog = Watchdog(0.01)
    watching = asyncio.create_task(watchdog.watch())
    done, _ = await asyncio.wait({watching}, timeout=0.2)
    assert not done
    watchdog.answered()
    async with asyncio.timeout(5):
        await watching


async def test_the_watchdog_does_not_count_time_in_which_the_process_stood_still() -> None:
    checks, stood_still = 0, 0.0

    def clock() -> float:
        nonlocal checks
        checks += 1
        return stood_still

    watchdog = Watchdog(0.5, clock)
    watchdog.answered()
    watching = asyncio.create_task(watchdog.watch())
    await eventually(lambda: checks > 1, saying="the first check")
    stood_still, seen = 3600.0, checks
    # The check that it was stopped in is over, and the next one has begun.
    await eventually(lambda: checks > seen + 1 or watching.done(), saying="the next check")
    assert not watchdog.has_barked
    watching.cancel()


async def test_answers_keep_the_watchdog_quiet() -> None:
    watchdog = Watchdog(0.5)
    watchdog.answered()
    watching = asyncio.create_task(watchdog.watch())
    for _ in range(8):
        done, _ = await asyncio.wait({watching}, timeout=0.1)
        assert not done
        watchdog.answered()
    watching.cancel()
