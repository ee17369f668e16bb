"""A changed table is in force without a restart, and a doubtful one changes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from forebay.core.tables import Authentication, HeaderCheck, SignatureCheck
from support.corpus import APP_SECRET
from support.edge import Edge, path_of, signed
from support.tables import route, write_atomically
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

IN_FORCE_SECONDS = 2.0
"""What is promised."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Give a receiver of this module; each test has table files and endpoints of its own."""
    async with Edge(tmp_path_factory.mktemp("tables")) as running:
        running.receiver.expect_errors("table_refused")
        yield running


async def is_in_force(edge: Edge, file: str, generation: str | None) -> None:
    """Wait until the receiver says that it goes by this generation of a file; None: it is gone."""

    async def told() -> bool:
        answer = await edge.receiver.admin("/routes")
        return bool(json.loads(answer.body)["generations"].get(file) == generation)

    await eventually(told, within=IN_FORCE_SECONDS, saying=f"{file} to be in force")


async def serve(edge: Edge, *names: str, file: str, secret: str = APP_SECRET) -> None:
    """Write a table of some endpoints, and wait until it is in force."""
    routes = [route(f"demo/{name}", authentication=signature(secret)) for name in names]
    generation = edge.stack.tables.write_routes(*routes, file=file)
    await is_in_force(edge, file, generation)


async def status(edge: Edge, name: str, secret: str = APP_SECRET) -> int:
    """Send a webhook and return its status."""
    body = edge.new_body()
    return (await edge.post(body, signed(body, secret), path=path_of(name))).status


def signature(*secrets: str) -> Authentication:
    check = SignatureCheck(header="x-hub-signature-256", prefix="required", secrets=secrets)
    return Authentication(signature=check)


async def test_a_new_secret_lets_in_and_the_old_one_does_not(edge: Edge) -> None:
    await serve(edge, "changing", file="changing.json")
    assert await status(edge, "changing") == 200
    await serve(edge, "changing", file="changing.json", secret="next")
    assert await status(edge, "changing", secret="next") == 200
    assert await status(edge, "changing") == 401


async def test_an_endpoint_goes_with_its_file_and_others_stay(edge: Edge) -> None:
    await serve(edge, "going", file="going.json")
    assert await status(edge, "going") == 200
    (edge.stack.tables.receiver_folder / "going.json").unlink()
    await is_in_force(edge, "going.json", None)
    assert await status(edge, "going") == 404
    assert await status(edge, "meta") == 200


BAD = {
    "none": Authentication(),
    "empty": Authentication(headers=(HeaderCheck(name="authorization", values=("",)),)),
    "no-value": Authentication(headers=(HeaderCheck(name="authorization", values=()),)),
    "second": signature("good", ""),
}


async def test_a_table_with_an_empty_secret_is_refused_and_the_one_before_stays(
    edge: Edge,
) -> None:
    await asyncio.gather(*(serve(edge, name, file=f"{name}.json") for name in BAD))
    for name, authentication in BAD.items():
        bad = route(f"demo/{name}", authentication=authentication)
        edge.stack.tables.write_routes(bad, route("demo/beside"), file=f"{name}.json")
    reasons = await refusals(edge, *(f"{name}.json" for name in BAD))
    for name in BAD:
        assert reasons[f"{name}.json"].startswith(f"endpoint demo/{name}: ")
        assert await status(edge, name) == 200
    assert await status(edge, "beside") == 404


async def test_a_file_that_is_no_table_is_refused_and_the_others_are_served(edge: Edge) -> None:
    write_atomically(edge.stack.tables.receiver_folder / "odd.json", b"{odd")
    reasons = await refusals(edge, "odd.json")
    assert reasons["odd.json"].startswith("this is no ReceiverTable")
    assert await status(edge, "meta") == 200


async def refusals(edge: Edge, *files: str) -> dict[str, str]:
    """Wait until all these files are refused, and return what the log says of each."""

    def told() -> dict[str, str]:
        records = edge.receiver.logged("table_refused")
        found = {record["file"]: str(record["reason"]) for record in records}
        return found if found.keys() >= set(files) else {}

    return await eventually(told, within=IN_FORCE_SECONDS, saying=f"{files} to be refused")


async def test_a_webhook_that_is_under_way_survives_a_change(edge: Edge) -> None:
    await serve(edge, "under-way", file="under-way.json")
    edge.stack.nats_server.freeze()
    sending = asyncio.create_task(status(edge, "under-way"))
    await eventually(lambda: is_in_flight(edge), saying="the webhook to be in flight")
    await serve(edge, "under-way", file="under-way.json", secret="next")
    edge.stack.nats_server.thaw()
    assert await sending == 200


async def is_in_flight(edge: Edge) -> bool:
    return bool(json.loads((await edge.receiver.admin("/load")).body)["in_flight"] == 1)
