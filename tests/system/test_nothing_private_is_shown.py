"""No secret, body, text, name or number comes out in logs, metrics or answers of a full run.

Everything happens in it: every kind of payload, repeats, refusals of each kind, bodies that are no
JSON, destinations that fail, NATS that goes away; with logs at level debug. Then all that the parts
wrote and tell is searched for all that was put in.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forebay.core.signatures import sign
from forebay.core.tables import Destination, HttpTarget, LogTarget, ProcessorEndpoint, Retry
from support.destinations.sink import NO_ANSWER, Sink
from support.inputs.corpus import APP_SECRET, PAYLOADS, PLATFORM_SECRET, payload
from support.inputs.private import CONTENT, found
from support.inputs.tables import PATH, VERIFY_TOKEN
from support.programs.local_run import LocalRun
from support.programs.processes import Part
from support.programs.stack import Stack
from support.receiver.raw_http import RawResponse, exchange, request_bytes
from support.receiver.receiver_harness import (
    CERTIFICATE_HEADER,
    CERTIFICATE_NAME,
    OLD_PASSWORD,
    OLD_SECRET,
    OLD_TOKEN,
    PASSWORD,
    ROUTES,
    TOKEN,
    USER,
    basic,
    path_of,
    signed,
)
from support.timing.wait import eventually

LIMIT = 4 * 1024 * 1024

SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The example of Standard Webhooks."""

MISTYPED = "example-app-secrte"
"""What a sender gets wrong is nearly right: it is not for a log either."""

URL_TOKEN = "example-token-in-an-address"
DESTINATION_TOKEN = "Bearer example-token-of-a-destination"
NATS_PASSWORD = "example-password-of-nats"
ECHO = "example-answer-of-a-destination"
CUSTOM = "example-value-of-a-header"
GUESS = "15550007777"
"""A number in a path, in a query and in a body that is no JSON."""

STRANGE = "example word of a stranger"
"""Where a body should have one of the provider's words: a type, a status, a field, an event."""

CERTIFIED = {CERTIFICATE_HEADER: f"CN={CERTIFICATE_NAME}"}

SECRETS = {
    APP_SECRET,
    PLATFORM_SECRET,
    OLD_SECRET,
    TOKEN,
    OLD_TOKEN,
    USER + ":" + PASSWORD,
    PASSWORD,
    OLD_PASSWORD,
    VERIFY_TOKEN,
    SIGNING,
    SIGNING.removeprefix("whsec_"),
    MISTYPED,
    URL_TOKEN,
    DESTINATION_TOKEN,
    NATS_PASSWORD,
    ECHO,
    CUSTOM,
    GUESS,
    CERTIFICATE_NAME,
    STRANGE,
    basic()["Authorization"].removeprefix("Basic "),
}

QUICK = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=1.0)

ADMIN_PATHS = ("/metrics", "/routes", "/load", "/readyz", "/livez", "/docs", "/openapi.json")


def destinations(good: Sink, bad: Sink, dead_port: int) -> tuple[Destination, ...]:
    target = HttpTarget(
        url=good.url(f"/in?token={URL_TOKEN}"),
        headers={"Authorization": DESTINATION_TOKEN},
        signing_secrets=(SIGNING,),
    )
    failing = HttpTarget(
        url=bad.url(f"/in?token={URL_TOKEN}"), headers={"Authorization": DESTINATION_TOKEN}
    )
    nobody = HttpTarget(url=f"http://127.0.0.1:{dead_port}/in?token={URL_TOKEN}")
    return (
        Destination(name="log", log=LogTarget()),
        Destination(name="good", http=target),
        Destination(name="bad", http=failing, retry=QUICK),
        Destination(name="nobody", http=nobody, retry=QUICK),
    )


def admitted(name: str, body: bytes) -> dict[str, str]:
    """Return the headers that let a body in at an endpoint."""
    signature = {"x-360dialog-signature": sign(PLATFORM_SECRET, body)}
    known: dict[str, dict[str, str]] = {
        "meta": signed(body),
        "d360": {"Authorization": TOKEN},
        "partner": {"Authorization": OLD_TOKEN, **signature},
        "rotated": signed(body, OLD_SECRET),
        "basic": basic(),
        "certified": CERTIFIED,
        "everything": {**CERTIFIED, **basic(), "X-Token": TOKEN, **signed(body)},
        "open": {},
    }
    return {**known[name], "X-Custom": CUSTOM, "User-Agent": CUSTOM}


def hostile_bodies() -> list[bytes]:
    """Return bodies that say something private wherever a body can say anything."""
    odd = f"{STRANGE} \x1b[2J\n\x85"
    items: list[tuple[str, dict[str, object]]] = [
        ("messages", {"id": odd, "from": odd, "type": odd, "timestamp": odd}),
        ("messages", {"from": odd, "type": odd * 1000, odd: {odd: [odd]}}),
        ("messages", {"id": f"{odd}.2", "type": "reaction", "reaction": {"emoji": odd}}),
        ("statuses", {"id": odd, "status": odd, "recipient_id": odd, "errors": [{"code": odd}]}),
        ("errors", {"code": odd, "title": odd}),
    ]
    values: list[tuple[str, dict[str, object]]] = [
        ("messages", {"metadata": {"phone_number_id": odd}, name: [item]}) for name, item in items
    ]
    values += [
        ("calls", {"metadata": {"phone_number_id": odd}, "calls": [{"id": odd, "event": odd}]}),
        ("user_preferences", {"user_preferences": [{"wa_id": odd, "category": odd, "value": odd}]}),
        ("smb_app_state_sync", {"state_sync": [{"type": odd, "action": odd}]}),
        ("account_update", {"event": odd, "phone_number": odd}),
        (odd, {odd: odd, "event": odd}),
        ("messages", {odd: [odd]}),
    ]
    documents: list[dict[str, object]] = [
        {"object": odd, "entry": [{"id": odd, "time": odd, "changes": [change]}]}
        for change in ({"field": field, "value": value} for field, value in values)
    ]
    documents += [
        {"object": odd, "entry": [{odd: odd}], odd: odd},
        {"entry": [{"id": odd, "changes": [odd, {odd: odd}]}]},
        {"id": odd, "event": odd, "data": {odd: odd, "metadata": {"phone_number_id": odd}}},
        {"event": odd, "data": None},
    ]
    bodies = [json.dumps(document).encode() for document in documents]
    text = STRANGE.encode()
    bodies += [
        b'{"entry": [{"changes": [{"value": "' + text + b"\\ud83d",  # ends in the middle
        b'{"entry": [{"changes": [{"field": "messages", "value": {"messages": [{"type": "'
        + text
        + b' \\ud83d"}]}}]}]}',
        b'{"entry": [{"changes": [{"field": "messages", "value": {"' + text + b'": 1e400}}]}]}',
        b'{"entry": "' + text + b'", "event": "' + text + b'"}',
        b'{"entry": [' + b"[" * 5000 + b'"' + text + b'"' + b"]" * 5000 + b"]}",
    ]
    return bodies


async def post(
    port: int, name: str, body: bytes, headers: dict[str, str] | None = None
) -> RawResponse:
    fields = admitted(name, body) if headers is None else headers
    path = f"{path_of(name)}?from={GUESS}"
    return await exchange(port, request_bytes("POST", path, headers=fields, body=body))


async def answers_to_hostile_bodies(port: int) -> set[int]:
    """Send bodies that say something private where they can; return the statuses."""
    answers = [
        await post(port, name, body) for body in hostile_bodies() for name in ("meta", "d360")
    ]
    return {answer.status for answer in answers}


async def refusals(port: int) -> set[int]:
    """Send what is refused, in every way that there is; return the statuses."""
    body = payload("messages-text").body
    wrong: list[tuple[str, dict[str, str]]] = [
        ("meta", {}),
        ("meta", {"X-Hub-Signature-256": MISTYPED}),
        ("meta", signed(body, MISTYPED)),
        ("d360", {}),
        ("d360", {"Authorization": MISTYPED}),
        ("basic", {"Authorization": MISTYPED}),
        ("basic", basic(USER, MISTYPED)),
        ("basic", basic(MISTYPED, PASSWORD)),
        ("certified", {}),
        ("certified", {CERTIFICATE_HEADER: MISTYPED}),
        ("partner", {"Authorization": TOKEN}),
        ("everything", {**CERTIFIED, **basic(), "X-Token": MISTYPED, **signed(body)}),
    ]
    answers = [await post(port, name, body, headers) for name, headers in wrong]
    large = {"Content-Length": str(LIMIT + 1), **signed(body)}
    raw = [
        request_bytes("POST", PATH, headers=large),
        request_bytes("POST", f"/v1/webhooks/demo/{GUESS}", headers=signed(body), body=body),
        request_bytes("PUT", f"{PATH}?from={GUESS}", headers=signed(body), body=body),
        request_bytes("GET", f"/{GUESS}?token={MISTYPED}"),
        request_bytes("GET", f"{PATH}?hub.verify_token={MISTYPED}&hub.challenge={GUESS}"),
        request_bytes(
            "GET",
            f"{PATH}?hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge={GUESS}",
        ),
        request_bytes("POST", PATH, headers={"Content-Length": "odd", "X": CUSTOM}) + body,
        request_bytes("POST", PATH, headers={"Content-Length": "9000", **signed(body)}) + body,
        f"{GUESS} {CUSTOM}\r\n\r\n".encode(),
        f"POST {PATH} HTTP/1.1\r\n{CUSTOM}\r\n\r\n".encode(),
    ]
    answers += [await exchange(port, data) for data in raw]
    return {answer.status for answer in answers}


async def shown_by(part: Part) -> dict[str, str]:
    texts = {}
    for path in ADMIN_PATHS:
        answer = await part.admin(path)
        texts[f"{part.kind} {path}"] = answer.body.decode()
    return texts


def logs_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.log")}


@pytest.fixture
async def bad() -> AsyncIterator[Sink]:
    """Give a destination that fails in every way, and says something private while it does."""
    async with Sink() as sink:
        sink.headers = {"X-Echo": ECHO, "Retry-After": "0"}
        sink.status = 500
        sink.answer_next(*(200, 302, 400, 401, 404, 410, 413, 422, 429, 503, NO_ANSWER) * 3)
        yield sink


async def test_nothing_private_is_shown_by_receiver_and_processor(stack: Stack, bad: Sink) -> None:
    down = Sink()
    routes = [route for route in ROUTES if route.name != "narrow"]
    stack.tables.write_routes(*routes)
    stack.tables.write_endpoints(
        *(
            ProcessorEndpoint(
                namespace=route.namespace,
                name=route.name,
                provider=route.provider,
                channel="108200000000301",
                destinations=destinations(stack.sink, bad, down.port),
            )
            for route in routes
        )
    )
    debug = {
        "FOREBAY_LOG_LEVEL": "debug",
        "FOREBAY_NATS_USER": "somebody",
        "FOREBAY_NATS_PASSWORD": NATS_PASSWORD,
    }
    receiver = await stack.receiver(
        FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER=CERTIFICATE_HEADER,
        FOREBAY_RECEIVER_BODY_SECONDS="1",
        **debug,
    )
    processor = await stack.processor(**debug)
    for _ in range(2):  # the second time everything is a repeat
        for each in PAYLOADS.values():
            assert (await post(receiver.port, "meta", each.body)).status == 200
    for route in routes:
        for name in ("messages-text", "messages-contacts", "batch-mixed", "status-failed"):
            assert (await post(receiver.port, route.name, payload(name).body)).status == 200
        for body in (
            f"from={GUESS}&text={CUSTOM}".encode(),
            b'{"entry": [{"changes": "%b"}]}' % GUESS.encode(),
            f'"{CUSTOM}"'.encode(),
            b"\xff" + GUESS.encode(),
        ):
            assert (await post(receiver.port, route.name, body)).status == 200
    assert await answers_to_hostile_bodies(receiver.port) == {200}
    assert await refusals(receiver.port) == {200, 400, 401, 403, 404, 405, 408, 413}

    async def has_dead_letters() -> bool:
        count = "forebay_processor_dead_letters_total"
        dead = [await processor.metric(count, destination=name) for name in ("bad", "nobody")]
        return all(dead)

    await eventually(has_dead_letters, within=30, saying="dead letters of what fails")
    await stack.nats_server.kill()
    body = payload("messages-image").body
    assert (await post(receiver.port, "open", body)).status == 503
    await stack.nats_server.start()

    async def is_back() -> bool:
        return (await post(receiver.port, "open", body)).status == 200

    await eventually(is_back, within=20, saying="webhooks to be stored again")
    await eventually(processor.ready, within=20, saying="the processor to be ready again")

    texts = {**await shown_by(receiver), **await shown_by(processor)}
    async with stack.nats_server.client() as client:
        for stream in ("RAW", "EVENTS", "RETRY", "DEAD"):
            info = await client.jetstream().stream_info(f"FOREBAY_{stream}_0", subjects_filter=">")
            texts[f"subjects of {stream}"] = " ".join(info.state.subjects or ())
    for part in (receiver, processor):
        part.expect_errors()
        await part.terminate()
        texts[f"log of {part.kind}"] = part.log.read_text()
    texts["log of nats-server"] = stack.nats_server.log.read_text()

    # It is a full run: what should be reported is reported.
    assert "signature_wrong" in texts["receiver /metrics"]
    assert "demo/everything" in texts["receiver /routes"]
    assert len(texts["log of processor"].splitlines()) > 100
    assert texts["subjects of EVENTS"]
    assert len(CONTENT) > 130
    assert found(CONTENT | SECRETS, texts) == []


async def test_nothing_private_is_in_the_logs_of_forebay_run(tmp_path: Path, sink: Sink) -> None:
    destination = {"name": "crm", "http": {"url": sink.url(f"/in?token={URL_TOKEN}")}}
    async with LocalRun(tmp_path, destination) as local_run:
        for each in PAYLOADS.values():
            assert (await post(local_run.port, "meta", each.body)).status == 200
        assert (await post(local_run.port, "meta", b"{}", signed(b"", MISTYPED))).status == 401
        await sink.wait_for(50, within=30)
        texts = {
            "receiver /metrics": await local_run.metrics(local_run.admin_port),
            "processor /metrics": await local_run.metrics(local_run.processor_admin_port),
        }
    texts |= logs_in(tmp_path) | logs_in(local_run.data / "logs")
    assert {"receiver.log", "processor.log", "run.log"} <= texts.keys()
    assert found(CONTENT | SECRETS, texts) == []
