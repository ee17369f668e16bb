"""The figure that processors are scaled by: one poll for all, none where an answer is missing."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import ClientSession, web

from forebay.runtime.admin import serve_admin
from forebay.runtime.process_start import open_listener
from forebay_operator.adapters.pod_reports import HttpPods, ScriptedPods
from forebay_operator.handlers.scaling import add_scaling
from forebay_operator.models.pod_reports import Deliverable
from forebay_operator.services.cluster_cache import ClusterCache
from forebay_operator.services.processor_backlog import KEPT_SECONDS, PoolLoad

POOL = {"pool": "processors"}


@dataclass
class Installation:
    """Processors that say what a test has them say."""

    pods: ScriptedPods = field(default_factory=ScriptedPods)
    cache: ClusterCache = field(default_factory=lambda: ClusterCache("fb"))
    now: float = 1000.0

    def __post_init__(self) -> None:
        """Make two processors that have some work."""
        self.load = PoolLoad(self.cache, self.pods, POOL, lambda: self.now)
        for address, load in {"10.0.0.1": (3, 4.0), "10.0.0.2": (5, 1.0)}.items():
            self.put(address)
            self.pods.loads[address] = Deliverable(*load)

    def put(self, address: str, *, is_ready: bool = True, is_leaving: bool = False) -> None:
        """Set how a processor is."""
        ready = {"type": "Ready", "status": str(is_ready)}
        leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if is_leaving else {}
        self.cache.drop_pod({"metadata": {"name": address}})
        self.cache.put_pod(
            {
                "metadata": {"name": address, "labels": POOL, **leaving},
                "status": {"podIP": address, "conditions": [ready]},
            }
        )


async def test_items_are_added_up_and_the_oldest_counts() -> None:
    assert await Installation().load.read() == Deliverable(8, 4.0)


async def test_one_poll_serves_all_who_ask() -> None:
    there = Installation()
    answers = await asyncio.gather(*(there.load.read() for _ in range(50)))
    assert set(answers) == {Deliverable(8, 4.0)}
    there.now += KEPT_SECONDS
    await there.load.read()
    assert there.pods.asked == 2, "each processor once"
    there.pods.loads["10.0.0.1"] = Deliverable(0, 0.0)
    there.now += KEPT_SECONDS
    assert await there.load.read() == Deliverable(5, 1.0)
    assert there.pods.asked == 4


async def test_who_stops_waiting_ends_it_for_nobody() -> None:
    there = Installation()
    impatient, patient = (asyncio.create_task(there.load.read()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == Deliverable(8, 4.0)


async def test_a_processor_that_does_not_answer_leaves_nothing_known() -> None:
    there = Installation()
    del there.pods.loads["10.0.0.2"]
    assert await there.load.read() is None
    # When it is not ready any more, the others own what it had.
    there.put("10.0.0.2", is_ready=False)
    there.now += 2 * KEPT_SECONDS
    assert await there.load.read() == Deliverable(3, 4.0)


async def test_without_a_processor_nothing_is_known() -> None:
    there = Installation()
    there.put("10.0.0.1", is_ready=False)
    there.put("10.0.0.2", is_leaving=True)
    assert await there.load.read() is None


async def test_no_figure_is_an_error_and_never_zero() -> None:
    there = Installation()
    app = web.Application()
    add_scaling(app, there.load.read)
    with open_listener("127.0.0.1", 0) as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with ClientSession(base) as session, serve_admin(app, listener):
            async with session.get("/scaling/processors") as answer:
                assert answer.status == 200
                assert await answer.json() == {"items": 8, "oldest_seconds": 4.0}
            there.pods.loads.clear()
            there.now += 2 * KEPT_SECONDS
            async with session.get("/scaling/processors") as answer:
                assert answer.status == 503
                assert "items" not in await answer.json()
            async with session.get("/scaling/receivers") as answer:
                assert answer.status == 404


async def test_an_answer_that_is_no_load_is_none() -> None:
    """Asked over HTTP, as processors of other versions and strangers may answer."""
    said: dict[str, object] = {}

    async def load(_: web.Request) -> web.Response:
        return web.json_response(said)

    app = web.Application()
    app.add_routes([web.get("/load", load)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    address = "127.9.9.9"
    await web.TCPSite(runner, address, 9090).start()
    try:
        async with ClientSession() as session:
            pods = HttpPods(session, 5.0)
            assert await pods.deliverable(address) is None
            for wrong in ({"items": "3"}, {"items": -1, "oldest_seconds": 0}, {"items": 1}):
                said["deliverable"] = wrong
                assert await pods.deliverable(address) is None
            said["deliverable"] = {"items": 3, "oldest_seconds": 1.5}
            assert await pods.deliverable(address) == Deliverable(3, 1.5)
    finally:
        await runner.cleanup()
