"""What a destination does not take is tried again, and given up when that is of no use."""

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from forebay.core.tables import Retry
from support.plant import CHANNEL, Plant, token
from support.ports import HOST
from support.sink import NO_ANSWER
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_pauses_grow(plant: Plant) -> None:
    name = plant.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=10, max_age_seconds=60)
    await plant.serve(name, plant.http(name, retry=retry))
    key = token("wamid.growing")
    plant.sink.answer_key(key, 500, 502, 429)
    await plant.wait_delivered(name, await plant.send(name, "wamid.growing"))
    times = [arrival.at for arrival in plant.arrivals(name)]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    # From half of a full pause to the whole of it; the upper bound is left to a busy machine.
    assert [max(pause, least) for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True)] == (
        pauses
    )
    assert [arrival.attempt for arrival in plant.arrivals(name)] == [1, 2, 3, 4]


async def test_a_destination_says_when_to_come_again(plant: Plant) -> None:
    name = plant.plain()
    async with plant.sink_answers(429, **{"Retry-After": "1"}):
        await plant.send(name, "wamid.later")
        await eventually(lambda: plant.arrivals(name))
        await eventually(lambda: plant.arrivals(name)[0].status == 429)
    await plant.wait_delivered(name, [token("wamid.later")])
    first, second = plant.arrivals(name)
    assert 0.95 <= second.at - first.at < 5


async def test_an_item_alone_is_left_alone_for_as_long_as_its_answer_says(plant: Plant) -> None:
    name = plant.plain()
    key = token("wamid.later.alone")
    plant.sink.answer_key(key, 500)
    async with plant.sink_answers(200, **{"Retry-After": "1"}):
        await plant.wait_delivered(name, await plant.send(name, "wamid.later.alone"))
    first, second = plant.arrivals(name)
    assert 0.95 <= second.at - first.at < 5


@pytest.mark.parametrize(
    "wish",
    [
        "-1",
        "1e9",
        "NaN",
        "9" * 3000,
        "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
        "Fri, 31 Dec 2099 23:59:59 +9999999999",
    ],
)
async def test_what_is_no_time_to_come_again_changes_nothing(plant: Plant, wish: str) -> None:
    name = plant.plain()
    message = f"wamid.odd.{hashlib.sha256(wish.encode()).hexdigest()}"
    plant.sink.answer_key(token(message), 500, 429, 503)
    async with plant.sink_answers(200, **{"Retry-After": wish}):
        await plant.wait_delivered(name, await plant.send(name, message))
    assert [arrival.attempt for arrival in plant.arrivals(name)] == [1, 2, 3, 4]


@pytest.mark.parametrize("wish", ["9" * 60, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_no_answer_puts_an_item_off_for_more_than_an_hour(plant: Plant, wish: str) -> None:
    name = plant.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=90_000)
    await plant.serve(name, plant.http(name, retry=retry))
    message = f"wamid.far.{len(wish)}"
    plant.sink.answer_key(token(message), 500)
    async with plant.sink_answers(200, **{"Retry-After": wish}):
        await plant.send(name, message)
        row = await plant.row(name)
    headers = row.headers or {}
    assert headers["Forebay-Attempts"] == "1"
    assert 3590 < int(headers["Forebay-Due-At"]) / 1000 - time.time() <= 3600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(plant: Plant, status: int) -> None:
    name, elsewhere = plant.plain(), f"elsewhere-{status}"
    key = token(f"wamid.redirected.{status}")
    plant.sink.answer_key(key, status)
    async with plant.sink_answers(200, Location=plant.sink.url(f"/{elsewhere}")):
        await plant.wait_delivered(name, await plant.send(name, f"wamid.redirected.{status}"))
    # The second attempt has come: whatever the first one led to was there before it.
    assert [arrival.status for arrival in plant.arrivals(name)] == [status, 200]
    assert plant.arrivals(elsewhere) == []


async def test_our_own_headers_cannot_be_overridden_in_other_letters(plant: Plant) -> None:
    name = plant.new_name()
    taken = {
        "WEBHOOK-ID": "theirs",
        "Webhook-Timestamp": "1",
        "WebHook-Signature": "v1,theirs",
        "FOREBAY-ATTEMPT": "99",
        "forebay-endpoint": "other/one",
        "TraceParent": "theirs",
        "Content-TYPE": "text/plain",
        "X-Own": "theirs",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    await plant.serve(name, plant.http(name, headers=taken, signing_secrets=(secret,)))
    (key,) = await plant.send(name, "wamid.headers")
    await plant.wait_delivered(name, [key])
    (arrival,) = plant.arrivals(name)
    assert (arrival.key, arrival.attempt) == (key, 1)
    assert arrival.headers["forebay-endpoint"] == f"demo/{name}"
    assert arrival.headers["content-type"].startswith("application/cloudevents+json")
    assert arrival.headers["x-own"] == "theirs"
    ours = ("webhook-timestamp", "webhook-signature", "traceparent")
    assert [each for each in ours if "theirs" in arrival.headers[each]] == []
    assert arrival.headers["webhook-timestamp"] != "1"


@pytest.mark.parametrize("status", [300, 404, 408, 500, NO_ANSWER])
async def test_every_other_answer_is_tried_again(plant: Plant, status: int) -> None:
    name = plant.plain()
    message = f"wamid.again.{status}"
    plant.sink.answer_key(token(message), status)
    await plant.wait_delivered(name, await plant.send(name, message))
    assert len(plant.arrivals(name)) == 2


async def test_no_answer_in_time_is_a_failure(plant: Plant) -> None:
    name = plant.new_name()
    await plant.serve(name, plant.http(name, timeout_seconds=0.2))
    plant.sink.hold()
    try:
        await plant.send(name, "wamid.slow")
        await eventually(lambda: len(plant.arrivals(name)) == 2)
    finally:
        plant.sink.release()
    await plant.wait_delivered(name, [token("wamid.slow")])
    assert [arrival.attempt for arrival in plant.arrivals(name)][:2] == [1, 2]


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_a_rejected_item_is_a_dead_letter_at_once(plant: Plant, status: int) -> None:
    name, message = plant.plain(), f"wamid.rejected.{status}"
    plant.sink.answer_key(token(message), status)
    keys = await plant.send(name, message, f"{message}.next")
    letter = await plant.letter(name, keys[0])
    await plant.wait_delivered(name, keys[1:])
    assert len(plant.arrivals(name)) == 2
    assert letter.data is not None
    stored = json.loads(letter.data)
    assert (stored["key"], stored["kind"]) == (f"msg:{CHANNEL}:{message}", "messages")
    assert stored["data"]["value"]["messages"][0]["text"] == {"body": "Hello"}
    headers = letter.headers or {}
    assert headers["Forebay-Reason"] == "Rejected"
    assert headers["Forebay-Error"] == f"status {status}"
    assert headers["Forebay-Attempts"] == "1"
    assert headers["Forebay-Endpoint"] == f"demo/{name}"
    assert headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert await plant.rows(name) == 0
    dead = await plant.processor.metric(
        "forebay_processor_dead_letters_total", endpoint=name, reason="Rejected"
    )
    assert dead == 1


async def test_an_item_that_fails_until_its_age_ends_expires(plant: Plant) -> None:
    name, message = plant.new_name(), "wamid.aging"
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=60, max_age_seconds=1)
    await plant.serve(name, plant.http(name, retry=retry))
    plant.sink.answer_key(token(message), *[503] * 50)
    began = time.time()
    await plant.send(name, message)
    letter = await plant.letter(name, token(message))
    assert 1 <= time.time() - began < 8
    headers = letter.headers or {}
    assert (headers["Forebay-Reason"], headers["Forebay-Error"]) == ("Expired", "status 503")
    assert int(headers["Forebay-Attempts"]) == len(plant.arrivals(name)) > 2
    await eventually(lambda: _has_no_rows(plant, name), saying="the row to be deleted")


async def _has_no_rows(plant: Plant, name: str) -> bool:
    return await plant.rows(name) == 0


@pytest_asyncio.fixture(loop_scope="session", params=[b"half", b""], ids=["half", "nothing"])
async def half_answerer(
    request: pytest.FixtureRequest,
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Give a destination that says 200 and never ends its answer, and the requests it got."""
    requests: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + request.param)

    server = await asyncio.start_server(answer, HOST, 0)
    yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/", requests
    for writer in writers:
        writer.close()
    server.close()
    await server.wait_closed()


async def test_a_200_counts_though_its_body_never_ends(
    plant: Plant, half_answerer: tuple[str, list[bytes]]
) -> None:
    name, (url, requests) = plant.new_name(), half_answerer
    await plant.serve(name, plant.http(name, url=url))
    await plant.send(name, "wamid.half")

    async def is_counted() -> bool:
        delivered = await plant.processor.metric(
            "forebay_processor_deliveries_total", endpoint=name, outcome="delivered"
        )
        return delivered == 1

    await eventually(is_counted)
    assert len(requests) == 1
    assert await plant.rows(name) == 0
