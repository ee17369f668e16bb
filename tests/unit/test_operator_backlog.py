"""How often an endpoint's backlog is counted: a count that takes long is followed by a pause."""

import asyncio
import itertools

from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay_operator.adapters.streams import NoStreams, Waiting
from forebay_operator.services.endpoint_backlog import COUNT_SHARE, StreamBacklogReader
from support.timing.turned_loop import TurnedLoop

LARGE = EndpointName("acme", "large")
SMALL = EndpointName("acme", "small")
SECONDS = {LARGE: 0.5, SMALL: 0.001}
"""What one count of each takes."""

CHECK_SECONDS = 10.0


class SlowStreams(NoStreams):
    """NATS that takes its time for a count."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: dict[EndpointName, list[float]] = {LARGE: [], SMALL: []}
        """When each count began."""

    @override
    async def waiting(self, shard: str, endpoint: EndpointName) -> Waiting:
        self.counted[endpoint].append(asyncio.get_running_loop().time())
        await asyncio.sleep(SECONDS[endpoint])
        return await super().waiting(shard, endpoint)


def checked(streams: SlowStreams, name: EndpointName, times: int) -> list[int | None]:
    """Ask for a backlog at every check; returns how many items were reported each time."""

    async def check() -> list[int | None]:
        reader, found = StreamBacklogReader(streams), []
        for number in range(times):
            streams.backlogs[name] = Waiting(number, None)
            backlog = await reader.backlog("0", name)
            found.append(None if backlog is None else backlog.items)
            await asyncio.sleep(CHECK_SECONDS)
        return found

    loop = TurnedLoop()
    try:
        return loop.turn(check())
    finally:
        loop.close()


def test_counts_of_a_large_backlog_take_a_small_share_of_the_time() -> None:
    streams = SlowStreams()
    found = checked(streams, LARGE, 13)
    began = streams.counted[LARGE]
    pauses = [later - before for before, later in itertools.pairwise(began)]
    assert pauses
    assert all(pause >= SECONDS[LARGE] / COUNT_SHARE for pause in pauses)
    # What was counted last is reported until then.
    assert found == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9, 9, 9, 12]


def test_a_small_backlog_is_counted_at_every_check() -> None:
    assert checked(SlowStreams(), SMALL, 4) == [0, 1, 2, 3]


def test_an_endpoint_that_is_made_again_is_counted_at_once() -> None:
    streams = SlowStreams()

    async def check() -> list[int | None]:
        reader, found = StreamBacklogReader(streams), []
        for number in range(3):
            streams.backlogs[LARGE] = Waiting(number, None)
            backlog = await reader.backlog("0", LARGE)
            found.append(None if backlog is None else backlog.items)
            if number == 1:
                reader.forget(LARGE)
        return found

    loop = TurnedLoop()
    try:
        assert loop.turn(check()) == [0, 0, 2]
    finally:
        loop.close()


def test_what_nats_does_not_answer_is_not_known() -> None:
    streams = SlowStreams()

    async def check() -> None:
        reader = StreamBacklogReader(streams)
        assert await reader.backlog("0", SMALL) is not None
        streams.is_away = True
        await asyncio.sleep(CHECK_SECONDS)
        assert await reader.backlog("0", SMALL) is None

    loop = TurnedLoop()
    try:
        loop.turn(check())
    finally:
        loop.close()


def test_a_count_without_an_answer_is_followed_by_a_pause_as_well() -> None:
    """A server that has too much to do is not asked for more."""
    streams = SlowStreams()
    streams.is_away = True

    async def check() -> list[object]:
        reader = StreamBacklogReader(streams)
        found: list[object] = []
        for number in range(7):
            if number == 1:
                streams.is_away = False
            found.append(await reader.backlog("0", LARGE))
            await asyncio.sleep(CHECK_SECONDS)
        return found

    loop = TurnedLoop()
    try:
        found = loop.turn(check())
    finally:
        loop.close()
    assert [each is None for each in found] == [True, True, True, False, False, False, False]
    assert len(streams.counted[LARGE]) == 3
