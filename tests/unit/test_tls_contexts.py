"""What a manifest says of TLS is what a connection does, and what cannot be used is reported."""

import os
import ssl
import tempfile
from pathlib import Path

import pytest

from forebay.core.tables import HttpTls
from forebay_processor.destinations.network.tls import UnusableTls, tls_context
from forebay_processor.destinations.postgres.connection import PostgresTls
from support.programs.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def test_only_our_own_authority_is_trusted(authority: Authority) -> None:
    context = tls_context(HttpTls(ca=authority.pem))
    (trusted,) = context.get_ca_certs()
    assert trusted["subject"] == ((("commonName", "authority"),),)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_an_authority_may_have_a_comment_in_any_language(authority: Authority) -> None:
    context = tls_context(HttpTls(ca=f"# Főtanúsítvány\n{authority.pem}"))
    assert len(context.get_ca_certs()) == 1


def test_without_one_the_systems_are() -> None:
    context = tls_context(HttpTls(server_name="crm"))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_nothing_is_checked_where_that_was_said_out_loud() -> None:
    context = tls_context(HttpTls(insecure_skip_verify=True))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files in memory are Linux'")
def test_no_file_is_left_of_a_key(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = authority.issue("client", "DNS:client")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "read-only-file-system"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    tls_context(HttpTls(certificate=client.pem, key=client.key))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def test_what_cannot_be_used_names_its_field(authority: Authority) -> None:
    one, other = authority.issue("one", "DNS:one"), authority.issue("other", "DNS:other")
    with pytest.raises(UnusableTls, match=r"tls\.ca cannot be read"):
        tls_context(HttpTls(ca=NO_CERTIFICATE))
    with pytest.raises(UnusableTls, match=r"give a certificate and its own key"):
        tls_context(HttpTls(certificate=one.pem, key=other.key))
    with pytest.raises(UnusableTls, match=r"give a certificate and its own key"):
        tls_context(HttpTls(certificate=NO_CERTIFICATE, key=one.key))


def test_of_a_database_it_is_made_once_for_each_host() -> None:
    tls = PostgresTls(HttpTls())
    one = tls.of("one.example.com")
    assert tls.of("one.example.com") is one
    assert tls.of("two.example.com") is not one
    assert PostgresTls(None).of("one.example.com") is False
