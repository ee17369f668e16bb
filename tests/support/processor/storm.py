"""A campaign's storm: many statuses wait in RAW, and live messages come while they drain."""

import asyncio
import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forebay.core.subjects import Lane
from forebay.runtime.jetstream.streams import ShardConfig
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import Webhook, send_paced, statuses, store_all, texts
from support.inputs.tables import PATH, endpoint, http_destination, route
from support.programs.stack import SHARD, Stack
from support.timing.wait import eventually

__all__ = ["Storm", "Witnessed", "storm"]

MOST_LIVE: Final = 100_000
"""A bound: the storm is over long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """One live message that came while statuses were still waiting."""

    seconds: float
    """From sending it until it was at the destination."""

    statuses_meanwhile: int
    """How many statuses arrived in that time."""

    statuses_left: int
    """How many still had to arrive when it was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What came of one storm."""

    statuses: int
    drained_seconds: float
    """From the first status at the destination to the last."""

    live: tuple[Witnessed, ...]
    arrivals: Counter[str]
    """How often each item arrived."""

    parked: int
    """Items that went through RETRY on their way."""


async def storm(
    folder: Path, count: int, rate: float, *, within: float, shard: ShardConfig = SHARD
) -> Storm:
    """Queue statuses, start a processor, and send live messages to a receiver until all arrived.

    Args:
        folder: For what the parts store.
        count: How many statuses.
        rate: Live messages a second.
        within: Seconds in which all has to be there.
        shard: With room for the statuses.
    """
    async with Stack(folder, shard=shard) as stack, QuickSink(folder) as sink:
        stack.tables.write_routes(route())
        stack.tables.write_endpoints(endpoint(http_destination(sink.url())))
        receiver = await stack.receiver()
        campaign = {each.token for each in statuses(count)}
        await store_all(stack.nats_server.url, statuses(count), Lane.STATUS)
        processor = stack.part("processor")
        await processor.start(until_ready=False)
        await eventually(sink.count, within=within, saying="the first status to arrive")
        sent = 0

        async def is_over() -> bool:
            # The last live one is taken before its moment has come.
            return await sink.count() >= count + max(0, sent - 1)

        async def all_came() -> bool:
            return await sink.count() == count + sent

        def live() -> Iterator[Webhook]:
            nonlocal sent
            for webhook in texts(MOST_LIVE):
                if watching.done():
                    return
                sent += 1
                yield webhook

        watching = asyncio.create_task(eventually(is_over, within=within, saying="the storm"))
        due = await send_paced(receiver.url(PATH), live(), rate)
        await watching
        await eventually(all_came, saying="the last live message")
        parked = await processor.metric("forebay_processor_deliveries_total", outcome="parked")
        return _judged(await sink.arrivals(), campaign, due, int(parked))


def _judged(
    arrivals: list[tuple[str, float]], campaign: set[str], due: dict[str, float], parked: int
) -> Storm:
    times = sorted(at for key, at in arrivals if key in campaign)
    witnessed = []
    for key, at in arrivals:
        sent_at = due.get(key)
        if sent_at is None or sent_at > times[-1]:
            continue
        before = bisect.bisect_right(times, sent_at)
        after = bisect.bisect_right(times, at)
        witnessed.append(
            Witnessed(
                seconds=at - sent_at,
                statuses_meanwhile=after - before,
                statuses_left=len(times) - before,
            )
        )
    return Storm(
        statuses=len(times),
        drained_seconds=times[-1] - times[0],
        live=tuple(witnessed),
        arrivals=Counter(key for key, _ in arrivals),
        parked=parked,
    )
