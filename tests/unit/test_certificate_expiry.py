"""When certificates end is read as openssl wrote it, and what is none is no error."""

import ssl
import time
from pathlib import Path

import pytest

from forebay.runtime.certificate_expiry import end_of, first_end
from support.programs.authority import Authority

DAY = 86400


def test_an_authority_ends_when_it_was_made_to(tmp_path: Path) -> None:
    end = first_end(Authority(tmp_path).pem)
    assert end is not None
    assert 1.9 * DAY < end - time.time() < 2.1 * DAY


def test_of_several_the_first_end_counts(tmp_path: Path) -> None:
    first, other = Authority(tmp_path / "a", days=2), Authority(tmp_path / "b", "other", days=9)
    assert first_end(other.pem + first.pem) == first_end(first.pem)
    assert first_end(other.pem) != first_end(first.pem)


def test_the_same_authorities_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = Authority(tmp_path).pem
    end = first_end(pem)
    monkeypatch.delattr(ssl, "SSLContext")
    assert first_end(pem) == end


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAA=="])
def test_what_is_no_certificate_has_no_end(text: str) -> None:
    assert first_end(text) is None


def odd(authority: Authority, field: bytes, becomes: bytes) -> str:
    """Return its certificate with some bytes replaced: OpenSSL takes it all the same."""
    whole = ssl.PEM_cert_to_DER_cert(authority.pem)
    assert field in whole
    return ssl.DER_cert_to_PEM_cert(whole.replace(field, becomes))


def test_a_certificate_whose_end_is_no_time_has_none(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    end = time.gmtime(first_end(authority.pem))
    text = odd(authority, time.strftime("%y%m%d%H%M%SZ", end).encode(), b"309901000000Z")
    ssl.create_default_context(cadata=text)
    assert first_end(text) is None


def test_a_certificate_of_which_python_cannot_read_all_has_no_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path, url="http://crl.example/")
    text = odd(authority, b"http://crl.example/", b"http://\xff\xff\xff.example/")
    ssl.create_default_context(cadata=text)
    assert first_end(text) is None


def test_comments_of_a_bundle_may_be_in_any_language(tmp_path: Path) -> None:
    pem = Authority(tmp_path).pem
    assert first_end(f"# Főtanúsítvány\n{pem}") == first_end(pem) is not None


def test_an_end_is_in_seconds_since_1970() -> None:
    text = "Jan  5 09:34:43 2018 GMT"
    assert end_of({"notAfter": text}) == ssl.cert_time_to_seconds(text) == 1515144883
    assert end_of(None) is None
    assert end_of({}) is None
