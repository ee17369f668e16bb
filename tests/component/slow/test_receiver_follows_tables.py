"""A changed table is in force without a restart, and a doubtful one changes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from forebay.core.tables import Authentication, HeaderCheck, SignatureCheck
from support.inputs.corpus import APP_SECRET
from support.inputs.tables import route, write_atomically
from support.receiver.receiver_harness import ReceiverHarness, path_of, signed
from support.timing.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

IN_FORCE_SECONDS = 2.0
"""What is promised."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReceiverHarness]:
    """Give a receiver of this module; each test has table files and endpoints of its own."""
    async with ReceiverHarness(tmp_path_factory.mktemp("tables")) as running:
        running.part.expect_errors("table_refused")
        yield running


async def is_in_force(receiver: ReceiverHarness, file: str, generation: str | None) -> None:
    """Wait until the receiver says that it goes by this generation of a file; None: it is gone."""

    async def shown() -> bool:
        answer = await receiver.part.admin("/routes")
        return bool(json.loads(answer.body)["generations"].get(file) == generation)

    await eventually(shown, within=IN_FORCE_SECONDS, saying=f"{file} to be in force")


async def serve(
    receiver: ReceiverHarness, *names: str, file: str, secret: str = APP_SECRET
) -> None:
    """Write a table of some endpoints, and wait until it is in force."""
    routes = [route(f"demo/{name}", authentication=signature(secret)) for name in names]
    generation = receiver.stack.tables.write_routes(*routes, file=file)
    await is_in_force(receiver, file, generation)


async def status(receiver: ReceiverHarness, name: str, secret: str = APP_SECRET) -> int:
    """Send a webhook and return its status."""
    body = receiver.new_body()
    return (await receiver.post(body, signed(body, secret), path=path_of(name))).status


def signature(*secrets: str) -> Authentication:
    check = SignatureCheck(header="x-hub-signature-256", prefix="required", secrets=secrets)
    return Authentication(signature=check)


async def test_a_new_secret_lets_in_and_the_old_one_does_not(receiver: ReceiverHarness) -> None:
    await serve(receiver, "changing", file="changing.json")
    assert await status(receiver, "changing") == 200
    await serve(receiver, "changing", file="changing.json", secret="next")
    assert await status(receiver, "changing", secret="next") == 200
    assert await status(receiver, "changing") == 401


async def test_an_endpoint_goes_with_its_file_and_others_stay(receiver: ReceiverHarness) -> None:
    await serve(receiver, "going", file="going.json")
    assert await status(receiver, "going") == 200
    (receiver.stack.tables.receiver_folder / "going.json").unlink()
    await is_in_force(receiver, "going.json", None)
    assert await status(receiver, "going") == 404
    assert await status(receiver, "meta") == 200


BAD = {
    "none": Authentication(),
    "empty": Authentication(headers=(HeaderCheck(name="authorization", values=("",)),)),
    "no-value": Authentication(headers=(HeaderCheck(name="authorization", values=()),)),
    "second": signature("good", ""),
}


async def test_a_table_with_an_empty_secret_is_refused_and_the_one_before_stays(
    receiver: ReceiverHarness,
) -> None:
    await asyncio.gather(*(serve(receiver, name, file=f"{name}.json") for name in BAD))
    for name, authentication in BAD.items():
        bad = route(f"demo/{name}", authentication=authentication)
        receiver.stack.tables.write_routes(bad, route("demo/beside"), file=f"{name}.json")
    reasons = await refusals(receiver, *(f"{name}.json" for name in BAD))
    for name in BAD:
        assert reasons[f"{name}.json"].startswith(f"endpoint demo/{name}: ")
        assert await status(receiver, name) == 200
    assert await status(receiver, "beside") == 404


async def test_a_file_that_is_no_table_is_refused_and_the_others_are_served(
    receiver: ReceiverHarness,
) -> None:
    write_atomically(receiver.stack.tables.receiver_folder / "odd.json", b"{odd")
    reasons = await refusals(receiver, "odd.json")
    assert reasons["odd.json"].startswith("this is no ReceiverTable")
    assert await status(receiver, "meta") == 200


async def refusals(receiver: ReceiverHarness, *files: str) -> dict[str, str]:
    """Wait until all these files are refused, and return what the log says of each."""

    def shown() -> dict[str, str]:
        records = receiver.part.logged("table_refused")
        found = {record["file"]: str(record["reason"]) for record in records}
        return found if found.keys() >= set(files) else {}

    return await eventually(shown, within=IN_FORCE_SECONDS, saying=f"{files} to be refused")


async def test_a_webhook_that_is_under_way_survives_a_change(receiver: ReceiverHarness) -> None:
    await serve(receiver, "under-way", file="under-way.json")
    receiver.stack.nats_server.freeze()
    sending = asyncio.create_task(status(receiver, "under-way"))
    await eventually(lambda: is_in_flight(receiver), saying="the webhook to be in flight")
    await serve(receiver, "under-way", file="under-way.json", secret="next")
    receiver.stack.nats_server.thaw()
    assert await sending == 200


async def is_in_flight(receiver: ReceiverHarness) -> bool:
    return bool(json.loads((await receiver.part.admin("/load")).body)["in_flight"] == 1)
