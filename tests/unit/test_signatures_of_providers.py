"""A signature holds exactly where it is the body's, under a secret that is live."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.providers.names import ProviderName
from forebay.core.signatures import (
    HASHED_AT_ONCE,
    Signatures,
    sign,
    signature_check,
    signature_holds,
)
from forebay.core.tables import SignatureCheck
from support.inputs.corpus import APP_SECRET, VECTORS, Vector, payload

BODY = payload("messages-text").body
META = signature_check("meta", (APP_SECRET,))
DIALOG360 = signature_check("360dialog", (APP_SECRET,))
GOOD = sign(APP_SECRET, BODY)


LARGE = bytes(range(256)) * (2 * HASHED_AT_ONCE // 256) + b"end"
LARGE_GOOD = sign(APP_SECRET, LARGE)


def holds_in_pieces(check: SignatureCheck, given: str, body: bytes) -> bool:
    """Ask as for a large body."""
    steps = Signatures(check).holding(given.encode(), body)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return bool(end.value)


def check_of(vector: Vector) -> SignatureCheck:
    provider: ProviderName = "360dialog" if "360dialog" in vector.header else "meta"
    return signature_check(provider, (vector.secret,))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.payload)
def test_the_vectors_of_the_corpus_hold(vector: Vector) -> None:
    check = check_of(vector)
    assert check.header == vector.header.lower()
    assert signature_holds(check, vector.value, payload(vector.payload).body)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.payload)
def test_one_changed_byte_of_the_body_breaks_a_vector(vector: Vector) -> None:
    body = payload(vector.payload).body
    assert not signature_holds(check_of(vector), vector.value, body.rstrip(b"\n"))
    assert not signature_holds(check_of(vector), vector.value, body.replace(b"1", b"2", 1))


def test_meta_s_signature_needs_its_prefix() -> None:
    assert signature_holds(META, f"sha256={GOOD}", BODY)
    assert not signature_holds(META, GOOD, BODY)


def test_360dialog_s_signature_holds_with_and_without_the_prefix() -> None:
    assert signature_holds(DIALOG360, f"sha256={GOOD}", BODY)
    assert signature_holds(DIALOG360, GOOD, BODY)


def test_a_generic_provider_signs_as_meta_does() -> None:
    assert signature_check("generic", ("s",)) == signature_check("meta", ("s",))


def test_upper_case_digits_are_the_same_digits() -> None:
    assert signature_holds(META, f"sha256={GOOD.upper()}", BODY)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "sha256=",
        f"sha256={GOOD[:-1]}",
        f"sha256={GOOD}0",
        f"sha256={GOOD[:-1]}{'0' if GOOD[-1] != '0' else '1'}",
        f"SHA256={GOOD}",
        f"sha1={GOOD}",
        f" sha256={GOOD}",
        f"sha256=sha256={GOOD}",
        f"sha256={'é' * 64}",
        f"sha256={chr(0xFF10) * 64}",
        f"sha256={'İ' * 64}",
        f"sha256={'z' * 64}",
    ],
)
def test_anything_else_does_not_hold(given: str | None) -> None:
    assert not signature_holds(META, given, BODY)


def test_any_of_several_live_secrets_holds() -> None:
    check = signature_check("meta", ("new", APP_SECRET, "old"))
    for secret in ("new", APP_SECRET, "old"):
        assert signature_holds(check, f"sha256={sign(secret, BODY)}", BODY)
    assert not signature_holds(check, f"sha256={sign('retired', BODY)}", BODY)


def test_no_secret_lets_nobody_in() -> None:
    assert not signature_holds(signature_check("meta", ()), f"sha256={sign('', BODY)}", BODY)


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_whatever_is_signed_holds(body: bytes, secret: str) -> None:
    check = signature_check("360dialog", (secret,))
    assert signature_holds(check, sign(secret, body), body)


@given(st.text(), st.binary())
def test_no_value_of_the_header_is_an_error(value: str, body: bytes) -> None:
    assert not signature_holds(META, value, body)


@pytest.mark.parametrize("length", [1, 32, 63, 64, 65, 128, 500])
@given(body=st.binary(max_size=300))
def test_it_is_the_hmac_of_the_standard_library(length: int, body: bytes) -> None:
    # RFC 2104 has another rule for a key above 64 bytes.
    secret = "k" * length
    digest = hmac.new(secret.encode(), body, "sha256").hexdigest()
    check = signature_check("meta", (secret,))
    assert signature_holds(check, f"sha256={digest}", body)
    assert not signature_holds(check, f"sha256={digest}", body + b"\n")


@pytest.mark.parametrize("more", [-HASHED_AT_ONCE, -1, 0, 1, HASHED_AT_ONCE])
def test_a_body_that_is_hashed_in_pieces_has_the_signature_of_the_whole(more: int) -> None:
    body = (LARGE * 2)[: 2 * HASHED_AT_ONCE + more]
    assert holds_in_pieces(META, f"sha256={sign(APP_SECRET, body)}", body)
    assert not holds_in_pieces(META, f"sha256={sign(APP_SECRET, body)}", body + b"x")
    assert not holds_in_pieces(META, f"sha256={sign(APP_SECRET, body)}", body[:-1])


@pytest.mark.parametrize(
    "given", ["", "sha256=", LARGE_GOOD, f"sha256={LARGE_GOOD[:-2]}", f"sha256={LARGE_GOOD[:2]}"]
)
def test_anything_else_does_not_hold_for_a_large_body(given: str) -> None:
    assert holds_in_pieces(META, f"sha256={LARGE_GOOD}", LARGE)
    assert not holds_in_pieces(META, given, LARGE)


def test_any_of_several_live_secrets_holds_for_a_large_body() -> None:
    check = signature_check("meta", ("new", APP_SECRET, "old"))
    for secret in ("new", APP_SECRET, "old"):
        assert holds_in_pieces(check, f"sha256={sign(secret, LARGE)}", LARGE)
    assert not holds_in_pieces(check, f"sha256={sign('retired', LARGE)}", LARGE)
