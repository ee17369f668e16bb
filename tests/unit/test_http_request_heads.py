"""The head of a request: who has a say in it, and that nobody writes lines of their own."""

import base64
import re
import ssl
from typing import Final

import pytest
from yarl import URL

from forebay_processor.destinations.http.request import RequestHead, UnsafeHeader
from forebay_processor.destinations.network.connecting import origin_of

URL_: Final = URL("https://crm.example.com/in?a=b")


def lines(head: bytes) -> list[str]:
    text = head.decode()
    assert text.endswith("\r\n\r\n")
    assert not re.search(r"[^\r]\n|\r[^\n]", text)
    return text[:-4].split("\r\n")


def fields(head: bytes) -> dict[str, str]:
    """Return the headers by their names as they are; none may be there twice."""
    pairs = [line.partition(": ") for line in lines(head)[1:]]
    names = [name.lower() for name, _, _ in pairs]
    assert len(set(names)) == len(names)
    return {name: value for name, _, value in pairs}


def test_a_head_has_what_a_request_needs() -> None:
    head = RequestHead(URL_, {"X-Own": "1"}).write({"webhook-id": "abc"}, 17)
    assert lines(head)[0] == "POST /in?a=b HTTP/1.1"
    found = fields(head)
    assert found.pop("User-Agent").startswith("Forebay/")
    assert found == {
        "Host": "crm.example.com",
        "X-Own": "1",
        "Accept": "*/*",
        "webhook-id": "abc",
        "Content-Length": "17",
    }


def test_what_a_request_has_by_itself_goes_before_the_manifests() -> None:
    own = {"WEBHOOK-ID": "theirs", "Content-Type": "theirs", "X-Own": "1", "accept": "theirs"}
    head = RequestHead(URL_, own)
    found = fields(head.write({"webhook-id": "a", "content-type": "b"}, 0))
    assert (found["webhook-id"], found["content-type"]) == ("a", "b")
    assert (found["X-Own"], found["accept"]) == ("1", "theirs")
    # Another request without such a header has the manifest's.
    assert fields(head.write({"webhook-id": "a"}, 0))["Content-Type"] == "theirs"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "CONNECTION"])
def test_no_manifest_says_where_a_request_ends_or_whom_it_is_for(name: str) -> None:
    found = fields(RequestHead(URL_, {name: "7"}).write({}, 0))
    assert "7" not in found.values()


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
@pytest.mark.parametrize("place", ["{}b", "a{}b", "a{}", "a{}X: y"])
def test_no_value_and_no_name_ends_its_line(end: str, place: str) -> None:
    text = place.format(end)
    head = RequestHead(URL_, {})
    with pytest.raises(UnsafeHeader):
        head.write({"traceparent": text}, 0)
    with pytest.raises(UnsafeHeader):
        head.write({text: "a"}, 0)
    with pytest.raises(UnsafeHeader):
        RequestHead(URL_, {"X-Own": text})


def test_a_value_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        RequestHead(URL_, {}).write({"traceparent": "\ud83d"}, 0)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://crm.example.com", "crm.example.com"),
        ("http://crm.example.com:80/", "crm.example.com"),
        ("http://crm.example.com:443/", "crm.example.com:443"),
        ("https://crm.example.com:443/", "crm.example.com"),
        ("https://crm.example.com:8443/", "crm.example.com:8443"),
        ("https://CRM.Example.com./", "crm.example.com"),
        ("http://[fd00::1]/", "[fd00::1]"),
        ("http://[fd00::1]:8080/", "[fd00::1]:8080"),
        ("http://10.0.0.1:8080/", "10.0.0.1:8080"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
    ],
)
def test_host_is_the_urls_with_a_port_that_is_not_the_schemes(url: str, host: str) -> None:
    assert fields(RequestHead(URL(url), {}).write({}, 0))["Host"] == host


@pytest.mark.parametrize(
    ("url", "given", "host", "name"),
    [
        ("https://crm.example.com/", None, "crm.example.com", "crm.example.com"),
        ("https://crm.example.com./", None, "crm.example.com.", "crm.example.com"),
        ("https://crm.example.com../", None, "crm.example.com.", "crm.example.com"),
        ("https://10.0.0.1/", None, "10.0.0.1", "10.0.0.1"),
        ("https://[fd00::1]/", None, "fd00::1", "fd00::1"),
        ("https://10.0.0.1/", "crm.example.com.", "10.0.0.1", "crm.example.com"),
        ("http://crm.example.com/", "crm.example.com", "crm.example.com", ""),
    ],
)
def test_a_certificates_name_is_the_hosts_or_the_one_that_is_given(
    url: str, given: str | None, host: str, name: str
) -> None:
    origin = origin_of(URL(url), None, given)
    assert (origin.host, origin.server_name) == (host, name)
    assert (origin.tls is None) == url.startswith("http:")


def test_tls_that_nobody_set_checks_certificates_and_names() -> None:
    tls = origin_of(URL("https://crm.example.com/"), None, None).tls
    assert tls is not None
    assert tls.check_hostname
    assert tls.verify_mode is ssl.CERT_REQUIRED


def test_a_user_and_password_in_the_url_are_not_in_the_line_but_in_a_header() -> None:
    head = RequestHead(URL("https://us%40er:p%3Aw@crm.example.com/in"), {}).write({}, 0)
    assert lines(head)[0] == "POST /in HTTP/1.1"
    found = fields(head)
    assert found["Host"] == "crm.example.com"
    scheme, _, pair = found["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"us@er:p:w")


def test_more_sets_of_names_than_are_remembered_are_written_as_well() -> None:
    head = RequestHead(URL_, {"X-5": "theirs", "X-Own": "1"})
    for number in range(200):
        found = fields(head.write({f"X-{number}": "ours"}, 0))
        assert found[f"X-{number}"] == "ours"
        assert found["X-Own"] == "1"
        assert ("X-5" in found) is True
