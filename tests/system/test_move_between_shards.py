"""An endpoint is moved to streams of its own and back under traffic: real parts, a real NATS.

The operator's own passes decide; the API server, and Deployments that become pods, are the test's.
"""

import asyncio
import base64
import contextlib
import functools
import itertools
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from typing_extensions import override

from forebay.core.endpoint_name import EndpointName
from forebay.core.subjects import dedicated_shard, key_token
from forebay.runtime.settings import NatsSettings
from forebay_operator.adapters.pod_reports import ScriptedPods
from forebay_operator.adapters.streams import JetStreams
from forebay_operator.builders.tables import DEDICATED_PROCESSORS_FILE
from forebay_operator.models.pod_reports import PodPage
from forebay_operator.settings.processors import Shard, ShardStreams
from support.inputs.tables import write_atomically
from support.operator.operator_alone import OperatorAlone
from support.programs.processes import Part
from support.programs.stack import Stack
from support.timing.wait import eventually

pytestmark = pytest.mark.timeout(170)

SHARED: Final = {"isolation": "Shared"}
DEDICATED: Final = {"isolation": "Dedicated"}
CHANNEL: Final = "1065"
PEOPLE: Final = 8
MEBIBYTE: Final = 1024 * 1024

SIZES: Final[dict[str, Any]] = {
    "raw_max_bytes": 64 * MEBIBYTE,
    "events_max_bytes": 64 * MEBIBYTE,
    "retry_max_bytes": 32 * MEBIBYTE,
    "dead_max_bytes": 32 * MEBIBYTE,
    "index_max_bytes": 32 * MEBIBYTE,
}


class RealPods(ScriptedPods):
    """Asks the parts themselves which tables they have read."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, Part] = {}

    @override
    async def page(self, address: str) -> PodPage | None:
        part = self.parts.get(address)
        if part is None:
            return PodPage(generations={})
        try:
            answer = json.loads((await part.admin("/routes")).body)
        except (OSError, EOFError, ValueError):
            return None
        return PodPage(generations=answer["generations"])


class Installation:
    """The parts, and the operator's passes over its endpoints."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.alone = alone = OperatorAlone()
        dedicated = alone.config.dedicated
        assert dedicated is not None
        alone.config = alone.config.model_copy(
            update={
                "shards": (Shard(**SIZES),),
                "dedicated": dedicated.model_copy(update={"streams": ShardStreams(**SIZES)}),
            }
        )
        self.pods = alone.pods = RealPods()
        self.streams = JetStreams(NatsSettings(url=stack.nats_server.url))
        alone.streams, alone.contents = self.streams, self.streams.contents  # type: ignore[assignment]
        self.endpoints: list[EndpointName] = []
        self.own_part: Part | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Begin with a receiver and a processor for all."""
        asking = asyncio.create_task(self.streams.run())
        await eventually(self.streams.connections.is_set, saying="a connection")
        await self.alone.start()
        await self.alone.shared.reconcile((), complete=False)
        self._write()
        for address, part in (
            ("10.0.0.1", self.stack.part("processor")),
            ("10.0.0.2", self.stack.part("receiver")),
        ):
            self.pods.parts[address] = part
            await part.start()
        over = asyncio.Event()
        looking = asyncio.create_task(self._look(over))
        try:
            yield
        finally:
            over.set()
            await looking
            asking.cancel()
            await asyncio.wait([asking])

    @property
    def shared_processor(self) -> Part:
        """The processor for all."""
        return self.pods.parts["10.0.0.1"]

    @property
    def receiver(self) -> Part:
        """The one receiver."""
        return self.pods.parts["10.0.0.2"]

    def apply(self, name: str, processing: dict[str, str]) -> EndpointName:
        """Apply an endpoint with two destinations."""
        destinations = [
            {
                "name": each,
                "http": {"url": self.stack.sink.url(f"/{each}/{name}")},
                "retry": {"initialDelay": "1s", "maxDelay": "1s"},
            }
            for each in ("crm", "erp")
        ]
        own = self.alone.apply(
            name,
            provider="meta",
            receiver=SHARED,
            processing=processing,
            destinations=destinations,
        )
        if own not in self.endpoints:
            self.endpoints.append(own)
        return own

    async def _look(self, over: asyncio.Event) -> None:
        while not over.is_set():
            self.alone.seconds = asyncio.get_running_loop().time()
            for each in self.endpoints:
                await self.alone.reconcile(each)
            await self.alone.make_streams()
            self._write()
            await self._follow_deployment()
            await asyncio.sleep(0.1)

    def _write(self) -> None:
        """Put what stands in Secrets where the parts read it, as a kubelet does."""
        for file, folder in self._folders():
            for key, document in self.alone.cluster.objects.items():
                data = (document.get("data") or {}).get(file) if key.kind == "Secret" else None
                if data is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                    write_atomically(folder / file, base64.b64decode(data))

    def _folders(self) -> Iterator[tuple[str, Path]]:
        tables = self.stack.tables
        yield "receivers-00.json", tables.receiver_folder
        yield "processors-00.json", tables.processor_folder
        yield DEDICATED_PROCESSORS_FILE, self.stack.folder / "own-tables"

    async def _follow_deployment(self) -> None:
        """Run a processor of its own while there is a Deployment of such."""
        own = self.endpoints[0] if self.endpoints else None
        if own is None:
            return
        is_wanted = "Deployment" in self.alone.kinds_of_processors(own)
        if is_wanted and self.own_part is None:
            part = self.own_part = self.stack.part(
                "processor",
                FOREBAY_SHARDS=dedicated_shard(own),
                FOREBAY_TABLE_DIR=str(self.stack.folder / "own-tables"),
            )
            await part.start(until_ready=False)
        if is_wanted and f"processor-{own.name}" not in self.alone.pod_names():
            assert self.own_part is not None
            if await self.own_part.ready():
                self.pods.parts["10.0.0.3"] = self.own_part
                self.alone.own_processor(own)
        if not is_wanted and self.own_part is not None:
            await self.own_part.terminate()
            self.own_part = None
            self.alone.end_pod(f"processor-{own.name}")

    def route(self, own: EndpointName) -> str | None:
        """Return the shard that the receiver is told to store in."""
        return self.alone.route_shard(own)

    def is_settled(self, own: EndpointName, shard: str) -> bool:
        """Say whether an endpoint is in a shard, with nothing left of a move."""
        entry = self.alone.own_entry(own) if shard != "0" else self.alone.entry(own)
        if self.route(own) != shard or entry is None:
            return False
        others = entry.get("others") or {}
        return not others.get("held") and self._ready(own)

    def _ready(self, own: EndpointName) -> bool:
        document = self.alone.cluster.endpoint_documents[own]
        conditions = document.get("status", {}).get("conditions", ())
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


class Sender:
    """One webhook after the other for each person: so which came first is beyond doubt."""

    def __init__(self, installation: Installation, own: EndpointName) -> None:
        self.url = installation.receiver.url(f"/v1/webhooks/{own.namespace}/{own.name}")
        self.own = own
        self.sent: dict[str, list[str]] = defaultdict(list)
        """The keys that were answered 200, by person, in their order."""

        self.bodies: list[bytes] = []

    async def run(self, over: asyncio.Event) -> None:
        """Send until it is over."""
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            for number in range(PEOPLE):
                group.create_task(self._person(session, f"1555000{number:04d}", over))

    async def _person(
        self, session: aiohttp.ClientSession, person: str, over: asyncio.Event
    ) -> None:
        for number in itertools.count():
            if over.is_set():
                return
            wamid = f"wamid.{self.own.name}.{person}.{number}"
            body = _body(wamid, person)
            while True:
                if await self.post(session, body) == 200:
                    break
                await asyncio.sleep(0.1)
            self.sent[person].append(key_token(f"msg:{CHANNEL}:{wamid}"))
            self.bodies.append(body)
            await asyncio.sleep(0.1)

    async def post(self, session: aiohttp.ClientSession, body: bytes) -> int:
        """Send a webhook and return the status; 0 for no answer."""
        headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
        try:
            async with session.post(self.url, data=body, headers=headers) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0

    @property
    def keys(self) -> set[str]:
        """All that was answered 200."""
        return {key for keys in self.sent.values() for key in keys}


def _body(wamid: str, person: str) -> bytes:
    message = {
        "from": person,
        "id": wamid,
        "timestamp": "1795165201",
        "type": "text",
        "text": {"body": "hello"},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": CHANNEL},
        "messages": [message],
    }
    entry = [{"id": "1022", "changes": [{"field": "messages", "value": value}]}]
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


def arrivals(stack: Stack, path: str) -> list[str]:
    """Return the keys that one destination took, in the order in which it did."""
    return [each.key for each in stack.sink.accepted if each.path == path]


def assert_once_and_in_order(stack: Stack, sender: Sender) -> None:
    for destination in ("crm", "erp"):
        found = arrivals(stack, f"/{destination}/{sender.own.name}")
        assert len(found) == len(set(found)), "an item came twice"
        assert set(found) == sender.keys
        places = {key: place for place, key in enumerate(found)}
        for person, keys in sender.sent.items():
            order = [places[key] for key in keys]
            assert order == sorted(order), f"items of {person} came in another order"


async def all_arrived(stack: Stack, sender: Sender) -> None:
    def is_so() -> bool:
        return all(
            sender.keys <= set(arrivals(stack, f"/{each}/{sender.own.name}"))
            for each in ("crm", "erp")
        )

    await eventually(is_so, within=40, saying="all items at both destinations")


async def test_a_move_and_the_way_back_lose_repeat_and_overtake_nothing(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        installation = Installation(stack)
        async with installation.running():
            shop = installation.apply("shop", SHARED)
            bank = installation.apply("bank", SHARED)
            for each in (shop, bank):
                await eventually(functools.partial(installation.is_settled, each, "0"), within=30)
            over = asyncio.Event()
            senders = [Sender(installation, each) for each in (shop, bank)]
            sending = [asyncio.create_task(each.run(over)) for each in senders]
            await eventually(lambda: len(senders[0].bodies) > 100, within=30)

            # One destination is down: what waits for it in the old streams goes first.
            stack.sink.refuse_path("/erp/shop")
            # And nobody works the old streams for a while: what is newer waits for what is in them.
            await installation.shared_processor.terminate()
            before = list(senders[0].bodies)
            installation.apply("shop", DEDICATED)
            own = dedicated_shard(shop)
            await eventually(lambda: installation.route(shop) == own, within=40)
            sent = len(senders[0].bodies)
            await eventually(lambda: len(senders[0].bodies) > sent + 450, within=40)
            assert installation.alone.own_entry(shop) is None
            await installation.shared_processor.start()
            taken = len(arrivals(stack, "/crm/shop"))
            await eventually(
                lambda: (
                    (installation.alone.own_entry(shop) or {}).get("others", {}).get("held")
                    == ["erp"]
                ),
                within=40,
                saying="the destination that is down to be held",
            )
            # The one that is up gets all that comes.
            await eventually(lambda: len(arrivals(stack, "/crm/shop")) > taken + 100, within=40)
            stack.sink.forgive_path("/erp/shop")
            await eventually(
                lambda: installation.is_settled(shop, own), within=40, saying="the move to end"
            )
            # The provider sends again what it sent before the move.
            async with aiohttp.ClientSession() as session:
                for body in before[:50]:
                    assert await senders[0].post(session, body) == 200
            await eventually(lambda: len(senders[0].bodies) > len(before) + 550, within=40)

            installation.apply("shop", SHARED)
            await eventually(
                lambda: installation.is_settled(shop, "0"), within=60, saying="the way back to end"
            )
            count = len(senders[0].bodies)
            async with aiohttp.ClientSession() as session:
                for body in senders[0].bodies[count - 200 : count - 150]:
                    assert await senders[0].post(session, body) == 200
            await eventually(lambda: len(senders[0].bodies) > count + 50, within=30)
            over.set()
            await asyncio.gather(*sending)
            for sender in senders:
                await all_arrived(stack, sender)
                assert_once_and_in_order(stack, sender)

            # Nothing is removed that holds anything; and all of it once nothing does.
            async with stack.nats_server.client() as client:
                context = client.jetstream()
                names = [
                    str(each.config.name)
                    for each in await context.streams_info()
                    if str(each.config.name).endswith(own)
                ]
                assert len(names) == 6
                assert installation.own_part is None
                for name in names:
                    await context.purge_stream(name)

                async def is_gone() -> bool:
                    left: list[Any] = await context.streams_info()
                    return not any(str(each.config.name).endswith(own) for each in left)

                await eventually(is_gone, within=30, saying="its own streams to be removed")
            await eventually(
                lambda: installation.alone.kinds_of_processors(shop) == set(), within=10
            )
