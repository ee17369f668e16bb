"""Tables are read as they were written, and a doubtful one is refused as a whole."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.core.errors import ConfigurationError
from forebay.core.providers.names import ProviderName
from forebay.core.tables import (
    Authentication,
    BasicCheck,
    CertificateCheck,
    Destination,
    HeaderCheck,
    HttpTarget,
    LogTarget,
    ProcessorEndpoint,
    ProcessorTable,
    ReceiverRoute,
    ReceiverTable,
    Retry,
    SignatureCheck,
    decode_table,
    encode_table,
    entry_bytes,
)

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SEVERAL = st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
SECONDS = st.floats(0.1, 1e6)
PROVIDERS = st.sampled_from(get_args(ProviderName))

HEADERS = st.builds(HeaderCheck, name=NAMES, values=SEVERAL)
SIGNATURES = st.builds(
    SignatureCheck, header=NAMES, prefix=st.sampled_from(["required", "optional"]), secrets=SEVERAL
)
AUTHENTICATIONS = (
    st.builds(Authentication, none=st.just(value=True))
    | st.builds(Authentication, signature=SIGNATURES, verify_tokens=SEVERAL)
    | st.builds(Authentication, headers=st.lists(HEADERS, min_size=1, max_size=2).map(tuple))
    | st.builds(
        Authentication,
        basic=st.lists(st.builds(BasicCheck, username=TEXTS, password=TEXTS), min_size=1).map(
            tuple
        ),
        client_certificate=st.builds(CertificateCheck, names=SEVERAL),
    )
)
ROUTES = st.builds(
    ReceiverRoute, namespace=NAMES, name=NAMES, provider=PROVIDERS, authentication=AUTHENTICATIONS
)
RETRIES = st.builds(
    Retry, initial_delay_seconds=SECONDS, max_delay_seconds=SECONDS, max_age_seconds=SECONDS
)
TARGETS = st.builds(HttpTarget, url=TEXTS, headers=st.dictionaries(TEXTS, TEXTS, max_size=2))
DESTINATIONS = st.builds(Destination, name=NAMES, http=TARGETS, retry=RETRIES) | st.builds(
    Destination, name=NAMES, log=st.just(LogTarget())
)
ENDPOINTS = st.builds(
    ProcessorEndpoint,
    namespace=NAMES,
    name=NAMES,
    provider=PROVIDERS,
    paused=st.booleans(),
    destinations=st.lists(DESTINATIONS, max_size=2).map(tuple),
)
META_SIGNATURE = Authentication(
    signature=SignatureCheck(header="x-hub-signature-256", prefix="required", secrets=("s",)),
    verify_tokens=("t",),
)

ROUTE = ReceiverRoute(
    namespace="demo", name="meta", provider="meta", authentication=Authentication(none=True)
)


def table_with(authentication: Authentication) -> bytes:
    route = ReceiverRoute(
        namespace="demo", name="meta", provider="meta", authentication=authentication
    )
    return encode_table(ReceiverTable(generation="1", routes=(route,)))


@given(st.lists(ROUTES, max_size=3).map(tuple))
def test_a_receiver_s_table_is_read_as_it_was_written(routes: tuple[ReceiverRoute, ...]) -> None:
    table = ReceiverTable(generation="1", routes=routes)
    assert decode_table(encode_table(table), ReceiverTable) == table


@given(st.lists(ENDPOINTS, max_size=3).map(tuple))
def test_a_processor_s_table_is_read_as_it_was_written(
    endpoints: tuple[ProcessorEndpoint, ...],
) -> None:
    table = ProcessorTable(generation="1", endpoints=endpoints, deleted=("demo/old",))
    assert decode_table(encode_table(table), ProcessorTable) == table


def test_equal_tables_are_equal_bytes() -> None:
    targets = [
        HttpTarget(url="https://crm.example.com", headers=headers)
        for headers in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    ]
    first, second = (
        encode_table(
            ProcessorTable(
                generation="1",
                endpoints=(
                    ProcessorEndpoint(
                        namespace="demo",
                        name="meta",
                        provider="meta",
                        destinations=(Destination(name="crm", http=target),),
                    ),
                ),
            )
        )
        for target in targets
    )
    assert first == second


@pytest.mark.parametrize(
    "path", [(), ("routes", 0), ("routes", 0, "authentication")], ids=["table", "route", "inside"]
)
def test_a_field_that_this_version_does_not_know_is_refused(path: tuple[str | int, ...]) -> None:
    document = json.loads(encode_table(ReceiverTable(generation="1", routes=(ROUTE,))))
    place = document
    for step in path:
        place = place[step]
    place["passkey"] = {"required": True}
    with pytest.raises(ConfigurationError, match="passkey"):
        decode_table(json.dumps(document).encode(), ReceiverTable)


def test_what_an_endpoint_takes_in_a_table_is_counted_in_full() -> None:
    bare = len(encode_table(ReceiverTable(generation="1")))
    some = tuple(
        ReceiverRoute(
            namespace="demo",
            name=f"meta-{number}",
            provider="meta",
            authentication=META_SIGNATURE,
        )
        for number in range(3)
    )
    table = ReceiverTable(generation="1", routes=some)
    # All but the last one have a comma behind them.
    assert bare + sum(map(entry_bytes, some)) - 1 == len(encode_table(table))


def test_what_is_not_asked_for_is_not_written() -> None:
    # A receiver of the version before refuses fields that it does not know.
    (route,) = json.loads(table_with(META_SIGNATURE))["routes"]
    assert sorted(route["authentication"]) == ["signature", "verify_tokens"]


def test_another_format_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ReceiverTable of format 1"):
        decode_table(b'{"format": 2, "generation": "1", "routes": []}', ReceiverTable)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b'{"generation": 1}', b"\xff"])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="this is no ReceiverTable"):
        decode_table(data, ReceiverTable)


def test_a_table_of_the_other_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="this is no ProcessorTable"):
        decode_table(table_with(Authentication(none=True)), ProcessorTable)


def test_an_endpoint_without_authentication_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"endpoint demo/meta: no authentication is set"):
        decode_table(table_with(Authentication()), ReceiverTable)


def test_a_verify_token_alone_is_no_authentication() -> None:
    with pytest.raises(ConfigurationError, match="no authentication is set"):
        decode_table(table_with(Authentication(verify_tokens=("token",))), ReceiverTable)


SIGNED = SignatureCheck(header="x-hub-signature-256", prefix="required", secrets=("secret",))


@pytest.mark.parametrize(
    "authentication",
    [
        Authentication(headers=(HeaderCheck(name="authorization", values=("",)),)),
        Authentication(headers=(HeaderCheck(name="authorization", values=()),)),
        Authentication(headers=(HeaderCheck(name="authorization", values=("good", "")),)),
        Authentication(signature=SignatureCheck(header="x", prefix="required", secrets=("",))),
        Authentication(signature=SignatureCheck(header="x", prefix="required", secrets=())),
        Authentication(basic=(BasicCheck(username="shop", password=""),)),
        Authentication(
            basic=(BasicCheck(username="a", password="good"), BasicCheck(username="b", password=""))
        ),
        Authentication(client_certificate=CertificateCheck(names=())),
        Authentication(client_certificate=CertificateCheck(names=("good", ""))),
        Authentication(signature=SIGNED, verify_tokens=("",)),
        Authentication(none=True, verify_tokens=("",)),
    ],
    ids=[
        *("header", "no value", "second value", "signature", "no secret", "password"),
        *("second password", "no name", "second name", "verify token", "none"),
    ],
)
def test_an_empty_secret_is_refused(authentication: Authentication) -> None:
    with pytest.raises(ConfigurationError, match="endpoint demo/meta: a secret is empty"):
        decode_table(table_with(authentication), ReceiverTable)
