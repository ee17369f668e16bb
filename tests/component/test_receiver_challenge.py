"""Meta's GET challenge: answered with the challenge, for whoever knows the verify token."""

from urllib.parse import urlencode

import pytest

from support.inputs.tables import PATH, VERIFY_TOKEN
from support.receiver.raw_http import connect, request_bytes
from support.receiver.receiver_harness import ReceiverHarness, path_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


def asking(path: str = PATH, /, **changes: str | None) -> str:
    """Return the address of a challenge; None takes a parameter away."""
    query = {
        "hub.mode": "subscribe",
        "hub.verify_token": VERIFY_TOKEN,
        "hub.challenge": "1158201444",
        **{f"hub.{name}": value for name, value in changes.items()},
    }
    return f"{path}?{urlencode({name: text for name, text in query.items() if text is not None})}"


async def test_the_right_token_gets_the_challenge_as_text(receiver: ReceiverHarness) -> None:
    answer = await receiver.get(asking())
    assert (answer.status, answer.body) == (200, b"1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_any_of_several_live_tokens_will_do(receiver: ReceiverHarness) -> None:
    for token in (VERIFY_TOKEN, "example-token-of-next-year"):
        answer = await receiver.get(asking(path_of("rotated"), verify_token=token))
        assert answer.status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"verify_token": "wrong"},
        {"verify_token": ""},
        {"verify_token": None},
        {"verify_token": "é"},
        {"mode": "unsubscribe"},
        {"mode": None},
        {"challenge": None},
        {"challenge": "x" * 2_000},
    ],
    ids=str,
)
async def test_anything_else_is_403_without_a_text(
    receiver: ReceiverHarness, changes: dict[str, str | None]
) -> None:
    before = await receiver.refused("verify_token")
    answer = await receiver.get(asking(**changes))
    assert (answer.status, answer.body) == (403, b"")
    assert await receiver.refused("verify_token") == before + 1


async def test_markup_in_a_challenge_is_only_text(receiver: ReceiverHarness) -> None:
    answer = await receiver.get(asking(challenge="<script>1</script>"))
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body == b"<script>1</script>"


async def test_an_endpoint_without_a_token_has_no_challenge(receiver: ReceiverHarness) -> None:
    answer = await receiver.get(asking(path_of("d360")))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_no_endpoint_has_no_challenge(receiver: ReceiverHarness) -> None:
    assert (await receiver.get(asking(path_of("nobody")))).status == 404


async def test_a_verify_token_lets_no_webhook_in(receiver: ReceiverHarness) -> None:
    async with receiver.nothing_stored():
        answer = await receiver.post(receiver.new_body(), {}, path=asking())
        assert answer.status == 401


async def test_a_challenge_on_the_connection_of_a_webhook_is_answered(
    receiver: ReceiverHarness,
) -> None:
    body = receiver.new_body()
    async with connect(receiver.part.port) as connection:
        await connection.send(request_bytes("POST", path_of("open"), body=body))
        assert (await connection.response()).status == 200
        await connection.send(request_bytes("GET", asking()))
        assert (await connection.response()).body == b"1158201444"
