"""Who cannot show every credential gets 401 without a text, and nothing is stored."""

import json
from pathlib import Path

import pytest

from forebay.core.signatures import sign
from support.inputs.corpus import APP_SECRET, PLATFORM_SECRET
from support.receiver.receiver_harness import (
    CERTIFICATE_HEADER,
    CERTIFICATE_NAME,
    OLD_PASSWORD,
    OLD_SECRET,
    OLD_TOKEN,
    PASSWORD,
    TOKEN,
    ReceiverHarness,
    basic,
    path_of,
    signed,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = b'{"entry": []}'
META, D360 = "X-Hub-Signature-256", "x-360dialog-signature"
GOOD = signed(BODY)[META]
CERTIFIED = {CERTIFICATE_HEADER: f"CN={CERTIFICATE_NAME},O=Meta Platforms\\, Inc.,C=US"}
ALL = {**CERTIFIED, **basic(), "X-Token": TOKEN, **signed(BODY)}
"""What lets a webhook in where everything is asked for."""


def without(name: str) -> dict[str, str]:
    return {each: value for each, value in ALL.items() if each != name}


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
        ("basic", {}, "basic_missing"),
        ("basic", signed(BODY), "basic_missing"),
        ("basic", {"Authorization": TOKEN}, "basic_wrong"),
        ("basic", {"Authorization": "Basic"}, "basic_wrong"),
        ("basic", {"Authorization": "Basic \xe9"}, "basic_wrong"),
        ("basic", {"Authorization": f"Basic {PASSWORD}"}, "basic_wrong"),
        ("basic", {"Authorization": basic()["Authorization"][:-1]}, "basic_wrong"),
        ("basic", {"Authorization": f"{basic()['Authorization']}, Basic"}, "basic_wrong"),
        ("basic", basic("provider", "wrong"), "basic_wrong"),
        ("basic", basic("nobody"), "basic_wrong"),
        ("basic", basic("auditor"), "basic_wrong"),
        ("basic", basic("", ""), "basic_wrong"),
        ("basic", basic("provider:example", "password "), "basic_wrong"),
        ("certified", {}, "certificate_missing"),
        ("certified", {CERTIFICATE_HEADER: ""}, "certificate_missing"),
        (
            "certified",
            {"x-forwarded-client-cert": f"DNS={CERTIFICATE_NAME}"},
            "certificate_missing",
        ),
        ("certified", signed(BODY), "certificate_missing"),
        ("certified", {CERTIFICATE_HEADER: "CN=somebody.example.com"}, "certificate_wrong"),
        ("certified", {CERTIFICATE_HEADER: CERTIFICATE_NAME}, "certificate_wrong"),
        ("certified", {CERTIFICATE_HEADER: f"O={CERTIFICATE_NAME}"}, "certificate_wrong"),
        ("certified", {CERTIFICATE_HEADER: f"CN=a,CN={CERTIFICATE_NAME}"}, "certificate_wrong"),
        ("certified", {CERTIFICATE_HEADER: f"CN={CERTIFICATE_NAME}.evil.com"}, "certificate_wrong"),
        ("everything", {}, "certificate_missing"),
        ("everything", without(CERTIFICATE_HEADER), "certificate_missing"),
        ("everything", without("Authorization"), "basic_missing"),
        ("everything", without("X-Token"), "header_missing"),
        ("everything", without(META), "signature_missing"),
        ("everything", {**ALL, CERTIFICATE_HEADER: "CN=a"}, "certificate_wrong"),
        ("everything", {**ALL, **basic("nobody")}, "basic_wrong"),
        ("everything", {**ALL, "X-Token": OLD_TOKEN}, "header_wrong"),
        ("everything", {**ALL, **signed(BODY, "wrong")}, "signature_wrong"),
    ],
)
async def test_a_credential_that_is_missing_or_wrong_is_401(
    receiver: ReceiverHarness, name: str, headers: dict[str, str], reason: str
) -> None:
    before = await receiver.refused(reason)
    async with receiver.nothing_stored():
        answer = await receiver.post(BODY, headers, path=path_of(name))
    assert (answer.status, answer.body) == (401, b"")
    assert await receiver.refused(reason) == before + 1


@pytest.mark.parametrize(
    ("name", "live"),
    [
        ("d360", [{"Authorization": TOKEN}, {"Authorization": OLD_TOKEN}]),
        ("rotated", [OLD_SECRET, APP_SECRET]),
        ("basic", [basic(), basic(password=OLD_PASSWORD)]),
        ("basic", [{"Authorization": basic()["Authorization"].replace("Basic", "bAsIc ")}]),
        ("certified", [CERTIFIED, {CERTIFICATE_HEADER: "O=x,CN=HOOKS.example.net"}]),
        ("open", [{}, {"Authorization": "whatever"}]),
    ],
)
async def test_any_of_several_live_values_lets_in(
    receiver: ReceiverHarness, name: str, live: list[dict[str, str] | str]
) -> None:
    for value in live:
        body = receiver.new_body()
        headers = signed(body, value) if isinstance(value, str) else value
        assert (await receiver.post(body, headers, path=path_of(name))).status == 200


async def test_all_that_is_asked_for_together_lets_in(receiver: ReceiverHarness) -> None:
    body = receiver.new_body()
    answer = await receiver.post(body, {**ALL, **signed(body)}, path=path_of("everything"))
    assert answer.status == 200


async def test_a_header_given_twice_is_believed_in_neither_form(receiver: ReceiverHarness) -> None:
    # A proxy that adds its header to the client's; `send` of a client library would merge them.
    (name, value), *_ = CERTIFIED.items()
    lines = f"{name}: {value}\r\n{name}: CN=somebody.example.com"
    async with receiver.nothing_stored():
        answer = await receiver.post(BODY, {"X-Any": f"1\r\n{lines}"}, path=path_of("certified"))
    assert answer.status == 401


async def test_refusals_are_the_same_whatever_was_wrong(receiver: ReceiverHarness) -> None:
    answers = [
        await receiver.post(BODY, headers, path=path_of("everything"))
        for headers in (
            {},
            basic(),
            without(META),
            {**ALL, "X-Token": ""},
            {**ALL, META: GOOD[:-1]},
        )
    ]
    assert len({(each.status, each.body, tuple(each.headers.items())) for each in answers}) == 1


async def test_no_header_stands_for_a_certificate_unless_a_setting_names_it(tmp_path: Path) -> None:
    off = {"FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER": ""}
    async with ReceiverHarness(tmp_path, **off) as receiver, receiver.nothing_stored():
        for name, headers in (("certified", CERTIFIED), ("everything", ALL)):
            assert (await receiver.post(BODY, headers, path=path_of(name))).status == 401
        assert await receiver.refused("certificate_off") == 2
        (line,) = receiver.part.logged("client_certificates_off")
        assert (line["endpoints"], line["count"]) == (["demo/certified", "demo/everything"], 2)
        assert "set FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER" in line["fix"]
        ready = json.loads((await receiver.part.admin("/readyz")).body)
        assert ready["ok"]
        (warning,) = [each for each in ready["warnings"] if "certificate" in each]
        assert "2 endpoints ask for a client certificate" in warning


async def test_a_certificate_that_failed_beside_the_header_is_refused(tmp_path: Path) -> None:
    verified = {"FOREBAY_RECEIVER_CLIENT_CERTIFICATE_VERIFIED": "SSL-Client-Verify=SUCCESS"}
    async with ReceiverHarness(tmp_path, **verified) as receiver:
        for verdict, status in (
            ({"ssl-client-verify": "SUCCESS"}, 200),
            ({"ssl-client-verify": "FAILED:self-signed certificate"}, 401),
            ({"ssl-client-verify": "NONE"}, 401),
            ({}, 401),
        ):
            answer = await receiver.post(
                receiver.new_body(), {**CERTIFIED, **verdict}, path=path_of("certified")
            )
            assert answer.status == status


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("name", CERTIFICATE_NAME),
        ("xfcc", f'Hash=ab12;Subject="CN={CERTIFICATE_NAME},O=Meta Platforms\\, Inc.";URI='),
        ("traefik", f"Subject%3D%22CN%3D{CERTIFICATE_NAME}%22"),
    ],
)
async def test_the_forms_of_other_proxies(tmp_path: Path, form: str, value: str) -> None:
    settings = {
        "FOREBAY_RECEIVER_CLIENT_CERTIFICATE_HEADER": "X-Client",
        "FOREBAY_RECEIVER_CLIENT_CERTIFICATE_FORM": form,
    }
    async with ReceiverHarness(tmp_path, **settings) as receiver:
        path = path_of("certified")
        assert (
            await receiver.post(receiver.new_body(), {"x-client": value}, path=path)
        ).status == 200
        assert (await receiver.post(receiver.new_body(), CERTIFIED, path=path)).status == 401


@pytest.mark.parametrize("prefix", ["", "sha256="])
async def test_360dialog_s_signature_may_have_a_prefix(
    receiver: ReceiverHarness, prefix: str
) -> None:
    body = receiver.new_body()
    headers = {"Authorization": TOKEN, D360: prefix + sign(PLATFORM_SECRET, body)}
    assert (await receiver.post(body, headers, path=path_of("partner"))).status == 200


@pytest.mark.parametrize("name", ["x-hub-signature-256", "X-HUB-SIGNATURE-256"])
async def test_the_name_of_a_header_may_be_in_any_case(
    receiver: ReceiverHarness, name: str
) -> None:
    body = receiver.new_body()
    assert (await receiver.post(body, {name: signed(body)[META].upper()})).status == 401
    assert (await receiver.post(body, {name: signed(body)[META]})).status == 200


async def test_a_refused_webhook_leaves_the_connection_open(receiver: ReceiverHarness) -> None:
    answer = await receiver.post(BODY, {})
    assert "connection" not in answer.headers
