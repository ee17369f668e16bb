"""The handlers of examples/ behind a live Forebay: what they take, and what they refuse.

Each is started as its page says. One whose runtime is missing is skipped, and the reason says what
was not run.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook

from forebay.core.tables import Batch, Destination, HttpTarget
from support.inputs.corpus import payload
from support.inputs.events import corpus_events
from support.inputs.splitting import split
from support.inputs.tables import endpoint, route
from support.programs.command import run
from support.programs.ports import HOST, free_port
from support.programs.program import Program
from support.programs.stack import Stack
from support.receiver.raw_http import exchange, request_bytes
from support.receiver.receiver_harness import signed as from_meta
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANDLERS: Final = Path(__file__).parents[2] / "examples" / "handlers"
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the example of the specification
OTHER: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"

START_SECONDS: Final = 50.0
"""For a handler to listen: Go compiles."""

LANGUAGES: Final = ("python", "node", "go", "php")
BATCHED: Final = "-in-batches"
"""At the end of an endpoint's name."""

SENT: Final = ("messages-text", "batch-mixed", "status-failed", "unknown-field", "user-preferences")


def needed(program: str) -> str:
    """Return the path of a program; where it is missing, the test is skipped and says so."""
    found = shutil.which(program) or shutil.which(program, path="/usr/local/go/bin")
    if found is None:
        pytest.skip(f"NOT RUN: {program} is not on this machine")
    return found


FAILING: Final = {
    "python/handler.py": (
        "    names = (",
        '    if event["itemtype"] == "location":\n        raise RuntimeError("no")\n',
    ),
    "node/handler.mjs": (
        "  const { id,",
        '  if (event.itemtype === "location") throw new Error("no");\n',
    ),
    "go/handler.go": (
        "\tline, err := json.Marshal(",
        '\tif event.ItemType == "location" {\n\t\treturn fmt.Errorf("no")\n\t}\n',
    ),
    "php/handler.php": (
        "    $line = [];",
        "    if ($event['itemtype'] === 'location') { throw new RuntimeException('no'); }\n",
    ),
}
"""Before which line of `handle` what is put in, as somebody does who follows the page: work that
fails for locations."""


def with_failing_work(name: str, folder: Path) -> str:
    """Return a copy of a handler whose work fails for locations."""
    anchor, work = FAILING[name]
    source = (HANDLERS / name).read_text()
    assert source.count(anchor) == 1
    file = folder / Path(name).name
    file.write_text(source.replace(anchor, work + anchor))
    return str(file)


async def command(language: str, port: int, folder: Path) -> Sequence[str]:
    """Return what starts a handler."""
    match language:
        case "python":
            return [sys.executable, with_failing_work("python/handler.py", folder), str(port)]
        case "node":
            return [needed("node"), with_failing_work("node/handler.mjs", folder), str(port)]
        case "go":
            built = str(folder / "handler")
            source = with_failing_work("go/handler.go", folder)
            await run(needed("go"), "build", "-o", built, source)
            return [built, str(port)]
        case _:
            script = with_failing_work("php/handler.php", folder)
            return [needed("php"), "-S", f"{HOST}:{port}", script]


class Handler:
    """A handler that runs, and what it handled."""

    def __init__(self, program: Program, port: int) -> None:
        self.program = program
        self.url = f"http://{HOST}:{port}/"
        self._http = httpx.AsyncClient()

    def handled(self) -> list[dict[str, str]]:
        """Return what it printed of each event, in its order."""
        return [json.loads(line) for line in self.program.lines() if line.startswith('{"id"')]

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        """Post to it, and return the status of its answer."""
        return (await self._http.post(self.url, content=body, headers=headers)).status_code

    async def get(self) -> int:
        """Ask it with a GET, and return the status of its answer."""
        return (await self._http.get(self.url)).status_code

    async def close(self) -> None:
        """End it."""
        await self._http.aclose()
        await self.program.end(signal.SIGKILL, within=10)


@pytest.fixture(scope="module")
def ports() -> Mapping[str, int]:
    """Give each handler its port."""
    return {language: free_port() for language in LANGUAGES}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver_port(
    ports: Mapping[str, int], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[int]:
    """Give the port of a Forebay's receiver, with two endpoints for each handler."""
    async with Stack(tmp_path_factory.mktemp("forebay")) as stack:
        names = {name_of(each, batch=batch): each for each in LANGUAGES for batch in (False, True)}
        stack.tables.write_routes(*map(route, names))
        stack.tables.write_endpoints(
            *(endpoint(destination(ports[each], name), name=name) for name, each in names.items())
        )
        receiver = await stack.receiver()
        await stack.processor()
        yield receiver.port


def name_of(language: str, *, batch: bool) -> str:
    """Return the endpoint whose events a handler gets, one by one or in batches."""
    return f"demo/{language}{BATCHED if batch else ''}"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=LANGUAGES)
async def handler(
    request: pytest.FixtureRequest,
    ports: Mapping[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Handler]:
    """Give a handler that listens."""
    folder, port = tmp_path_factory.mktemp("handler"), ports[request.param]
    program = Program(request.param, folder / "handler.log")
    settings = {"FOREBAY_SECRET": SECRET, "FOREBAY_SEEN": str(folder / "seen")}
    arguments = await command(request.param, port, folder)
    program.launch(arguments, cwd=folder, environment={**os.environ, **settings})

    await program.wait_listening(port, within=START_SECONDS)
    running = Handler(program, port)
    yield running
    await running.close()


def body_of(name: str) -> bytes:
    """Return an event of the corpus as Forebay posts it."""
    return next(entry.body for entry in corpus_events() if entry.file == name)


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    """Return the headers of a request whose signature is right."""
    seconds = int(time.time() if at is None else at)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    return {
        "content-type": "application/json",
        "webhook-id": "id-1",
        "webhook-timestamp": str(seconds),
        "webhook-signature": Webhook(secret).sign("id-1", moment, body.decode()),
    }


def destination(port: int, name: str) -> Destination:
    """Return a handler as the destination of an endpoint."""
    batch = Batch(max_wait_seconds=0.2) if name.endswith(BATCHED) else None
    target = HttpTarget(
        url=f"http://{HOST}:{port}/",
        signing_secrets=(OTHER, SECRET),
        content_type="application/json",
        batch=batch,
    )
    return Destination(name="handler", http=target)


@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
async def test_a_live_forebay_s_events_are_verified_and_handled_once(
    handler: Handler, receiver_port: int, *, batch: bool
) -> None:
    before = len(handler.handled())
    path = f"/v1/webhooks/{name_of(handler.program.name, batch=batch)}"
    bodies = [payload(name).body for name in SENT]
    if batch:
        # The handler remembers the ids of those that come one by one.
        bodies = [
            body.replace(b'"wamid.', b'"wamid.B').replace(b"1795165", b"1795166") for body in bodies
        ]
    expected = [item.token for body in bodies for item in split("meta", body, time.time())]
    for body in bodies:
        request = request_bytes("POST", path, headers=from_meta(body), body=body)
        assert (await exchange(receiver_port, request)).status == 200
    await eventually(
        lambda: {each["id"] for each in handler.handled()[before:]} >= set(expected),
        saying="all events to be handled",
    )
    handled = handler.handled()[before:]
    assert sorted(each["id"] for each in handled) == sorted(expected)
    kinds = {each["type"].rpartition(".")[2] for each in handled}
    assert kinds == {"messages", "statuses", "unknown", "preferences"}


async def test_an_event_that_comes_again_is_answered_and_not_handled(handler: Handler) -> None:
    body = body_of("messages-image")
    before = len(handler.handled())
    assert await handler.post(body, signed(body)) == 204
    assert await handler.post(body, signed(body)) == 204
    both = b"[" + body + b"," + body_of("messages-audio") + b"]"
    assert await handler.post(both, signed(both)) == 204
    await eventually(lambda: len(handler.handled()) >= before + 2)
    handled = handler.handled()[before:]
    assert [each["itemtype"] for each in handled] == ["image", "audio"]
    assert handled[0]["subject"] == json.loads(body)["subject"]


async def test_an_event_that_failed_is_tried_again_and_no_other(handler: Handler) -> None:
    body, before = body_of("messages-location"), len(handler.handled())
    assert await handler.post(body, signed(body)) == 500
    both = b"[" + body_of("messages-contacts") + b"," + body + b"]"
    assert await handler.post(both, signed(both)) == 500
    assert await handler.post(both, signed(both)) == 500
    await eventually(lambda: len(handler.handled()) > before)
    await answers_to_another(handler)
    types = [each["itemtype"] for each in handler.handled()[before:]]
    assert [each for each in types if each != "sticker"] == ["contacts"]


async def test_a_signature_that_is_not_ours_is_refused(handler: Handler) -> None:
    body, before = body_of("messages-video"), len(handler.handled())
    right = signed(body)
    assert await handler.post(body, signed(body, secret=OTHER)) == 401
    assert await handler.post(body + b" ", right) == 401
    assert await handler.post(body, right | {"webhook-id": "id-2"}) == 401
    assert await handler.post(body, right | {"webhook-timestamp": str(int(time.time()) + 1)}) == 401
    for value in ("", "v1,", "v1,????", "v1a," + right["webhook-signature"][3:]):
        assert await handler.post(body, right | {"webhook-signature": value}) == 401
    del right["webhook-signature"]
    assert await handler.post(body, right) == 401
    # One of several is enough, as while a secret is changed.
    two = f"{signed(body, secret=OTHER)['webhook-signature']} {signed(body)['webhook-signature']}"
    assert await handler.post(body, signed(body) | {"webhook-signature": two}) == 204
    await eventually(lambda: len(handler.handled()) > before)
    assert [each["itemtype"] for each in handler.handled()[before:]] == ["video"]


@pytest.mark.parametrize("off", [-3600, 3600], ids=["old", "of the future"])
async def test_a_recorded_request_is_refused(handler: Handler, off: int) -> None:
    body, before = body_of("messages-document"), len(handler.handled())
    assert await handler.post(body, signed(body, at=time.time() + off)) == 408
    await answers_to_another(handler)
    assert "document" not in {each["itemtype"] for each in handler.handled()[before:]}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"17", b'"text"', b"null", b"{}", b'{"id": 17}', b"[1]", b'[{"id": null}]']
)
async def test_what_is_no_event_is_refused_for_good(handler: Handler, body: bytes) -> None:
    assert await handler.post(body, signed(body)) == 400
    await answers_to_another(handler)


async def test_what_is_no_post_is_refused(handler: Handler) -> None:
    assert await handler.get() in {405, 501}


async def test_an_unknown_kind_and_unknown_attributes_are_taken(handler: Handler) -> None:
    event = json.loads(body_of("messages-text"))
    event |= {"id": "f" * 32, "type": "dev.forebay.whatsapp.polls", "mood": {"a": [1]}}
    body = json.dumps(event).encode()
    assert await handler.post(body, signed(body)) == 204
    await eventually(lambda: "f" * 32 in {each["id"] for each in handler.handled()})


async def answers_to_another(handler: Handler) -> None:
    """See that a handler still works, and has printed what it had to say before."""
    body = body_of("messages-sticker")
    assert await handler.post(body, signed(body)) == 204
    await eventually(lambda: "sticker" in {each["itemtype"] for each in handler.handled()})
