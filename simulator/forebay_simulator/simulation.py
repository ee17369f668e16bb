"""One run: webhooks are sent on a schedule, refused ones come again, and all of it is counted.

The loop is open: the moment of each sending is fixed before the run and waits for no answer. A
latency counts from that moment, so a sender or a server that falls behind shows in the figures
(a loop that waits would leave out just the sendings that were held up).
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from random import Random
from typing import Final

from forebay_simulator.ledger import WebhookRecord
from forebay_simulator.payloads import GeneratedPayloads, Payload, PayloadSource
from forebay_simulator.plan import Plan
from forebay_simulator.provider_headers import ProviderHeaders
from forebay_simulator.recorded_webhooks import FolderPayloads
from forebay_simulator.report import Result
from forebay_simulator.schedule import RepeatMoment, Repeats, RetryDelays, SendTimes
from forebay_simulator.sender import ACCEPTED, HttpSender, Sender
from forebay_simulator.tally import Progress, Tally

__all__ = ["Simulation", "simulate"]

EARLY_SECONDS: Final = 0.0005
"""A webhook may leave this much before its moment (and is then measured from when it left): event
loops count in milliseconds, and to wait out the rest of one would add it to every latency."""

FIXED_EPOCH: Final = 1_795_165_200
"""Where timestamps of a run with a given seed begin, so that its bytes are always the same."""


async def simulate(plan: Plan) -> Result:
    """Play a plan and return what came of it.

    Raises:
        ConfigurationError: where the plan's payloads cannot be read.
    """
    async with HttpSender(plan.url, timeout=plan.timeout) as sender:
        return await Simulation(plan, sender).run()


class Simulation:
    """One run of a plan; `run` is called once."""

    def __init__(
        self,
        plan: Plan,
        sender: Sender,
        *,
        clock: Callable[[], float] = time.perf_counter,
        delays: RetryDelays | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            plan: What to play.
            sender: Sends it.
            clock: Seconds that only grow. Not the loop's time: uvloop counts in milliseconds.
            delays: Between retries; like the providers', but shorter, by default.

        Raises:
            ConfigurationError: where the plan's payloads cannot be read.
        """
        self._plan = plan
        self._sender = sender
        self._clock = clock
        self._delays = RetryDelays() if delays is None else delays
        self._seed = secrets.randbits(32) if plan.seed is None else plan.seed
        self._source = _open_source(plan, self._seed)
        # Apart from the payloads' randomness: what the server answers must not change the bytes.
        self._random = Random(self._seed + 1)  # noqa: S311  # nothing secret hangs on it
        self._repeats = Repeats(plan.duplicates, self._random)
        self._provider = ProviderHeaders(plan.provider, plan.secret, plan.headers)
        self._times = SendTimes(rate=plan.rate, duration=plan.duration)
        keep_all = plan.keep_ledger or self._source.takes_turns
        self._tally = Tally(planned=self._times.count, keep_all=keep_all)
        self._connections = asyncio.Semaphore(plan.connections)
        self._tasks = asyncio.TaskGroup()
        self._pacing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._started = 0.0

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return self._tally.progress

    def finish(self) -> None:
        """Send nothing new from now on; what was refused still comes again."""
        if self._pacing is not None:
            self._pacing.cancel()

    def stop(self) -> None:
        """End the run early: nothing more leaves, what is in flight may be answered."""
        if self._pacing is None or self._stopping.is_set():
            return
        self._stopping.set()
        self.finish()

    async def run(self) -> Result:
        """Send all webhooks of the plan and return what came of them."""
        self._started = self._clock()
        plan = self._plan
        # When this is over, so is the grace time: what is still in flight counts as not accepted.
        longest = plan.duration + plan.retry_for + plan.timeout
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest), self._tasks as tasks:
                self._pacing = tasks.create_task(self._keep_schedule())
        return self._tally.result(
            seconds=self._clock() - self._started,
            seed=self._seed,
            with_ledger=plan.keep_ledger,
        )

    async def _keep_schedule(self) -> None:
        """Start each sending at its moment, whatever the outcome of those before."""
        for index in range(self._times.count):
            offset = self._times.offset(index)
            wait = self._started + offset - self._clock()
            # Also where it is late already: answers have to be read in between.
            await asyncio.sleep(wait if wait > EARLY_SECONDS else 0)
            moment = min(self._started + offset, self._clock())
            payload = self._source.take(offset)
            record, is_new = self._tally.scheduled(payload)
            self._tasks.create_task(self._play(payload, record, moment, is_new=is_new))

    async def _play(
        self, payload: Payload, record: WebhookRecord, moment: float, *, is_new: bool
    ) -> None:
        """Send a webhook at its moment, and again as the provider would."""
        body = payload.body
        headers = self._provider.for_body(body)
        repeat = self._repeats.draw()
        twin = None
        if repeat in {RepeatMoment.AT_ONCE, RepeatMoment.LATER}:
            pause = self._repeats.pause(repeat)
            twin = self._tasks.create_task(self._repeat(body, headers, record, pause))
        if await self._send(body, headers, record, moment):
            self._tally.took(self._clock() - moment)
        elif is_new and self._stopping.is_set() and not record.attempts:
            # The run was ended before it left: nobody refused it.
            self._tally.unsent(record, payload)
        elif is_new:
            await self._retry(body, headers, record)
        if repeat is RepeatMoment.ONCE_ACCEPTED and record.accepted:
            await self._repeat(body, headers, record, pause=0)
        if twin is not None:
            await twin
        self._tally.finished(record)

    async def _send(
        self,
        body: bytes,
        headers: bytes,
        record: WebhookRecord,
        moment: float | None = None,
    ) -> bool:
        """Send a webhook once and say whether it was accepted."""
        async with self._connections:
            if self._stopping.is_set():
                return False
            if moment is not None:
                self._tally.left(self._clock() - moment)
            answer = await self._sender.post(body, headers)
        self._tally.answered(record, answer)
        return answer == ACCEPTED

    async def _retry(self, body: bytes, headers: bytes, record: WebhookRecord) -> None:
        """Send a refused webhook again until it is accepted or the grace time is over."""
        give_up_at = self._started + self._plan.duration + self._plan.retry_for
        retry = 0
        while not record.accepted:
            delay = self._delays.delay(retry, self._random)
            if self._clock() + delay > give_up_at or await self._stops_within(delay):
                return
            if record.accepted:  # a repeat of it got through in the meantime
                return
            self._tally.retried()
            await self._send(body, headers, record)
            retry += 1

    async def _repeat(
        self, body: bytes, headers: bytes, record: WebhookRecord, pause: float
    ) -> None:
        """Send a webhook again on purpose. Refused or not, nobody waits for this one."""
        if pause and await self._stops_within(pause):
            return
        self._tally.repeated()
        await self._send(body, headers, record)

    async def _stops_within(self, seconds: float) -> bool:
        """Wait, and say whether the run was ended meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()


def _open_source(plan: Plan, seed: int) -> PayloadSource:
    """Return where the plan's webhooks come from."""
    if plan.payloads is not None:
        return FolderPayloads(plan.payloads)
    epoch = int(time.time()) if plan.seed is None else FIXED_EPOCH
    random = Random(seed)  # noqa: S311  # nothing secret hangs on it
    return GeneratedPayloads(random=random, epoch=epoch, batch=plan.batch, people=plan.people)
