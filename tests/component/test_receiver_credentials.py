"""Who cannot show every credential gets 401 without a text, and nothing is stored."""

import pytest

from forebay.core.signatures import sign
from support.corpus import APP_SECRET, PLATFORM_SECRET
from support.edge import OLD_SECRET, OLD_TOKEN, TOKEN, Edge, path_of, signed

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = b'{"entry": []}'
META, D360 = "X-Hub-Signature-256", "x-360dialog-signature"
GOOD = signed(BODY)[META]


@pytest.mark.parametrize(
    ("name", "headers", "reason"),
    [
        ("meta", {}, "signature_missing"),
        ("meta", {META: ""}, "signature_wrong"),
        ("meta", {META: "sha256="}, "signature_wrong"),
        ("meta", {META: GOOD.removeprefix("sha256=")}, "signature_wrong"),
        ("meta", {META: GOOD[:-1]}, "signature_wrong"),
        ("meta", {META: GOOD + "0"}, "signature_wrong"),
        ("meta", {META: "sha256=" + "\xe9" * 64}, "signature_wrong"),
        ("meta", signed(BODY + b" "), "signature_wrong"),
        ("meta", signed(BODY, "another-secret"), "signature_wrong"),
        ("meta", {D360: GOOD}, "signature_missing"),
        ("meta", {"Authorization": TOKEN}, "signature_missing"),
        ("d360", {}, "header_missing"),
        ("d360", {"Authorization": ""}, "header_wrong"),
        ("d360", {"Authorization": "Bearer wrong"}, "header_wrong"),
        ("d360", {"Authorization": TOKEN.lower()}, "header_wrong"),
        ("d360", {"Authorization": TOKEN + "x"}, "header_wrong"),
        ("d360", {"Authorization": TOKEN[:-1]}, "header_wrong"),
        ("d360", {"Authorization": f"{TOKEN}, {OLD_TOKEN}"}, "header_wrong"),
        ("d360", {"Authorization": "\xe9\xff"}, "header_wrong"),
        ("d360", signed(BODY), "header_missing"),
        ("partner", {"Authorization": TOKEN}, "signature_missing"),
        ("partner", {D360: sign(PLATFORM_SECRET, BODY)}, "header_missing"),
        ("partner", {"Authorization": TOKEN, D360: sign(APP_SECRET, BODY)}, "signature_wrong"),
        ("rotated", signed(BODY, "a-secret-that-was-retired"), "signature_wrong"),
    ],
)
async def test_a_credential_that_is_missing_or_wrong_is_401(
    edge: Edge, name: str, headers: dict[str, str], reason: str
) -> None:
    before = await edge.refused(reason)
    async with edge.nothing_stored():
        answer = await edge.post(BODY, headers, path=path_of(name))
    assert (answer.status, answer.body) == (401, b"")
    assert await edge.refused(reason) == before + 1


@pytest.mark.parametrize(
    ("name", "live"),
    [
        ("d360", [{"Authorization": TOKEN}, {"Authorization": OLD_TOKEN}]),
        ("rotated", [OLD_SECRET, APP_SECRET]),
        ("open", [{}, {"Authorization": "whatever"}]),
    ],
)
async def test_any_of_several_live_values_lets_in(
    edge: Edge, name: str, live: list[dict[str, str] | str]
) -> None:
    for value in live:
        body = edge.new_body()
        headers = signed(body, value) if isinstance(value, str) else value
        assert (await edge.post(body, headers, path=path_of(name))).status == 200


@pytest.mark.parametrize("prefix", ["", "sha256="])
async def test_360dialog_s_signature_may_have_a_prefix(edge: Edge, prefix: str) -> None:
    body = edge.new_body()
    headers = {"Authorization": TOKEN, D360: prefix + sign(PLATFORM_SECRET, body)}
    assert (await edge.post(body, headers, path=path_of("partner"))).status == 200


@pytest.mark.parametrize("name", ["x-hub-signature-256", "X-HUB-SIGNATURE-256"])
async def test_the_name_of_a_header_may_be_in_any_case(edge: Edge, name: str) -> None:
    body = edge.new_body()
    assert (await edge.post(body, {name: signed(body)[META].upper()})).status == 401
    assert (await edge.post(body, {name: signed(body)[META]})).status == 200


async def test_a_refused_webhook_leaves_the_connection_open(edge: Edge) -> None:
    answer = await edge.post(BODY, {})
    assert "connection" not in answer.headers
