"""Cases from the field: posted to a receiver, split, delivered as items and as bodies."""

import time
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from forebay.core.signatures import sign
from forebay.core.subjects import StreamKind, stream_name
from forebay.core.tables import Provider, ReceiverRoute
from support.cases import CASES
from support.corpus import APP_SECRET
from support.plant import Plant
from support.processes import Part
from support.raw_http import RawResponse, exchange, request_bytes
from support.sink import Arrival
from support.tables import META_SIGNATURE
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

RAW, EVENTS = (stream_name(kind, "0") for kind in (StreamKind.RAW, StreamKind.EVENTS))


class Whole:
    """A receiver beside the processor of a plant, and endpoints with two destinations."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._receiver: Part

    async def start(self) -> None:
        """Start the receiver."""
        self._receiver = self.plant.stack.part("receiver", FOREBAY_TABLE_POLL_SECONDS="0.02")
        self.plant.stack.tables.write_routes()
        await self._receiver.start()

    async def endpoint(self, provider: Provider = "meta") -> str:
        """Serve an endpoint whose items go to one destination, and whose bodies to another."""
        plant, name = self.plant, self.plant.new_name()
        await plant.serve(
            name,
            plant.http(f"{name}-items", name="items"),
            plant.http(f"{name}-bodies", name="bodies", format="Raw"),
            provider=provider,
        )
        own = ReceiverRoute(
            namespace="demo", name=name, provider=provider, authentication=META_SIGNATURE
        )
        plant.stack.tables.write_routes(own, file=f"{name}.json")
        await eventually(lambda: self._is_served(name))
        return name

    async def _is_served(self, name: str) -> bool:
        return (await self._post(name, b"{}", "sha256=00")).status == 401

    async def _post(self, name: str, body: bytes, signature: str) -> RawResponse:
        request = request_bytes(
            "POST",
            f"/v1/webhooks/demo/{name}",
            headers={"Content-Type": "application/json", "X-Hub-Signature-256": signature},
            body=body,
        )
        return await exchange(self._receiver.port, request)

    async def post(self, name: str, *bodies: bytes) -> None:
        """Post webhooks, one after the other."""
        for body in bodies:
            signature = f"sha256={sign(APP_SECRET, body)}"
            assert (await self._post(name, body, signature)).status == 200

    async def arrived(self, name: str) -> tuple[list[Arrival], list[Arrival]]:
        """Return what came of an endpoint's webhooks, as items and as bodies, once all is done."""
        await eventually(self._is_all_done, within=20, saying="all to be delivered")
        return self.plant.arrivals(f"{name}-items"), self.plant.arrivals(f"{name}-bodies")

    async def _is_all_done(self) -> bool:
        for stream in (RAW, EVENTS):
            infos = await self.plant.client.jetstream().consumers_info(stream)
            if any(info.num_pending or info.num_ack_pending for info in infos):
                return False
        return True


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    """Give a receiver and a processor that all cases share."""
    async with Plant(tmp_path_factory.mktemp("cases")) as plant:
        running = Whole(plant)
        await running.start()
        yield running


def bodies_of(name: str) -> list[bytes]:
    return [post.body for post in CASES[name].posts(name)]


def ids(arrivals: Sequence[Arrival]) -> set[str]:
    return {arrival.key for arrival in arrivals}


@pytest.mark.parametrize("name", CASES)
async def test_a_case_arrives_as_is_right(whole: Whole, name: str) -> None:
    case = CASES[name]
    own = await whole.endpoint(case.provider)
    began, posts = time.time(), list(case.posts(name))
    for post in posts:
        if post.at and case.provider != "generic":
            # As a receiver stores it that gets it then.
            received = str(int((began + post.at) * 1000))
            await whole.plant.store(own, post.body, headers={"Forebay-Received-At": received})
        else:
            await whole.post(own, post.body)
    items, raw = await whole.arrived(own)
    assert (len(items), len(ids(items))) == (case.items, case.items)
    wanted = len({post.body for post in posts}) if case.bodies is None else case.bodies
    assert (len(raw), len(ids(raw))) == (wanted, wanted)
    assert {arrival.body for arrival in raw} == {post.body for post in posts}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.sent_at == (0,)])
async def test_a_case_that_is_sent_again_brings_nothing_more(whole: Whole, name: str) -> None:
    own = await whole.endpoint()
    bodies = bodies_of(name)
    now = str(int(time.time() * 1000))
    for body in (*bodies, *bodies):
        await whole.plant.store(own, body, headers={"Forebay-Received-At": now})
    items, raw = await whole.arrived(own)
    assert (len(items), len(raw)) == (CASES[name].items, len(bodies))


async def test_the_same_message_is_one_whoever_it_is_said_to_be_of(whole: Whole) -> None:
    """In both orders, and for persons whose two conversations are in different partitions."""
    by_number, by_both = bodies_of("same-wamid-two-identities")
    own = await whole.endpoint()
    for person in range(12):
        pair = [
            body.replace(b"15550000008", b"155500001%02d" % person)
            .replace(b"US.808", b"US.9%02d" % person)
            .replace(b"wamid.C08", b"wamid.P%02d" % person)
            for body in (by_number, by_both)
        ]
        await whole.post(own, *(pair if person % 2 else reversed(pair)))
    items, raw = await whole.arrived(own)
    assert (len(items), len(ids(items)), len(raw)) == (12, 12, 24)
    assert not any(arrival.event.get("variant") for arrival in items)


async def test_payments_are_not_superseded_by_their_messages_statuses(whole: Whole) -> None:
    own = await whole.endpoint()
    await whole.post(own, *bodies_of("payment-statuses"))
    items, _ = await whole.arrived(own)
    payments = [each for each in items if each.event["itemkey"].startswith("pay:")]
    assert payments
    assert not any(each.event.get("superseded") for each in payments)
