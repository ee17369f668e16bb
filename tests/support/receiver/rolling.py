"""Three nats-servers that leave and come back one after the other, under webhooks by the clock.

As on a cluster, without one: RAW in three copies, each message flushed, two receivers that know all
servers and get the webhooks in turns. A server goes when the one before is up to date again, as the
chart's probes have it.
"""

import itertools
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from forebay_receiver.outcomes import Reason, Waited
from forebay_simulator.sender import ACCEPTED
from support.nats.nats_cluster import NatsCluster
from support.nats.nats_server import NatsServer
from support.programs.processes import Part
from support.receiver.receiver_harness import RAW
from support.receiver.store_outage import UNAVAILABLE, StoreOutage
from support.timing.wait import eventually

__all__ = ["WAYS", "Roll", "Way", "rolled"]

Way = Literal["handed over", "stopped", "killed"]
"""How a server leaves: in lame duck mode as the chart has it, by SIGTERM, by SIGKILL."""

WAYS: Final[tuple[Way, ...]] = get_args(Way)

RATE: Final = 100.0
"""Webhooks a second."""

LONGEST_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """What came of it."""

    way: Way
    seconds: float
    """From the first server's leaving until all are back."""

    accepted: int
    refused: int
    slowest: float
    """Seconds until an answer, the latest of all."""

    reasons: dict[str, int]
    """Of the refused, as the receivers count them."""

    waited: dict[str, int]
    """Webhooks that waited for a leader or a connection, by what came of it."""

    @property
    def share(self) -> float:
        """Of all answers, those of 503."""
        return self.refused / (self.accepted + self.refused)


async def rolled(folder: Path, way: Way, *, rate: float = RATE) -> Roll:
    """Roll all three, and judge the answers: as `support.receiver.store_outage` has it."""
    async with (
        NatsCluster(folder / "servers", sync_always=True) as cluster,
        StoreOutage(folder, nats_server=cluster.servers[0], replicas=3) as outage,
    ):
        await cluster.in_sync(RAW)
        urls = ",".join(server.url for server in cluster.servers)
        receivers = [await outage.receiver(FOREBAY_NATS_URL=urls) for _ in range(2)]
        turns = itertools.cycle([[receiver.port] for receiver in receivers])
        async with outage.load(
            *receivers, rate=rate, targets=lambda: next(turns), longest=LONGEST_SECONDS
        ) as load:
            await load.flows()
            since = time.time()
            for server in cluster.servers:
                await _leave(server, way)
                # Two seconds without it, and with it, as a pod takes that and more.
                await load.flows()
                await server.start()
                await cluster.in_sync(RAW)
                await load.flows()
            back = time.time()
            await load.goes_on(back)
        await outage.judge(load, back=back)
        answers = load.answers(since=since)
        return Roll(
            way=way,
            seconds=back - since,
            accepted=answers[ACCEPTED],
            refused=answers[UNAVAILABLE],
            slowest=max(each.took for each in load.sendings),
            reasons=await _refusals(receivers),
            waited=await _waited(receivers),
        )


async def _leave(server: NatsServer, way: Way) -> None:
    match way:
        case "handed over":
            server.leave_clients()
            await eventually(lambda: not server.running, within=60, saying="the server to leave")
        case "stopped":
            await server.stop()
        case "killed":
            await server.kill()


async def _refusals(receivers: list[Part]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for receiver, reason in itertools.product(receivers, Reason):
        found[reason] += int(await receiver.metric("forebay_receiver_refused_total", reason=reason))
    return {str(reason): count for reason, count in found.items() if count}


async def _waited(receivers: list[Part]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for receiver, outcome in itertools.product(receivers, Waited):
        found[outcome] += int(
            await receiver.metric("forebay_receiver_waited_total", outcome=outcome)
        )
    return {str(outcome): count for outcome, count in found.items() if count}
