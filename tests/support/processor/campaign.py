"""A campaign whose destination is down all the while: what piles up, and what comes of it.

Each message comes back as three statuses, sent, delivered and read, some of them repeated; three in
ten are answered by the customer. A second endpoint, whose destination is up, gets a live message
now and then. From time to time a processor is killed. When all was sent the destination takes
everything again. What Forebay runs on is a `World`: processes of this machine, or a cluster.
"""

import asyncio
import contextlib
import functools
import time
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from forebay_simulator.sender import HttpSender
from support.destinations.quick_sink import QuickSink
from support.inputs.bulk_webhooks import Webhook, post, status_template, text_template
from support.timing.wait import eventually

__all__ = ["Campaign", "Plan", "World", "run_campaign"]

STATUSES: Final = ("sent", "delivered", "read")

LAGS: Final = (0, 40, 120)
"""So many messages later each of the statuses comes."""

REPEATED_EVERY: Final = 20
"""One in so many statuses is sent again: 5 %."""

REPEATED_AFTER: Final = 400
"""So many messages later: beside others, as a provider's own retry."""

PATIENCE_SECONDS: Final = 5.0
"""360dialog's, for an answer."""

REPORT_SECONDS: Final = 60.0
"""Between two reports of how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is sent, and how fast."""

    messages: int
    rate: float
    """Webhooks a second at most, of the campaign."""

    others: float = 20.0
    """Live messages a second of the other endpoint."""

    people: int = 10_000
    kill_seconds: float = 60.0
    """Between two kills of a processor."""

    drain_seconds: float = 1_800.0
    """For the backlog to drain."""

    def replies(self) -> int:
        """Return how many customers answer: three in ten."""
        return self.messages * 3 // 10

    def items(self) -> int:
        """Return how many different items that makes."""
        return len(STATUSES) * self.messages + self.replies()


class World(Protocol):
    """What Forebay runs on, with both endpoints in force and all destinations up."""

    sink: QuickSink
    """The campaign's destination."""

    others_sink: QuickSink
    """The other endpoint's."""

    campaign_url: str
    others_url: str

    async def memory(self) -> dict[str, float]:
        """Return what each part has in memory now, in MiB; of several alike the most."""

    async def kill_processor(self) -> float:
        """Kill one and bring it back; returns after how many seconds all it had has an owner."""


@dataclass(slots=True)
class Campaign:
    """What came of it."""

    plan: Plan
    began: float = field(default_factory=time.monotonic)
    answers: Counter[int | str] = field(default_factory=Counter[int | str])
    answer_seconds: "array[float]" = field(default_factory=lambda: array("d"))
    unstored: Counter[int] = field(default_factory=Counter[int])
    """Answers other than 200 by the minute since the beginning in which they came."""

    sending_seconds: float = 0.0
    behind_seconds: float = 0.0
    """How late the generator was at the end, against the plan's rate."""

    others: list[tuple[float, float]] = field(default_factory=list)
    """When each live message was sent (Unix time), and after how many seconds it was there."""

    others_lost: int = 0
    takeovers: list[tuple[float, float]] = field(default_factory=list)
    """When each processor was killed (Unix time), and after how many seconds all had an owner."""

    given_up: int = 0
    """Kills after which an owner of all was waited for in vain."""

    memory: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """Seconds since the beginning, and MiB of each part."""

    drained_seconds: float = 0.0
    """From the destination's return to the last item."""

    missing: int = 0
    repeated: int = 0
    """Deliveries beyond the first."""

    out_of_order: int = 0
    """Items that came first after a later one of their message."""

    def others_seconds(self, *, in_takeovers: bool = False) -> list[float]:
        """Return how long live messages took that came while a dead owner's partitions waited.

        Args:
            in_takeovers: Those; else all others.
        """
        return [
            seconds
            for sent, seconds in self.others
            if any(at <= sent + seconds and sent <= at + took for at, took in self.takeovers)
            == in_takeovers
        ]

    @property
    def peaks(self) -> dict[str, float]:
        """The most that each part had in memory, in MiB."""
        parts = {part for _, found in self.memory for part in found}
        return {
            part: max(found.get(part, 0.0) for _, found in self.memory) for part in sorted(parts)
        }


class _Script:
    """All webhooks of a campaign, in the order in which they are sent."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._statuses = [status_template(each, "CAMPAIGN", plan.people) for each in STATUSES]
        self._replies = text_template("REPLY", plan.people)

    def __iter__(self) -> Iterator[tuple[int | None, Webhook]]:
        """Give each webhook, with the number of its message where it has to come in its order."""
        messages = self._plan.messages
        for step in range(messages + REPEATED_AFTER + max(LAGS)):
            for template, lag in zip(self._statuses, LAGS, strict=True):
                number = step - lag
                if 0 <= number < messages:
                    yield number, template.webhook(number)
                again = number - REPEATED_AFTER
                if 0 <= again < messages and again % REPEATED_EVERY == 0:
                    yield again, template.webhook(again)
            if step < messages and step * 3 % 10 < 3:  # three in ten
                yield None, self._replies.webhook(step)

    def of_message(self, number: int) -> list[str]:
        """Return the tokens of a message's statuses in order."""
        return [each.webhook(number).token for each in self._statuses]

    def tokens(self) -> set[str]:
        """Return the tokens of all items."""
        return {webhook.token for _, webhook in self}


async def run_campaign(
    world: World, plan: Plan, report: Callable[[str], None] = lambda _: None
) -> Campaign:
    """Send it all, bring the destination back, and judge what arrived.

    Args:
        world: What Forebay runs on.
        plan: What is sent, and how fast.
        report: Called once a minute with how far it is.
    """
    found, script = Campaign(plan), _Script(plan)
    wanted = script.tokens()
    await world.sink.refuse()
    async with (
        _beside(_watch_memory(world, found)),
        _beside(_kill(world, found)),
        _beside(_report(world, found, report)),
        _others(world, found),
    ):
        await _send(world, found, script)
        back = time.monotonic()
        await world.sink.take_all()

        async def all_came() -> bool:
            if await world.sink.count() < len(wanted):
                return False
            arrivals = await world.sink.arrivals()
            return wanted <= {token for token, _ in arrivals}

        with contextlib.suppress(AssertionError):  # what is missing is counted
            await eventually(all_came, saying="all to come", within=plan.drain_seconds)
        found.drained_seconds = time.monotonic() - back
    _judge(found, script, wanted, [token for token, _ in await world.sink.arrivals()])
    return found


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _watch_memory(world: World, found: Campaign) -> None:
    while True:
        found.memory.append((time.monotonic() - found.began, await world.memory()))
        await asyncio.sleep(2)


async def _report(world: World, found: Campaign, report: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        memory = found.memory[-1][1] if found.memory else {}
        report(
            f"after {time.monotonic() - found.began:,.0f} s: {found.answers.total():,} answers, "
            f"{found.unstored.total():,} of them not 200; {await world.sink.count():,} delivered; "
            + ", ".join(
                f"{part} {mebibytes:,.0f} MiB" for part, mebibytes in sorted(memory.items())
            )
        )


async def _kill(world: World, found: Campaign) -> None:
    while True:
        await asyncio.sleep(found.plan.kill_seconds)
        began = time.time()
        try:
            seconds = await world.kill_processor()
        except AssertionError:
            # That goal is missed, and what else is measured is kept.
            seconds = time.time() - began
            found.given_up += 1
        found.takeovers.append((began, seconds))


async def _send(world: World, found: Campaign, script: _Script) -> None:
    """Send by the clock; what the generator cannot do in time it does as fast as it can."""
    rate = found.plan.rate
    async with HttpSender(world.campaign_url, timeout=PATIENCE_SECONDS) as sender:
        async with asyncio.TaskGroup() as group:
            began, count = time.monotonic(), 0
            before: dict[int, asyncio.Task[None]] = {}
            for count, (message, webhook) in enumerate(script, 1):
                # A status is not sent before the one before it was stored, nor is a repeat: on
                # connections of their own they could overtake each other before anybody sees them.
                after = None if message is None else before.get(message)
                task = group.create_task(_post(sender, webhook, found, after))
                if message is not None:
                    before[message] = task
                    task.add_done_callback(functools.partial(_forget, before, message))
                await asyncio.sleep(max(0.0, began + count / rate - time.monotonic()))
        found.sending_seconds = time.monotonic() - began
        found.behind_seconds = max(0.0, found.sending_seconds - count / rate)


def _forget(before: dict[int, asyncio.Task[None]], message: int, task: asyncio.Task[None]) -> None:
    if before.get(message) is task:
        del before[message]


async def _post(
    sender: HttpSender, webhook: Webhook, found: Campaign, after: asyncio.Task[None] | None = None
) -> None:
    """Send a webhook, and again until it is stored, as a provider does."""
    if after is not None:
        await after
    while True:
        began = time.monotonic()
        answer = await post(sender, webhook.body)
        found.answer_seconds.append(time.monotonic() - began)
        found.answers[answer] += 1
        if answer == 200:  # the one that counts
            return
        found.unstored[int((time.monotonic() - found.began) // 60)] += 1
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def _others(world: World, found: Campaign) -> AsyncIterator[None]:
    """Send live messages of the other endpoint while the block lasts, and see when they arrive."""
    sent: dict[str, float] = {}
    template = text_template("OTHER")

    async def send() -> None:
        async with (
            HttpSender(world.others_url, timeout=PATIENCE_SECONDS) as sender,
            asyncio.TaskGroup() as group,
        ):
            while True:
                webhook = template.webhook(len(sent))
                sent[webhook.token] = time.time()
                group.create_task(_post(sender, webhook, Campaign(found.plan)))
                await asyncio.sleep(1 / found.plan.others)

    async with _beside(send()):
        yield
    sent.popitem()  # it may not have left

    async def all_came() -> bool:
        return sent.keys() <= {token for token, _ in await world.others_sink.arrivals()}

    with contextlib.suppress(AssertionError):
        await eventually(all_came, saying="the others' last messages", within=30)
    arrived: dict[str, float] = {}
    for token, at in await world.others_sink.arrivals():
        arrived.setdefault(token, at)
    found.others_lost = len(sent.keys() - arrived.keys())
    found.others = [(at, arrived[token] - at) for token, at in sent.items() if token in arrived]


def _judge(found: Campaign, script: _Script, wanted: set[str], arrived: list[str]) -> None:
    first: dict[str, int] = {}
    for place, token in enumerate(arrived):
        first.setdefault(token, place)
    found.missing = len(wanted - first.keys())
    found.repeated = len(arrived) - len(first)
    for number in range(found.plan.messages):
        places = [first[token] for token in script.of_message(number) if token in first]
        found.out_of_order += places != sorted(places)
