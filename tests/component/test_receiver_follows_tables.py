"""A changed table is in force without a restart, and a doubtful one changes nothing."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from forebay.core.tables import Authentication, HeaderCheck, SignatureCheck
from support.edge import ROUTES, Edge, path_of, signed
from support.tables import PATH, route, write_atomically
from support.wait import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

IN_FORCE_SECONDS = 2.0
"""What is promised."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def following(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Edge]:
    """Give a receiver whose tables the tests of this module change."""
    async with Edge(tmp_path_factory.mktemp("following")) as running:
        running.receiver.expect_errors("table_refused")
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def edge(following: Edge) -> AsyncIterator[Edge]:
    """Give that receiver, and let it have its first table again afterwards."""
    yield following
    tables = following.stack.tables
    for file in tables.receiver_folder.glob("[1-9]*.json"):
        file.unlink()
    generation = tables.write_routes(*ROUTES)
    await is_in_force(following, {"0.json": generation})


async def is_in_force(edge: Edge, generations: dict[str, str]) -> None:
    """Wait until the receiver says that it goes by these tables, and by no others."""

    async def told() -> bool:
        answer = await edge.receiver.admin("/routes")
        return bool(json.loads(answer.body)["generations"] == generations)

    await eventually(told, within=IN_FORCE_SECONDS, saying=f"{generations} to be in force")


async def status(edge: Edge, path: str = PATH, secret: str = "example-app-secret") -> int:
    """Send a webhook and return its status."""
    body = edge.new_body()
    return (await edge.post(body, signed(body, secret), path=path)).status


def signature(*secrets: str) -> Authentication:
    check = SignatureCheck(header="x-hub-signature-256", prefix="required", secrets=secrets)
    return Authentication(signature=check)


async def test_a_new_secret_lets_in_and_the_old_one_does_not(edge: Edge) -> None:
    generation = edge.stack.tables.write_routes(route(authentication=signature("next")))
    await is_in_force(edge, {"0.json": generation})
    assert await status(edge, secret="next") == 200
    assert await status(edge) == 401


async def test_an_endpoint_of_another_file_is_served_until_the_file_goes(edge: Edge) -> None:
    before = json.loads((await edge.receiver.admin("/routes")).body)["generations"]
    generation = edge.stack.tables.write_routes(route("demo/new"), file="1.json")
    await is_in_force(edge, {**before, "1.json": generation})
    assert await status(edge, path_of("new")) == 200
    (edge.stack.tables.receiver_folder / "1.json").unlink()
    await is_in_force(edge, before)
    assert await status(edge, path_of("new")) == 404
    assert await status(edge) == 200


@pytest.mark.parametrize(
    "authentication",
    [
        Authentication(),
        Authentication(headers=(HeaderCheck(name="authorization", values=("",)),)),
        Authentication(headers=(HeaderCheck(name="authorization", values=()),)),
        signature("good", ""),
    ],
    ids=["no authentication", "empty header", "no value", "empty second secret"],
)
async def test_a_table_with_an_empty_secret_is_refused_and_the_one_before_stays(
    edge: Edge, authentication: Authentication
) -> None:
    told = len(edge.receiver.logged("table_refused"))
    edge.stack.tables.write_routes(route("demo/bad", authentication=authentication))
    await eventually(
        lambda: len(edge.receiver.logged("table_refused")) > told, saying="the table to be refused"
    )
    record = edge.receiver.logged("table_refused")[-1]
    assert record["file"] == "0.json"
    assert record["reason"].startswith("endpoint demo/bad: ")
    assert await status(edge, path_of("bad")) == 404
    assert await status(edge) == 200


async def test_a_file_that_is_no_table_is_refused_and_the_others_are_served(edge: Edge) -> None:
    told = len(edge.receiver.logged("table_refused"))
    write_atomically(edge.stack.tables.receiver_folder / "1.json", b"{odd")
    await eventually(
        lambda: len(edge.receiver.logged("table_refused")) > told, saying="the file to be refused"
    )
    assert await status(edge) == 200


async def test_a_webhook_that_is_under_way_survives_a_change(edge: Edge) -> None:
    edge.stack.nats_server.freeze()
    generation = edge.stack.tables.write_routes(route("demo/new"))
    await is_in_force(edge, {"0.json": generation})
    edge.stack.nats_server.thaw()
    assert await status(edge, path_of("new")) == 200
    assert await status(edge) == 404
