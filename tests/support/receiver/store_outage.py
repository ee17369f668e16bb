"""A receiver at 500 webhooks/s while its NATS, or itself, goes through something.

The course of every test: an `Ordeal` is a stack whose one stream is RAW; `load` sends by the clock
beside the block, refused webhooks come again as a provider's do; the test breaks something and
mends it; `judge` then holds the sender's ledger against the stream, webhook by webhook:

- every webhook that got a 200 is in RAW, nothing is in RAW twice, nothing that was not sent;
- every answer is a 200, or a 503 with Retry-After, or whatever else the test says;
- no answer came later than the budget plus 100 ms, not counting what a receiver waited for a CPU;
- from 2 s after NATS was able to store, every answer was a 200;
- in the end every webhook was accepted.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import APIError
from typing_extensions import override

from forebay.core.subjects import StreamKind
from forebay.runtime.jetstream.streams import stream_config
from forebay_simulator import Plan, Result
from forebay_simulator.expected_keys import item_keys
from forebay_simulator.schedule import RetryDelays
from forebay_simulator.sender import ACCEPTED, Answer
from forebay_simulator.simulation import Simulation
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import PATH, route
from support.nats.nats_server import NatsServer
from support.nats.streams import read_stream
from support.programs.processes import Part
from support.programs.stack import SHARD, Stack
from support.receiver.receiver_harness import RAW
from support.receiver.recording_sender import RecordingSender, Sending
from support.timing.poller import following
from support.timing.starvation import Starvation
from support.timing.wait import eventually

__all__ = [
    "BUDGET_SECONDS",
    "LATEST_SECONDS",
    "RATE",
    "Load",
    "StoreOutage",
    "is_able",
    "judge_answers",
    "judge_silence",
    "judge_stored",
]

RATE: Final = 500.0
"""Webhooks per second, refused ones that come again not counted."""

BUDGET_SECONDS: Final = 2.5
"""What a receiver has for an answer, as shipped."""

LATEST_SECONDS: Final = BUDGET_SECONDS + 0.1
"""What a client may wait for an answer."""

BACK_SECONDS: Final = 2.0
"""From the moment in which NATS can store to the moment from which nothing is refused."""

LONGEST_SECONDS: Final = 50.0
"""A test that does not come to its end by then has failed."""

UNAVAILABLE: Final = 503
AGAIN: Final = RetryDelays(first=0.4, longest=3.0)
"""A provider's growing delays, short enough for a test to wait for."""

MOST_ENDPOINT_IN_FLIGHT: Final = 2048
"""An endpoint's limit for 500/s with the budget: it is not what these tests are about."""


@dataclass(slots=True, kw_only=True)
class Load:
    """What was sent so far, and what came of it."""

    sender: RecordingSender
    running: asyncio.Future[Result]
    starved: Callable[[Sending], float] = lambda _: 0.0
    """Seconds by which an answer was late since the machine gave its receiver no processor."""

    @property
    def sendings(self) -> list[Sending]:
        """Every request that has ended."""
        return self.sender.sendings

    @property
    def result(self) -> Result:
        """The simulator's own account, with its ledger; only at the end."""
        return self.running.result()

    @property
    def accepted(self) -> set[str]:
        """The bodies that got a 200."""
        return {sending.body for sending in self.sendings if sending.answer == ACCEPTED}

    def answers(self, *, since: float = 0.0) -> Counter[Answer]:
        """Return how often each answer came to what was sent since then."""
        return Counter(sending.answer for sending in self.sendings if sending.sent_at >= since)

    async def flows(self) -> None:
        """Wait until webhooks are being accepted; those that were before do not count."""
        await self._some(ACCEPTED, 200)

    async def refuses(self, count: int = 100) -> None:
        """Wait until so many more were refused."""
        await self._some(UNAVAILABLE, count)

    def waited_in_vain(self) -> list[Sending]:
        """Return those that got their 503 after (nearly) the whole budget, not at once."""
        return [
            each
            for each in self.sendings
            if each.answer == UNAVAILABLE and each.took > BUDGET_SECONDS / 2
        ]

    async def finds_silence(self, *, seconds: float = 3.0) -> None:
        """Wait until so long after the first webhooks had waited in vain."""
        await eventually(self.waited_in_vain, saying="the store to be silent")
        noticed = min(each.answered_at for each in self.waited_in_vain())
        await eventually(lambda: time.time() >= noticed + seconds)

    async def goes_on(self, back: float) -> None:
        """Wait until enough was sent after the moment from which nothing may be refused."""
        await eventually(
            lambda: self.answers(since=back + BACK_SECONDS).total() >= RATE,
            within=20,
            saying="a second of traffic after service had to be back",
        )

    async def _some(self, answer: Answer, count: int) -> None:
        wanted = self.answers()[answer] + count
        await eventually(
            lambda: self.answers()[answer] >= wanted,
            within=20,
            saying=f"{count} answers of {answer} more than {wanted - count}",
        )


class StoreOutage(Stack):
    """A stack with RAW alone, receivers as shipped, and a load on them."""

    def __init__(
        self,
        folder: Path,
        *,
        nats_server: NatsServer | None = None,
        raw_max_bytes: int = SHARD.raw_max_bytes,
        replicas: int = 1,
    ) -> None:
        """Lay out the folders.

        Args:
            folder: For all that runs.
            nats_server: One of the test's own, started or not.
            raw_max_bytes: Room in RAW.
            replicas: Copies of RAW: 3 needs a cluster.
        """
        shard = msgspec.structs.replace(SHARD, raw_max_bytes=raw_max_bytes, replicas=replicas)
        super().__init__(folder, nats_server=nats_server, shard=shard)
        self.tables.write_routes(route(max_in_flight=MOST_ENDPOINT_IN_FLIGHT))

    @override
    async def provision(self) -> None:
        """Make RAW; a cluster may need a moment until it can."""
        async with self.nats_server.client() as client:

            async def is_made() -> bool:
                try:
                    await client.jetstream().add_stream(stream_config(StreamKind.RAW, self.shard))
                except (APIError, NatsError):
                    return False
                return True

            await eventually(is_made, within=20, saying="RAW to be made")

    async def resize(self, max_bytes: int) -> None:
        """Give RAW another size."""
        self.shard = msgspec.structs.replace(self.shard, raw_max_bytes=max_bytes)
        async with self.nats_server.client() as client:
            await client.jetstream().update_stream(stream_config(StreamKind.RAW, self.shard))

    async def delete_raw(self) -> None:
        """Take RAW away with all that is in it."""
        async with self.nats_server.client() as client:
            await client.jetstream().delete_stream(RAW)

    def sender(self, *receivers: Part) -> RecordingSender:
        """Return a sender by which all receivers get every webhook, at the same moment."""
        ports = [receiver.port for receiver in receivers]
        return RecordingSender(PATH, lambda: ports)

    @contextlib.asynccontextmanager
    async def load(
        self,
        *receivers: Part,
        rate: float = RATE,
        targets: Callable[[], Sequence[int]] | None = None,
        longest: float = LONGEST_SECONDS,
    ) -> AsyncIterator[Load]:
        """Send webhooks beside the block; what was refused by its end still comes again.

        Args:
            receivers: All of them get every webhook, at the same moment.
            rate: Webhooks per second.
            targets: Says for each webhook which ports get it, instead.
            longest: Seconds after which the sending ends by itself.
        """
        plan = Plan(
            url=receivers[0].url(PATH),
            rate=rate,
            duration=longest,
            secret=APP_SECRET,
            duplicates=0.02,
            retry_for=0,
            connections=8_000,  # never waits for a free one: the loop stays open
        )
        made = self.sender(*receivers) if targets is None else RecordingSender(PATH, targets)
        async with made as sender, following(Starvation(*receivers)) as starvation:
            simulation = Simulation(plan, sender, delays=AGAIN)
            async with asyncio.TaskGroup() as group:
                running = group.create_task(simulation.run())
                yield Load(sender=sender, running=running, starved=starvation.of)
                simulation.finish()

    async def able(self, server: NatsServer | None = None) -> float:
        """Wait until RAW's leader answers, and return when that was.

        It is asked over a connection of the test's own, so that the receiver's part is seen apart.
        """
        async with (server or self.nats_server).client() as client:
            await eventually(lambda: is_able(client), within=20, saying="NATS to be able to store")
            return time.time()

    async def stored(self) -> Mapping[str, bytes]:
        """Return what is in RAW by SHA-256 of the body; no body may be there twice."""
        async with self.nats_server.client() as client:
            await eventually(lambda: _has_leaders(client), within=20, saying="NATS to be in order")
            bodies = [message.data for message in await read_stream(client, RAW)]
        found = {hashlib.sha256(body).hexdigest(): body for body in bodies}
        assert len(found) == len(bodies), f"{len(bodies) - len(found)} webhooks are stored twice"
        return found

    async def judge(
        self, load: Load, *, back: float, also: frozenset[Answer] = frozenset()
    ) -> None:
        """Compare the answers that the sender got with what is stored.

        Args:
            load: What was sent.
            back: When NATS was able to store again.
            also: Answers that may have come besides 200 and 503.
        """
        stored = await self.stored()
        judge_answers(load, back=back, also=also)
        judge_stored(load, stored)


def judge_stored(load: Load, stored: Mapping[str, bytes]) -> None:
    """Assert that what got a 200 is stored, that nothing else is, and that in the end all was."""
    assert load.accepted - stored.keys() == set(), "these got a 200 and are not stored"
    assert stored.keys() - {each.body for each in load.sendings} == set()
    # The simulator's own ledger, by the keys of the items.
    assert load.result.lost == 0
    keys = {key for body in stored.values() for key in item_keys(body)}
    assert keys == load.result.accepted_keys
    assert len(stored) == load.result.sent


def judge_answers(load: Load, *, back: float, also: frozenset[Answer] = frozenset()) -> None:
    """Assert that every answer was one of those that may come, in time, and service came back."""
    assert load.answers().keys() <= {ACCEPTED, UNAVAILABLE, *also}
    refused = [each for each in load.sendings if each.answer == UNAVAILABLE]
    assert all(1 <= int(each.retry_after or 0) <= 30 for each in refused)
    late = [each for each in load.sendings if each.took > LATEST_SECONDS]
    assert [each for each in late if each.took - load.starved(each) > LATEST_SECONDS] == []
    afterwards = load.answers(since=back + BACK_SECONDS)
    assert afterwards.keys() == {ACCEPTED}, f"2 s after NATS could store again: {afterwards}"


def judge_silence(load: Load) -> None:
    """Assert that a silent store was noticed: one webhook a second waits for it, the others do not.

    It is noticed when the first ones have waited for their whole budget.
    """
    waited = load.waited_in_vain()
    noticed = min(each.answered_at for each in waited) + 0.1
    ended = max(each.sent_at for each in load.sendings if each.answer == UNAVAILABLE)
    assert ended > noticed, "the silence was too short to be judged"
    trials = [each for each in waited if each.sent_at > noticed]
    waits = sorted((round(each.sent_at - noticed, 2), round(each.took, 2)) for each in trials)
    assert len(waits) <= ended - noticed + 1, f"in {ended - noticed:.1f} s these waited: {waits}"


async def is_able(client: Client) -> bool:
    """Say whether RAW's leader is there: it refuses a sequence that no stream can have."""
    headers = {"Nats-Expected-Last-Sequence": str(2**64 - 1)}
    try:
        await client.jetstream().publish("forebay.raw.0.probe", b"", 0.3, headers=headers)
    except APIError as error:
        return error.err_code == 10071
    except (NatsError, OSError):
        return False
    message = "the probe was stored"
    raise AssertionError(message)


async def _has_leaders(client: Client) -> bool:
    """Say whether the cluster and RAW have their leaders: only then can a consumer be made."""
    try:
        info = await client.jetstream().stream_info(RAW)
    except (APIError, NatsError):
        return False
    return info.cluster is None or bool(info.cluster.leader)
