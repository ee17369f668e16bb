"""What is not in its stream was not stored, whoever answers: a stream of another name, or nobody.

Each of them once got a webhook the answer 200, and nobody ever saw the webhook again.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import DiscardPolicy, StreamConfig

from forebay.core.dead_letters import DeadLetterFilter
from forebay.core.subjects import StreamKind, lease_subject, stream_name
from forebay.runtime.dead_letter_replay import DeadLetters
from forebay.runtime.jetstream.errors import ForeignAnswer
from forebay.runtime.jetstream.streams import ensure_shard
from forebay_processor.adapters.lease_store import LeaseStore
from forebay_processor.shared.lease_table import LeaseTable
from support.nats.nats_server import NatsServer, settled
from support.processor.processor_harness import ProcessorHarness, token
from support.programs.dead_command import dead_letter
from support.programs.stack import SHARD
from support.receiver.raw_http import RawResponse
from support.receiver.receiver_harness import RAW, ReceiverHarness
from support.timing.wait import eventually

EVERYTHING = StreamConfig(
    name="EVERYTHING",
    subjects=["forebay.raw.>"],
    # As EVENTS has it: a refusal of this one is no claim.
    max_msgs_per_subject=1,
    discard=DiscardPolicy.NEW,
    discard_new_per_subject=True,
)

NO_ANSWERS = (
    b"{}",
    b"+OK",
    b'{"stream":"FOREBAY_RAW_0"}',
    b'{"stream":"EVERYTHING","seq":1}',
    b'{"x":' + b"[" * 3_000 + b"]" * 3_000 + b"}",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver that the tests of this module share."""
    async with ReceiverHarness(tmp_path_factory.mktemp("foreign")) as receiver:
        receiver.part.expect_errors("nats_foreign_answer")
        yield receiver


@pytest_asyncio.fixture(loop_scope="module")
async def receiver(shared: ReceiverHarness) -> AsyncIterator[ReceiverHarness]:
    """Give that receiver without RAW, and bring everything back into order afterwards."""
    async with shared.stack.nats_server.client() as client:
        await client.jetstream().delete_stream(RAW)
        yield shared
        with contextlib.suppress(Exception):
            await client.jetstream().delete_stream("EVERYTHING")
    await shared.stack.provision()

    async def is_taken() -> bool:
        return (await shared.post(shared.new_body())).status == 200

    await eventually(is_taken, saying="webhooks to be stored again")


@contextlib.asynccontextmanager
async def answering(client: Client, subject: str, answer: bytes) -> AsyncIterator[list[bytes]]:
    """Let a subscriber answer all that is sent to some subjects."""
    seen = list[bytes]()

    async def reply(message: Msg) -> None:
        seen.append(message.data)
        await message.respond(answer)

    subscription = await client.subscribe(subject, cb=reply)
    await settled(client)
    yield seen
    await subscription.unsubscribe()


def assert_unavailable(answer: RawResponse) -> None:
    assert (answer.status, answer.body) == (503, b"")
    assert 1 <= int(answer.headers["retry-after"]) <= 30


async def readiness_text(receiver: ReceiverHarness) -> str:
    """Return all that readiness says."""
    probe = json.loads((await receiver.part.admin("/readyz")).body)
    return "\n".join([*probe["waiting_for"], *probe["warnings"]])


def saying(receiver: ReceiverHarness, *words: str) -> Callable[[], object]:
    async def is_said() -> bool:
        text = await readiness_text(receiver)
        return all(word in text for word in words)

    return is_said


@pytest.mark.asyncio(loop_scope="module")
async def test_a_webhook_in_another_stream_is_503(receiver: ReceiverHarness) -> None:
    async with receiver.stack.nats_server.client() as client:
        await client.jetstream().add_stream(EVERYTHING)
        # One that goes into it, and one that it refuses: neither is stored.
        body = receiver.new_body()
        assert_unavailable(await receiver.post(body))
        assert_unavailable(await receiver.post(body))
    await eventually(saying(receiver, "EVERYTHING", "remove it"), saying="readiness to name it")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("answer", NO_ANSWERS)
async def test_a_webhook_that_a_subscriber_answers_is_503(
    receiver: ReceiverHarness, answer: bytes
) -> None:
    async with (
        receiver.stack.nats_server.client() as client,
        answering(client, "forebay.raw.>", answer) as seen,
    ):
        body = receiver.new_body()
        assert_unavailable(await receiver.post(body))
        assert body in seen
        await eventually(
            saying(receiver, "remove"), saying="readiness to say that somebody else answers"
        )


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "error", [{"err_code": []}, {"err_code": 10071, "description": "is: " + "9" * 5_000}]
)
async def test_an_error_of_any_shape_is_an_answer(
    receiver: ReceiverHarness, error: dict[str, object]
) -> None:
    answer = json.dumps({"error": error}).encode()
    async with (
        receiver.stack.nats_server.client() as client,
        answering(client, "forebay.raw.>", answer) as seen,
    ):
        body = receiver.new_body()
        assert_unavailable(await receiver.post(body))
        assert body in seen
    assert await receiver.part.metric("forebay_receiver_in_flight_bytes") == 0
    assert not receiver.part.logged("nats_disconnected")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_receiver_whose_probe_another_stream_answers_is_not_ready(tmp_path: Path) -> None:
    receiver = ReceiverHarness(tmp_path)
    async with receiver.stack.nats_server:
        async with receiver.stack.nats_server.client() as client:
            await client.jetstream().add_stream(EVERYTHING)
        receiver.stack.tables.write_routes()
        receiver.part.expect_errors("nats_foreign_answer")
        await receiver.part.start(until_ready=False)
        try:
            await eventually(
                lambda: _waits(receiver, "EVERYTHING"), saying="readiness to say why not"
            )
        finally:
            await receiver.part.close()


async def _waits(receiver: ReceiverHarness, word: str) -> bool:
    try:
        answer = await receiver.part.admin("/readyz")
    except OSError:
        return False
    return answer.status == 503 and word in " ".join(json.loads(answer.body)["waiting_for"])


async def put_in_place_of(client: Client, kind: StreamKind) -> None:
    """Let a stream of another name take what belongs to one, which itself stays."""
    context = client.jetstream()
    config = (await context.stream_info(stream_name(kind, "0"))).config
    await context.update_stream(config.evolve(subjects=[f"elsewhere.{kind}.>"]))
    await context.add_stream(StreamConfig(name="ELSE", subjects=[f"forebay.{kind}.>"]))


@pytest.mark.parametrize(
    ("kind", "status"),
    [(StreamKind.EVENTS, 200), (StreamKind.RETRY, 503), (StreamKind.DEAD, 422)],
    ids=["EVENTS", "RETRY", "DEAD"],
)
async def test_an_item_in_another_stream_is_worked_again_until_its_own_is_there(
    tmp_path: Path, kind: StreamKind, status: int
) -> None:
    async with ProcessorHarness(tmp_path) as processor:
        processor.part.expect_errors("nats_foreign_answer")
        name, key = processor.plain(), token("one")
        await put_in_place_of(processor.client, kind)
        processor.sink.answer_key(key, status)
        await processor.send(name, "one")
        await eventually(
            lambda: processor.part.logged("nats_foreign_answer"), saying="the processor to log it"
        )
        answer = await processor.part.admin("/readyz")
        assert answer.status == 503
        assert b"'ELSE' takes what belongs to" in answer.body
        await processor.client.jetstream().delete_stream("ELSE")
        await processor.stack.provision()
        if kind is StreamKind.DEAD:
            await processor.letter(name, key)
        else:
            await processor.wait_delivered(name, [key], within=30)


async def test_a_dead_letter_stays_where_its_row_went_into_another_stream(
    nats_server: NatsServer,
) -> None:
    async with nats_server.client() as client:
        await ensure_shard(client, SHARD)
        await dead_letter(client, "one")
        await put_in_place_of(client, StreamKind.RETRY)
        letters = DeadLetters(client, ["0"])
        ((letter,),) = [page async for page in letters.find(DeadLetterFilter())]
        with pytest.raises(ForeignAnswer, match="'ELSE' takes what belongs to FOREBAY_RETRY_0"):
            await letters.replay(letter)
        dead = await client.jetstream().stream_info(stream_name(StreamKind.DEAD, "0"))
        assert dead.state.messages == 1


@pytest.mark.parametrize("answer", NO_ANSWERS)
async def test_a_lease_that_a_subscriber_answers_is_not_taken(
    nats_server: NatsServer, answer: bytes
) -> None:
    async with (
        nats_server.client() as client,
        answering(client, lease_subject("0"), answer),
        nats_server.client() as own,
    ):
        with pytest.raises(ForeignAnswer):
            await LeaseStore(own, "0").write(LeaseTable(), 0)
