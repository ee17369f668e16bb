"""Who may come in: all that is asked for has to be right; time does not show what was."""

import base64
import hmac
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.signatures import sign
from forebay.core.tables import (
    Authentication,
    BasicCheck,
    CertificateCheck,
    HeaderCheck,
    SignatureCheck,
)
from forebay_receiver.outcomes import Reason
from forebay_receiver.policies.authentication import Credentials, credentials_of
from forebay_receiver.policies.proxy_certificate_header import CertificateProxy

BODY = b'{"entry": []}'
NAME = "client.webhooks.fbclientcerts.com"
PROXY = CertificateProxy(header=b"x-subject", form="subject")

WAYS: Mapping[str, Authentication] = {
    "headers": Authentication(headers=(HeaderCheck(name="x-token", values=("old", "new")),)),
    "basic": Authentication(
        basic=(
            BasicCheck(username="a", password="old"),
            BasicCheck(username="a", password="new"),
        )
    ),
    "signature": Authentication(
        signature=SignatureCheck(
            header="x-hub-signature-256", prefix="required", secrets=("old", "new")
        )
    ),
    "certificate": Authentication(client_certificate=CertificateCheck(names=(NAME, "b"))),
}


def pair(text: str) -> bytes:
    return b"Basic " + base64.b64encode(text.encode())


GOOD: Mapping[str, tuple[bytes, bytes]] = {
    "headers": (b"x-token", b"new"),
    "basic": (b"authorization", pair("a:new")),
    "signature": (b"x-hub-signature-256", f"sha256={sign('new', BODY)}".encode()),
    "certificate": (b"x-subject", f"CN={NAME}".encode()),
}


def together(ways: set[str]) -> Credentials:
    return credentials_of(
        Authentication(
            headers=WAYS["headers"].headers if "headers" in ways else (),
            basic=WAYS["basic"].basic if "basic" in ways else (),
            signature=WAYS["signature"].signature if "signature" in ways else None,
            client_certificate=(
                WAYS["certificate"].client_certificate if "certificate" in ways else None
            ),
        ),
        PROXY,
    )


def refusal_of(
    credentials: Credentials, headers: Mapping[bytes, bytes], body: bytes = BODY
) -> Reason | None:
    """Make both checks, as for a webhook that comes whole."""
    return credentials.refusal_of_head(headers) or credentials.refusal_of_body(headers, body)


@given(
    st.sets(st.sampled_from(sorted(WAYS)), min_size=1),
    st.sets(st.sampled_from(sorted(WAYS))),
)
def test_all_ways_that_are_asked_for_have_to_hold(asked: set[str], shown: set[str]) -> None:
    refusal = refusal_of(together(asked), dict(GOOD[way] for way in shown))
    assert (refusal is None) == (asked <= shown)


@given(
    st.sets(st.sampled_from(sorted(WAYS)), min_size=1),
    st.dictionaries(
        st.sampled_from([name for name, _ in GOOD.values()]), st.binary(max_size=60), max_size=4
    ),
)
def test_what_nobody_could_know_never_lets_in(asked: set[str], headers: dict[bytes, bytes]) -> None:
    assert isinstance(refusal_of(together(asked), headers), Reason)


@given(st.binary(max_size=200))
def test_any_authorization_is_read_without_an_error(value: bytes) -> None:
    refusal = refusal_of(together({"basic"}), {b"authorization": value})
    assert refusal is Reason.BASIC_WRONG


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=":")))
def test_a_password_may_hold_anything(username: str) -> None:
    password = "pä:ss\tword "
    credentials = credentials_of(
        Authentication(basic=(BasicCheck(username=username, password=password),))
    )
    assert refusal_of(credentials, {b"authorization": pair(f"{username}:{password}")}) is None
    refusal = refusal_of(credentials, {b"authorization": pair(f"{username}:{password} ")})
    assert refusal is Reason.BASIC_WRONG


@pytest.mark.parametrize("wrong", ["x-first", "x-second"])
def test_one_right_header_of_two_lets_nobody_in(wrong: str) -> None:
    names = ("x-first", "x-second")
    credentials = credentials_of(
        Authentication(headers=tuple(HeaderCheck(name=name, values=("it",)) for name in names))
    )
    right = dict.fromkeys((name.encode() for name in names), b"it")
    assert refusal_of(credentials, right) is None
    assert refusal_of(credentials, right | {wrong.encode(): b"not it"}) is Reason.HEADER_WRONG


def test_an_endpoint_without_any_way_lets_nobody_in() -> None:
    # Tables are refused before it comes to this: the second lock on the same door.
    assert refusal_of(credentials_of(Authentication()), {}) is Reason.HEADER_MISSING
    nameless = Authentication(client_certificate=CertificateCheck(names=()))
    headers = dict([GOOD["certificate"]])
    assert refusal_of(credentials_of(nameless, PROXY), headers) is Reason.CERTIFICATE_WRONG


@pytest.mark.parametrize(
    "values",
    [
        {"headers": b"old"},
        {"headers": b"wrong"},
        {"headers": b"a wrong value of another length"},
        {"basic": pair("a:old")},
        {"basic": pair("a:wrong")},
        {"basic": pair("nobody:at all")},
        {"headers": b"wrong", "basic": pair("nobody:x"), "signature": b"sha256=" + b"0" * 64},
        {"signature": f"sha256={sign('old', BODY)}".encode()},
    ],
    ids=str,
)
def test_the_same_work_is_done_whatever_is_wrong(
    values: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = together(set(WAYS))
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def count(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", count)
    assert refusal_of(credentials, dict(GOOD.values())) is None
    usual = compared.copy()
    compared.clear()
    shown = {GOOD[way][0]: values.get(way, GOOD[way][1]) for way in WAYS}
    # Each check by itself: a wrong value ends none of them in its middle.
    credentials.refusal_of_head(shown)
    credentials.refusal_of_body(shown, BODY)
    assert compared == usual
    assert len(usual) == 6


def test_what_stands_in_headers_is_known_without_the_body() -> None:
    credentials = together(set(WAYS))
    for way in WAYS:
        shown = dict(each for name, each in GOOD.items() if name != way)
        assert credentials.refusal_of_head(shown) is not None
    forged = dict(GOOD.values()) | {b"x-hub-signature-256": b"sha256=" + b"0" * 64}
    assert credentials.refusal_of_head(forged) is None
    assert credentials.refusal_of_body(forged, BODY) is Reason.SIGNATURE_WRONG
