"""What proxies pass on of a client certificate is read exactly, or not at all."""

from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forebay_receiver.policies.proxy_certificate_header import CertificateProxy, names_in
from forebay_receiver.settings import CertificateForm

META = b"client.webhooks.fbclientcerts.com"
FORMS: tuple[CertificateForm, ...] = ("subject", "name", "xfcc", "traefik")
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)


def escaped(value: str) -> str:
    """Return a value as RFC 4514 has it in a distinguished name."""
    text = "".join(f"\\{each}" if each in ',+"\\<>;=' else each for each in value)
    if text.startswith((" ", "#")):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text.endswith(" ") and len(text) > 1 else text


@pytest.mark.parametrize(
    ("form", "value", "names"),
    [
        ("subject", b"CN=" + META, {META}),
        ("subject", b"CN=" + META + b",O=Meta Platforms\\, Inc.,L=Menlo Park,C=US", {META}),
        ("subject", b"C=US,O=Acme,CN=Client.Example.com", {b"client.example.com"}),
        ("subject", b"2.5.4.3=a.example.com", {b"a.example.com"}),
        ("subject", b"OU=x+CN=a.example.com", {b"a.example.com"}),
        ("subject", b"CN=\\61.example.com", {b"a.example.com"}),
        ("subject", b"O=,CN=a", {b"a"}),
        ("name", META, {META}),
        ("xfcc", b'Hash=468e;Subject="CN=a.b,OU=x=y,O=Ac\\"me";URI=;DNS=c.d', {b"a.b", b"c.d"}),
        ("xfcc", b"By=spiffe://cluster/ns/x;Hash=1;DNS=" + META, {META}),
        ("xfcc", b'hash=1;subject="CN=a"', {b"a"}),
        ("traefik", b"Subject%3D%22CN%3Da.b%22", {b"a.b"}),
        ("traefik", b"Subject%3D%22O%3DMeta+Platforms%2C+Inc.%2CCN%3Da%22%3BSAN%3D%22b%22", {b"a"}),
        ("traefik", b"Subject%3D%22CN%3Da%22%2CSubject%3D%22CN%3Dca%22", {b"a"}),
    ],
)
def test_names_are_found(form: CertificateForm, value: bytes, names: set[bytes]) -> None:
    assert names_in(form, value) == names


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("subject", b"CN=somebody, CN=" + META),
        ("subject", b"CN=" + META + b", O=somebody"),
        ("subject", b"CN=somebody,CN=" + META),
        ("subject", b"O=a\\,CN=" + META),
        ("subject", b"O=a;CN=" + META),
        ("subject", b'O="a,CN=' + META + b'"'),
        ("subject", b"/C=US/CN=" + META),
        ("subject", META),
        ("subject", b"CN="),
        ("subject", b"CN=" + META + b","),
        ("subject", b"CN=" + META + b"\\00"),
        ("subject", b"CN=" + META + b"\\"),
        ("name", b"somebody, " + META),
        ("name", b"CN\x00"),
        ("xfcc", b'Subject="CN=somebody",Subject="CN=' + META + b'"'),
        ("xfcc", b"DNS=somebody, DNS=" + META),
        ("xfcc", b'Subject="CN=a";Subject="CN=' + META + b'"'),
        ("xfcc", b'URI="x;DNS=' + META + b'"'),
        ("xfcc", b'Cert="-----BEGIN%20CERTIFICATE"'),
        ("traefik", b"Subject%3D%22CN%3Da%22, Subject%3D%22CN%3Da%22"),
        ("traefik", b"Subject%3D%22O%3Dx%2CCN%3Da%2CCN%3Db%22"),
        ("traefik", b"Issuer%3D%22CN%3Da%22"),
        ("traefik", b'Subject="CN=a"'),
    ],
)
def test_what_can_be_read_in_two_ways_names_nobody(form: CertificateForm, value: bytes) -> None:
    assert names_in(form, value) == frozenset()


@given(st.sampled_from(FORMS), st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(form: CertificateForm, value: bytes) -> None:
    assert b"" not in names_in(form, value)


@given(TEXT.filter(lambda text: text == text.strip()), st.lists(TEXT, max_size=3))
@example("a", ["x,CN=b", "\\,CN=b", '"', "#"])
def test_an_escaped_subject_has_the_name_that_was_put_in(name: str, others: list[str]) -> None:
    parts = [f"O={escaped(each)}" for each in others]
    subject = ",".join([*parts, f"CN={escaped(name)}"]).encode()
    assert names_in("subject", subject) == {name.lower().encode()}
    assert names_in("xfcc", b'Subject="%b"' % subject) == {name.lower().encode()}


@given(TEXT, TEXT)
def test_two_headers_in_one_name_nobody(first: str, second: str) -> None:
    one, two = f"CN={escaped(first)}".encode(), f"CN={escaped(second)}".encode()
    assert names_in("subject", one + b", " + two) == frozenset()
    assert names_in("xfcc", b'Subject="%b", Subject="%b"' % (one, two)) == frozenset()
    info = quote_plus(f'Subject="CN={first}"').encode()
    assert names_in("traefik", info + b", " + info) == frozenset()
    assert names_in("name", first.encode() + b", " + second.encode()) == frozenset()


def test_a_certificate_that_failed_names_nobody() -> None:
    proxy = CertificateProxy(header=b"dn", form="subject", verified=(b"verify", b"SUCCESS"))
    good = {b"dn": b"CN=a", b"verify": b"SUCCESS"}
    assert proxy.names(good) == frozenset({b"a"})
    for verdict in (b"", b"success", b"FAILED", b"SUCCESS, SUCCESS"):
        assert proxy.names({**good, b"verify": verdict}) == frozenset()
    assert proxy.names({b"dn": b"CN=a"}) == frozenset()
    assert proxy.names({b"verify": b"SUCCESS"}) is None
