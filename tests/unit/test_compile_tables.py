"""What receivers and processors get to know of the endpoints, made from manifests and secrets."""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from forebay.core.compile import (
    build_tables,
    compile_endpoint,
    compile_route,
    max_in_flight,
)
from forebay.core.errors import ConfigurationError
from forebay.core.resource import (
    API_VERSION,
    KIND,
    Throughput,
    WebhookEndpoint,
    parse_endpoint,
)
from forebay.core.schedule import webhooks_per_second
from forebay.core.tables import (
    Authentication,
    BasicCheck,
    Batch,
    CertificateCheck,
    HeaderCheck,
    HttpTarget,
    HttpTls,
    ProcessorTable,
    ReceiverTable,
    SignatureCheck,
    decode_table,
    encode_table,
)
from forebay.core.validation_errors import InvalidEndpoint

SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SIGNING = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def reference(key: str) -> dict[str, object]:
    return {"secretKeyRef": {"name": "crm", "key": key}}


def parse(name: str = "sales", **spec: object) -> WebhookEndpoint:
    return parse_endpoint(
        {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"namespace": "acme", "name": name},
            "spec": {
                "provider": "meta",
                "authentication": {"signature": {"secrets": [reference("app-secret")]}},
                "destinations": [{"name": "log", "log": {}}],
                **spec,
            },
        },
    )


class Vault:
    """Secrets in memory: of Secret `crm` in namespace `acme`."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __call__(self, namespace: str, name: str, key: str, /) -> str:
        """Return a value, or say that there is none."""
        if (namespace, name) != ("acme", "crm") or key not in self._values:
            message = f"Secret {name!r} has no key {key!r}"
            raise ConfigurationError(message)
        return self._values[key]


def test_a_signature_follows_from_the_provider() -> None:
    vault = Vault({"app-secret": "s3"})
    meta = compile_route(parse(), vault).authentication.signature
    dialog = compile_route(parse(provider="360dialog"), vault).authentication.signature
    assert meta == SignatureCheck(header="x-hub-signature-256", prefix="required", secrets=("s3",))
    assert dialog == SignatureCheck(
        header="x-360dialog-signature", prefix="optional", secrets=("s3",)
    )


def test_headers_are_compared_in_lower_case_with_all_their_live_values() -> None:
    headers = [{"name": "Authorization", "values": [reference("old"), reference("new")]}]
    route = compile_route(
        parse(authentication={"headers": headers, "verifyToken": reference("verify")}),
        Vault({"old": "Bearer a", "new": "Bearer b", "verify": "v"}),
    )
    assert route.authentication.headers == (
        HeaderCheck(name="authorization", values=("Bearer a", "Bearer b")),
    )
    assert route.authentication.signature is None
    assert route.authentication.verify_tokens == ("v",)


def test_basic_has_its_live_pairs_and_a_certificate_its_names() -> None:
    pairs = [
        {"username": "provider", "password": reference("old")},
        {"username": "provider", "password": reference("new")},
    ]
    names = ["client.webhooks.fbclientcerts.com"]
    route = compile_route(
        parse(authentication={"basic": pairs, "clientCertificate": {"names": names}}),
        Vault({"old": "a", "new": "b:ü\n"}),
    )
    assert route.authentication == Authentication(
        basic=(
            BasicCheck(username="provider", password="a"),
            BasicCheck(username="provider", password="b:ü"),
        ),
        client_certificate=CertificateCheck(names=tuple(names)),
    )


@pytest.mark.parametrize(
    ("deduplication", "names"),
    [
        (None, ("webhook-id", "idempotency-key", "ce-id", "x-github-delivery")),
        ({}, ("webhook-id", "idempotency-key", "ce-id", "x-github-delivery")),
        ({"headers": ["X-Event-Id", "ce-id"]}, ("x-event-id", "ce-id")),
        ({"headers": []}, ()),
    ],
)
def test_a_generic_endpoint_says_which_headers_hold_an_events_id(
    deduplication: object, names: tuple[str, ...]
) -> None:
    manifest = parse(provider="generic", deduplication=deduplication)
    vault = Vault({"app-secret": "s3"})
    assert compile_route(manifest, vault).id_headers == names
    assert compile_endpoint(manifest, vault).id_headers == names


@pytest.mark.parametrize("provider", ["meta", "360dialog"])
def test_a_provider_whose_bodies_carry_ids_has_none_in_headers(provider: str) -> None:
    manifest, vault = parse(provider=provider), Vault({"app-secret": "s3"})
    assert compile_route(manifest, vault).id_headers == ()
    assert compile_endpoint(manifest, vault).id_headers == ()


@pytest.mark.parametrize("vault", [Vault({}), Vault({"password": "\n"})])
def test_an_endpoint_whose_password_is_missing_or_empty_is_refused(vault: Vault) -> None:
    basic = [{"username": "provider", "password": reference("password")}]
    with pytest.raises(InvalidEndpoint) as caught:
        compile_route(parse(authentication={"basic": basic}), vault)
    (problem,) = caught.value.problems
    assert problem.field == "spec.authentication.basic[0].password"


def test_one_newline_at_the_end_of_a_secret_is_not_part_of_it() -> None:
    def secret_of(value: str) -> str:
        signature = compile_route(parse(), Vault({"app-secret": value})).authentication.signature
        assert signature is not None
        return signature.secrets[0]

    assert secret_of("s3\n") == "s3"
    assert secret_of("s3\n\n") == "s3\n"
    assert secret_of(" s3 ") == " s3 "


@pytest.mark.parametrize("empty", ["", "\n"])
def test_an_endpoint_with_an_empty_secret_is_refused(empty: str) -> None:
    with pytest.raises(InvalidEndpoint) as caught:
        compile_route(parse(), Vault({"app-secret": empty}))
    assert str(caught.value) == (
        "acme/sales: spec.authentication.signature.secrets[0]: "
        "key 'app-secret' of Secret 'crm' is empty: give it a value"
    )


def test_an_endpoint_with_a_missing_secret_is_refused_with_its_name_and_key() -> None:
    with pytest.raises(InvalidEndpoint, match=r"secrets\[0\]: Secret 'crm' has no key"):
        compile_route(parse(), Vault({}))


@pytest.mark.parametrize("value", ["Bearer \u00e4", "two\nlines", " Bearer a", "Bearer a "])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(value: str) -> None:
    authentication = {"headers": [{"name": "Authorization", "values": [reference("token")]}]}
    with pytest.raises(InvalidEndpoint) as caught:
        compile_route(parse(authentication=authentication), Vault({"token": value}))
    assert "cannot be a header's value: use printable ASCII" in str(caught.value)
    assert "Bearer" not in str(caught.value)


def test_anyone_may_send_to_an_endpoint_that_says_so() -> None:
    authentication = compile_route(parse(authentication={"none": True}), Vault({})).authentication
    assert authentication.none is True
    assert authentication.headers == ()
    assert authentication.signature is None


@pytest.mark.parametrize(
    ("outgoing", "webhooks", "in_flight"),
    [(20, 66, 198), (80, 264, 792), (1000, 3300, 9900)],
)
def test_limits_follow_the_providers_sizing_rule(
    outgoing: int, webhooks: float, in_flight: int
) -> None:
    throughput = Throughput(messages_per_second=outgoing)
    assert webhooks_per_second(throughput) == pytest.approx(webhooks)
    assert max_in_flight(throughput) == in_flight


def test_a_slow_number_still_has_room_for_a_burst() -> None:
    assert max_in_flight(Throughput(messages_per_second=1, reply_ratio=0)) == 64


def test_a_destination_gets_its_headers_and_its_signing_secret() -> None:
    destination: dict[str, Any] = {
        "name": "crm",
        "events": ["messages"],
        "channels": ["108200000000301"],
        "http": {
            "url": "https://crm.example.com/in",
            "headers": [
                {"name": "X-Tenant", "value": "acme"},
                {"name": "Authorization", **reference("token")},
            ],
            "signing": reference("signing"),
            "timeoutSeconds": 3,
            "maxInFlight": 7,
        },
        "retry": {"initialDelay": "2s", "maxDelay": "1m", "maxAge": "1h"},
    }
    endpoint = compile_endpoint(
        parse(
            channel={"phoneNumberId": "108200000000301"},
            destinations=[destination],
            processing={"ordering": "None", "statusOrder": "None", "shard": "eu"},
            paused=True,
        ),
        Vault({"token": "Bearer t\n", "signing": f"{SIGNING}\n"}),
    )
    assert (endpoint.shard, endpoint.ordering, endpoint.paused) == ("eu", "None", True)
    assert endpoint.status_order == "None"
    assert endpoint.channel == "108200000000301"
    [made] = endpoint.destinations
    assert (made.name, made.events, made.channels) == ("crm", ("messages",), ("108200000000301",))
    assert made.log is None
    assert made.http is not None
    assert made.http.headers == {"X-Tenant": "acme", "Authorization": "Bearer t"}
    assert made.http.signing_secrets == (SIGNING,)
    assert (made.http.timeout_seconds, made.http.max_in_flight) == (3, 7)
    assert made.retry.initial_delay_seconds == 2
    assert made.retry.max_delay_seconds == 60
    assert made.retry.max_age_seconds == 3600


@pytest.mark.parametrize(
    "secret",
    ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_not base64 at all, is it?"],
)
def test_a_signing_secret_of_the_wrong_form_is_refused(secret: str) -> None:
    http = {"url": "http://crm.example.com/", "signing": reference("signing")}
    with pytest.raises(InvalidEndpoint) as caught:
        compile_endpoint(
            parse(destinations=[{"name": "crm", "http": http}]), Vault({"signing": secret})
        )
    assert "spec.destinations[0].http.signing: key 'signing'" in str(caught.value)
    assert "use whsec_ and 24 to 64 random bytes in base64" in str(caught.value)
    assert secret not in str(caught.value)


def signing_of(size: int) -> str:
    return f"whsec_{base64.b64encode(bytes(size)).decode()}"


@pytest.mark.parametrize("size", [24, 64])
def test_a_signing_secret_may_be_as_long_as_the_standard_says(size: int) -> None:
    http = {"url": "http://crm.example.com/", "signing": reference("signing")}
    manifest = parse(destinations=[{"name": "crm", "http": http}])
    made = compile_endpoint(manifest, Vault({"signing": signing_of(size)}))
    assert made.destinations[0].http is not None
    assert made.destinations[0].http.signing_secrets == (signing_of(size),)


@pytest.mark.parametrize("size", [1, 23, 65])
def test_a_signing_secret_of_another_length_is_refused(size: int) -> None:
    http = {"url": "http://crm.example.com/", "signing": reference("signing")}
    manifest = parse(destinations=[{"name": "crm", "http": http}])
    with pytest.raises(InvalidEndpoint, match="24 to 64 random bytes"):
        compile_endpoint(manifest, Vault({"signing": signing_of(size)}))


def test_while_a_signing_secret_is_changed_all_of_them_sign() -> None:
    http = {
        "url": "http://crm.example.com/",
        "signing": {"secrets": [reference("new"), reference("old")]},
    }
    made = compile_endpoint(
        parse(destinations=[{"name": "crm", "http": http}]),
        Vault({"new": SIGNING, "old": OTHER_SIGNING}),
    )
    assert made.destinations[0].http is not None
    assert made.destinations[0].http.signing_secrets == (SIGNING, OTHER_SIGNING)


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"
TLS = {
    "ca": reference("ca"),
    "certificate": reference("certificate"),
    "key": reference("key"),
    "serverName": "crm",
}


def test_a_destination_gets_its_certificates_and_its_limits() -> None:
    http = {"url": "https://10.0.0.1/", "tls": TLS, "format": "Raw", "ratePerSecond": 2.5}
    made = compile_endpoint(
        parse(destinations=[{"name": "crm", "http": http}], processing={"maxInFlight": 9}),
        Vault({"ca": CERTIFICATE, "certificate": CERTIFICATE, "key": KEY}),
    )
    target = made.destinations[0].http
    assert target is not None
    assert target.tls == HttpTls(
        ca=CERTIFICATE.strip(), certificate=CERTIFICATE.strip(), key=KEY.strip(), server_name="crm"
    )
    assert (target.format, target.rate_per_second, made.max_in_flight) == ("Raw", 2.5, 9)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, Batch(max_items=100, max_bytes=1_048_576, max_wait_seconds=0.1)),
        (
            {"maxItems": 7, "maxBytes": 2048, "maxWait": "1s"},
            Batch(max_items=7, max_bytes=2048, max_wait_seconds=1.0),
        ),
    ],
)
def test_a_destination_gets_its_batches(given: dict[str, object], made: Batch) -> None:
    http = {"url": "http://crm/", "batch": given}
    endpoint = compile_endpoint(parse(destinations=[{"name": "crm", "http": http}]), Vault({}))
    assert endpoint.destinations[0].http == HttpTarget(url="http://crm/", batch=made)


@pytest.mark.parametrize("field", ["ca", "certificate", "key"])
def test_what_is_no_pem_is_refused(field: str) -> None:
    given = {"ca": CERTIFICATE, "certificate": CERTIFICATE, "key": KEY} | {
        field: "0123456789abcdef"
    }
    http = {"url": "https://crm.example.com/", "tls": TLS}
    with pytest.raises(InvalidEndpoint) as caught:
        compile_endpoint(parse(destinations=[{"name": "crm", "http": http}]), Vault(given))
    assert f"spec.destinations[0].http.tls.{field}: key {field!r}" in str(caught.value)
    assert "in PEM" in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "other"), [("ca", KEY), ("certificate", KEY), ("key", CERTIFICATE)]
)
def test_a_key_in_the_place_of_a_certificate_is_refused_and_the_other_way_round(
    field: str, other: str
) -> None:
    given = {"ca": CERTIFICATE, "certificate": CERTIFICATE, "key": KEY} | {field: other}
    http = {"url": "https://crm.example.com/", "tls": TLS}
    with pytest.raises(InvalidEndpoint, match=f"key {field!r} of Secret"):
        compile_endpoint(parse(destinations=[{"name": "crm", "http": http}]), Vault(given))


def test_tables_are_what_the_parts_read() -> None:
    receiver, processor = build_tables([parse("b"), parse("a")], Vault({"app-secret": "s"}))
    assert decode_table(encode_table(receiver), ReceiverTable) == receiver
    assert decode_table(encode_table(processor), ProcessorTable) == processor
    assert [route.name for route in receiver.routes] == ["a", "b"]
    assert [endpoint.name for endpoint in processor.endpoints] == ["a", "b"]


def test_the_generation_changes_with_the_content_and_with_nothing_else() -> None:
    one = build_tables([parse("a"), parse("b")], Vault({"app-secret": "s"}))
    same = build_tables([parse("b"), parse("a")], Vault({"app-secret": "s"}))
    rotated = build_tables([parse("a"), parse("b")], Vault({"app-secret": "t"}))
    assert [table.generation for table in one] == [table.generation for table in same]
    assert one[0].generation != rotated[0].generation
    assert one[1].generation == rotated[1].generation


def test_secrets_go_only_to_the_part_that_needs_them() -> None:
    http = {"url": "http://crm.example.com/", "signing": reference("signing")}
    receiver, processor = build_tables(
        [parse(destinations=[{"name": "crm", "http": http}])],
        Vault({"app-secret": "for-the-receiver", "signing": SIGNING}),
    )
    assert b"for-the-receiver" not in encode_table(processor)
    assert SIGNING.encode() not in encode_table(receiver)


def test_one_set_of_streams_can_be_given_for_all() -> None:
    manifest = parse(processing={"shard": "eu"})
    receiver, processor = build_tables([manifest], Vault({"app-secret": "s"}), shard="0")
    assert (receiver.routes[0].shard, processor.endpoints[0].shard) == ("0", "0")


def test_the_problems_of_all_endpoints_are_reported_at_once() -> None:
    with pytest.raises(InvalidEndpoint) as caught:
        build_tables([parse("a"), parse("b")], Vault({}))
    assert [problem.endpoint for problem in caught.value.problems] == ["acme/a", "acme/b"]
