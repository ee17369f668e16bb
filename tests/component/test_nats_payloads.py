"""Every payload and case through a destination `nats`, as a real server stored it.

`make component ARGS="-k nats_payloads --update-test-data"` writes tests/data/output/nats anew:
subject and headers of each event, in both modes. What the message holds is in
tests/data/output/events: the event itself where it is structured, its `data` where it is binary.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pytest
import pytest_asyncio

from forebay.core.item_kinds import KINDS
from forebay.core.tables import NatsTarget
from forebay_processor.destinations.nats.destination import NatsDestination
from forebay_processor.destinations.port import Attempt, Delivered
from support.destinations.clients import own_nats_client
from support.inputs.events import attempt_of, corpus_events
from support.inputs.splitting import split
from support.nats.nats_server import NatsServer
from support.nats.streams import read_stream
from support.processor.processor_harness import webhook

pytestmark = pytest.mark.asyncio(loop_scope="module")

Mode = Literal["Structured", "Binary"]
MODES: Final[tuple[Mode, ...]] = ("Structured", "Binary")

OUTPUT: Final = Path(__file__).parents[1] / "data" / "output"
SUBJECT: Final = "bus.{destination}.{kind}.{type}.{lane}.{channel}.{conversation}"

Stored = dict[str, dict[str, Any]]
"""Messages by the ids of their events: `subject`, `headers`, and the bytes, `content`."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    """Give a NATS that is not Forebay's, with a stream for each mode."""
    async with NatsServer(tmp_path_factory.mktemp("bus"), name="bus") as running:
        async with running.client() as client:
            for mode in MODES:
                await client.jetstream().add_stream(name=mode, subjects=[f"bus.{mode.lower()}.>"])
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stored(bus: NatsServer) -> dict[Mode, Stored]:
    """Give what the streams hold when all events of the corpus and the cases were delivered."""
    attempts = {each.item.token: attempt_of(each.item) for each in corpus_events()}
    assert len(attempts) > 100
    return {mode: await published(bus, mode, list(attempts.values())) for mode in MODES}


async def published(bus: NatsServer, mode: Mode, attempts: list[Attempt]) -> Stored:
    """Deliver in a mode, and return what the stream has got by that; fails where one came twice."""
    target = NatsTarget(urls=(bus.url,), subject=SUBJECT, mode=mode, timeout_seconds=5.0)
    async with bus.client() as client, own_nats_client() as connections:
        await client.jetstream().purge_stream(mode)
        destination = NatsDestination(target, connections)
        for attempt in attempts:
            sent = msgspec.structs.replace(attempt, destination=mode.lower())
            assert await destination.deliver(sent) == Delivered()
        destination.close()
        messages = await read_stream(client, mode)
    found = {
        (message.headers or {})["Nats-Msg-Id"].partition(":")[0]: {
            "subject": message.subject,
            "headers": dict(sorted((message.headers or {}).items())),
            "content": message.data,
        }
        for message in messages
    }
    assert len(found) == len(messages) == len(attempts)
    return found


def events_of(kind: str) -> dict[str, dict[str, Any]]:
    """Return the expected events of a kind by their ids, each with the file that it comes from.

    Where two are one event with another time of receipt, the later one is delivered, as above.
    """
    entries = json.loads((OUTPUT / "events" / f"{kind}.json").read_bytes())
    return {entry["event"]["id"]: entry for entry in entries}


@pytest.mark.parametrize("kind", KINDS)
async def test_subjects_and_headers_of_a_kind_are_those_of_its_file(
    stored: dict[Mode, Stored], kind: str, request: pytest.FixtureRequest
) -> None:
    file = OUTPUT / "nats" / f"{kind}.json"
    found = defaultdict[str, dict[str, Any]](dict)
    for token, entry in events_of(kind).items():
        found[token]["from"] = entry["from"]
        for mode in MODES:
            message = stored[mode][token]
            found[token][mode] = {name: message[name] for name in ("subject", "headers")}
    made = json.dumps(list(found.values()), indent=1, ensure_ascii=False) + "\n"
    if request.config.getoption("--update-test-data"):
        file.write_text(made)
    assert made == file.read_text()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_stored_of_a_kind_is_the_whole_event(
    stored: dict[Mode, Stored], kind: str
) -> None:
    events = events_of(kind)
    assert events
    for token, entry in events.items():
        assert json.loads(stored["Structured"][token]["content"]) == entry["event"]
        assert json.loads(stored["Binary"][token]["content"]) == entry["event"]["data"]


async def test_no_event_is_of_a_kind_without_a_file(stored: dict[Mode, Stored]) -> None:
    expected = {token for kind in KINDS for token in events_of(kind)}
    assert stored["Structured"].keys() == stored["Binary"].keys() == expected


async def test_what_nobody_has_heard_of_arrives_whole(bus: NatsServer) -> None:
    odd = b'"hello", "mood": [{"beams": 2, "no.te": null}]'
    body = webhook(("wamid.odd", "15550001234")).replace(b'"Hello"', odd)
    body = body.replace(b'"type": "text"', b'"type": "hologram"')
    attempts = [attempt_of(item) for item in split("meta", body, 0.0)]
    (message,) = (await published(bus, "Binary", attempts)).values()
    (part,) = json.loads(message["content"])["value"]["messages"]
    assert part["text"] == {"body": "hello", "mood": [{"beams": 2, "no.te": None}]}
    assert part["type"] == message["headers"]["ce-itemtype"] == "hologram"
    # A subject is of words that everybody knows: permissions hang on it.
    assert message["subject"].startswith("bus.binary.messages.other.live.")
