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
from support.destinations.sink import NO_ANSWER
from support.processor.processor_harness import CHANNEL, ProcessorHarness, token
from support.programs.ports import HOST
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_pauses_grow(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=10, max_age_seconds=60)
    await processor.serve(name, processor.http(name, retry=retry))
    key = token("wamid.growing")
    processor.sink.answer_key(key, 500, 502, 429)
    await processor.wait_delivered(name, await processor.send(name, "wamid.growing"))
    times = [arrival.at for arrival in processor.arrivals(name)]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    # From half of a full pause to the whole of it; the upper bound is left to a busy machine.
    assert [max(pause, least) for pause, least in zip(pauses, (0.05, 0.1, 0.2), strict=True)] == (
        pauses
    )
    assert [arrival.attempt for arrival in processor.arrivals(name)] == [1, 2, 3, 4]


async def test_a_destination_says_when_to_come_again(processor: ProcessorHarness) -> None:
    name = processor.plain()
    async with processor.sink_answers(429, **{"Retry-After": "1"}):
        await processor.send(name, "wamid.later")
        await eventually(lambda: processor.arrivals(name))
        await eventually(lambda: processor.arrivals(name)[0].status == 429)
    await processor.wait_delivered(name, [token("wamid.later")])
    first, second = processor.arrivals(name)
    assert 0.95 <= second.at - first.at < 5


async def test_an_item_alone_is_left_alone_for_as_long_as_its_answer_says(
    processor: ProcessorHarness,
) -> None:
    name = processor.plain()
    key = token("wamid.later.alone")
    processor.sink.answer_key(key, 500)
    async with processor.sink_answers(200, **{"Retry-After": "1"}):
        await processor.wait_delivered(name, await processor.send(name, "wamid.later.alone"))
    first, second = processor.arrivals(name)
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
async def test_what_is_no_time_to_come_again_changes_nothing(
    processor: ProcessorHarness, wish: str
) -> None:
    name = processor.plain()
    message = f"wamid.odd.{hashlib.sha256(wish.encode()).hexdigest()}"
    processor.sink.answer_key(token(message), 500, 429, 503)
    async with processor.sink_answers(200, **{"Retry-After": wish}):
        await processor.wait_delivered(name, await processor.send(name, message))
    assert [arrival.attempt for arrival in processor.arrivals(name)] == [1, 2, 3, 4]


@pytest.mark.parametrize("wish", ["9" * 60, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_no_answer_puts_an_item_off_for_more_than_an_hour(
    processor: ProcessorHarness, wish: str
) -> None:
    name = processor.new_name()
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=0.2, max_age_seconds=90_000)
    await processor.serve(name, processor.http(name, retry=retry))
    message = f"wamid.far.{len(wish)}"
    processor.sink.answer_key(token(message), 500)
    async with processor.sink_answers(200, **{"Retry-After": wish}):
        await processor.send(name, message)
        row = await processor.row(name)
    headers = row.headers or {}
    assert headers["Forebay-Attempts"] == "1"
    assert 3590 < int(headers["Forebay-Due-At"]) / 1000 - time.time() <= 3600


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(processor: ProcessorHarness, status: int) -> None:
    name, elsewhere = processor.plain(), f"elsewhere-{status}"
    key = token(f"wamid.redirected.{status}")
    processor.sink.answer_key(key, status)
    async with processor.sink_answers(200, Location=processor.sink.url(f"/{elsewhere}")):
        await processor.wait_delivered(
            name, await processor.send(name, f"wamid.redirected.{status}")
        )
    # The second attempt has come: whatever the first one led to was there before it.
    assert [arrival.status for arrival in processor.arrivals(name)] == [status, 200]
    assert processor.arrivals(elsewhere) == []


async def test_our_own_headers_cannot_be_overridden_in_other_letters(
    processor: ProcessorHarness,
) -> None:
    name = processor.new_name()
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
    await processor.serve(name, processor.http(name, headers=taken, signing_secrets=(secret,)))
    (key,) = await processor.send(name, "wamid.headers")
    await processor.wait_delivered(name, [key])
    (arrival,) = processor.arrivals(name)
    assert (arrival.key, arrival.attempt) == (key, 1)
    assert arrival.headers["forebay-endpoint"] == f"demo/{name}"
    assert arrival.headers["content-type"].startswith("application/cloudevents+json")
    assert arrival.headers["x-own"] == "theirs"
    ours = ("webhook-timestamp", "webhook-signature", "traceparent")
    assert [each for each in ours if "theirs" in arrival.headers[each]] == []
    assert arrival.headers["webhook-timestamp"] != "1"


@pytest.mark.parametrize("status", [300, 404, 408, 500, NO_ANSWER])
async def test_every_other_answer_is_tried_again(processor: ProcessorHarness, status: int) -> None:
    name = processor.plain()
    message = f"wamid.again.{status}"
    processor.sink.answer_key(token(message), status)
    await processor.wait_delivered(name, await processor.send(name, message))
    assert len(processor.arrivals(name)) == 2


async def test_no_answer_in_time_is_a_failure(processor: ProcessorHarness) -> None:
    name = processor.new_name()
    await processor.serve(name, processor.http(name, timeout_seconds=0.2))
    processor.sink.hold()
    try:
        await processor.send(name, "wamid.slow")
        await eventually(lambda: len(processor.arrivals(name)) == 2)
    finally:
        processor.sink.release()
    await processor.wait_delivered(name, [token("wamid.slow")])
    assert [arrival.attempt for arrival in processor.arrivals(name)][:2] == [1, 2]


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_a_rejected_item_is_a_dead_letter_at_once(
    processor: ProcessorHarness, status: int
) -> None:
    name, message = processor.plain(), f"wamid.rejected.{status}"
    processor.sink.answer_key(token(message), status)
    keys = await processor.send(name, message, f"{message}.next")
    letter = await processor.letter(name, keys[0])
    await processor.wait_delivered(name, keys[1:])
    assert len(processor.arrivals(name)) == 2
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
    assert await processor.rows(name) == 0
    dead = await processor.part.metric(
        "forebay_processor_dead_letters_total", endpoint=name, reason="Rejected"
    )
    assert dead == 1


async def test_an_item_that_fails_until_its_age_ends_expires(processor: ProcessorHarness) -> None:
    name, message = processor.new_name(), "wamid.aging"
    retry = Retry(initial_delay_seconds=0.1, max_delay_seconds=60, max_age_seconds=1)
    await processor.serve(name, processor.http(name, retry=retry))
    processor.sink.answer_key(token(message), *[503] * 50)
    began = time.time()
    await processor.send(name, message)
    letter = await processor.letter(name, token(message))
    assert 1 <= time.time() - began < 8
    headers = letter.headers or {}
    assert (headers["Forebay-Reason"], headers["Forebay-Error"]) == ("Expired", "status 503")
    assert int(headers["Forebay-Attempts"]) == len(processor.arrivals(name)) > 2
    await eventually(lambda: _has_no_rows(processor, name), saying="the row to be deleted")


async def _has_no_rows(processor: ProcessorHarness, name: str) -> bool:
    return await processor.rows(name) == 0


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
    processor: ProcessorHarness, half_answerer: tuple[str, list[bytes]]
) -> None:
    name, (url, requests) = processor.new_name(), half_answerer
    await processor.serve(name, processor.http(name, url=url))
    await processor.send(name, "wamid.half")

    async def is_counted() -> bool:
        delivered = await processor.part.metric(
            "forebay_processor_deliveries_total", endpoint=name, outcome="delivered"
        )
        return delivered == 1

    await eventually(is_counted)
    assert len(requests) == 1
    assert await processor.rows(name) == 0
