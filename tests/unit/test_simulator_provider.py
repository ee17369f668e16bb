"""Webhooks carry the headers that the provider sends."""

import pytest

from forebay.core.providers.names import SimulatedName
from forebay_simulator.provider_headers import ProviderHeaders
from support.inputs.corpus import PAYLOADS, VECTORS, Vector

PROVIDERS: dict[str, SimulatedName] = {
    "X-Hub-Signature-256": "meta",
    "x-360dialog-signature": "360dialog",
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.payload)
def test_signatures_are_those_of_the_corpus(vector: Vector) -> None:
    headers = ProviderHeaders(PROVIDERS[vector.header], vector.secret, ())
    lines = headers.for_body(PAYLOADS[vector.payload].body).decode().split("\r\n")
    assert f"{vector.header}: {vector.value}" in lines


def test_without_a_secret_nothing_is_signed() -> None:
    assert b"ignature" not in ProviderHeaders("meta", None, ()).for_body(b"{}")


def test_headers_of_the_user_are_sent_and_go_before_the_own_ones() -> None:
    given = (("Authorization", "Bearer example-token"), ("content-type", "text/plain"))
    lines = ProviderHeaders("360dialog", None, given).for_body(b"{}").decode().split("\r\n")
    assert lines == [
        "User-Agent: forebay-simulator",
        "Authorization: Bearer example-token",
        "content-type: text/plain",
        "",
    ]
