"""A manifest that cannot be used is refused with the field and with what to do about it."""

import copy
from typing import Any

import pytest

from forebay.core.resource import API_VERSION, KIND, parse_endpoint
from forebay.core.validation_errors import InvalidEndpoint, Problem

Json = Any

SECRET = {"secretKeyRef": {"name": "crm", "key": "token"}}

BASIC = {"username": "provider", "password": SECRET}
NAMED = {"names": ["client.webhooks.fbclientcerts.com"]}

GOOD: Json = {
    "apiVersion": API_VERSION,
    "kind": KIND,
    "metadata": {"namespace": "acme", "name": "sales"},
    "spec": {
        "provider": "meta",
        "throughput": {"messagesPerSecond": 80},
        "authentication": {"headers": [{"name": "Authorization", "values": [SECRET]}]},
        "receiver": {"replicas": {"min": 2}, "resources": {"requests": {"cpu": "1"}}},
        "processing": {"shard": "0"},
        "destinations": [
            {"name": "log", "log": {}},
            {"name": "crm", "http": {"url": "https://crm.example.com/in"}, "retry": {}},
        ],
    },
}

REMOVED = object()


def changed(path: str, value: object) -> Json:
    """Return the good manifest with one field set, or removed."""
    document = copy.deepcopy(GOOD)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    record = document
    for part in parents:
        record = record[part]
    if value is REMOVED:
        del record[last]
    else:
        record[last] = value
    return document


def generic(headers: list[str]) -> Json:
    document = changed("spec.deduplication", {"headers": headers})
    document["spec"]["provider"] = "generic"
    return document


def problems(document: Json) -> list[Problem]:
    with pytest.raises(InvalidEndpoint) as caught:
        parse_endpoint(document)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("path", "value", "field", "advice"),
    [
        ("metadata.name", "Sales_1", "metadata.name", "DNS label"),
        ("metadata.name", "a" * 51, "metadata.name", "at most 50"),
        ("metadata.namespace", "a" * 64, "metadata.namespace", "at most 63"),
        ("apiVersion", "forebay.dev/v2", "apiVersion", "use 'forebay.dev/v1alpha1'"),
        ("spec.provider", "gupshup", "spec.provider", "use '360dialog', 'meta' or 'generic'"),
        ("spec.provider", REMOVED, "spec.provider", "missing: add it"),
        ("spec.host", "hooks.example.com:443", "spec.host", "no port"),
        ("spec.host", "my_hooks.example.com", "spec.host", "no underscore"),
        ("spec.host", "https://hooks.example.com", "spec.host", "no scheme"),
        ("spec.channel", {"phoneNumberId": 1082}, "spec.channel.phoneNumberId", "put it in quotes"),
        ("spec.channel", {"phoneNumberId": "+1555"}, "spec.channel.phoneNumberId", "id of digits"),
        ("spec.throughput.messagesPerSecond", 0, "spec.throughput.messagesPerSecond", "at least 1"),
        (
            "spec.throughput.messagesPerSecond",
            "80",
            "spec.throughput.messagesPerSecond",
            "whole number, without quotes",
        ),
        ("spec.throughput.replyRatio", 11, "spec.throughput.replyRatio", "at most 10"),
        ("spec.paused", "yes", "spec.paused", "true or false, without quotes"),
        ("spec.processing.shard", 0, "spec.processing.shard", "put it in quotes"),
        ("spec.processing.ordering", "Strict", "spec.processing.ordering", "'Conversation' or"),
        (
            "spec.processing.statusOrder",
            "Strict",
            "spec.processing.statusOrder",
            "'Monotonic' or",
        ),
        ("spec.receiver.replicas.min", 21, "spec.receiver.replicas", "min (21) is above max (20)"),
        (
            "spec.receiver.resources.requests.memory",
            "256MB",
            "spec.receiver.resources.requests.memory",
            "such as 500m or 256Mi",
        ),
        ("spec.destinations", [], "spec.destinations", "at least 1"),
        ("spec.destinations", {"name": "x"}, "spec.destinations", "has to be a list"),
    ],
)
def test_a_value_out_of_bounds_is_refused(
    path: str, value: object, field: str, advice: str
) -> None:
    [problem] = problems(changed(path, value))
    assert problem.field == field
    assert advice in problem.reason
    assert problem.endpoint.startswith("a")


@pytest.mark.parametrize(
    ("authentication", "field", "advice"),
    [
        ({}, "spec.authentication", "or `clientCertificate`, or say `none: true`"),
        ({"headers": []}, "spec.authentication", "give `headers`, `basic`, `signature`"),
        ({"basic": []}, "spec.authentication", "give `headers`, `basic`, `signature`"),
        ({"none": True, "basic": [BASIC]}, "spec.authentication", "lets anyone in"),
        ({"none": True, "clientCertificate": NAMED}, "spec.authentication", "lets anyone in"),
        (
            {"basic": [BASIC], "headers": [{"name": "AUTHORIZATION", "values": [SECRET]}]},
            "spec.authentication",
            "one header, which cannot hold both",
        ),
        (
            {"basic": [{**BASIC, "username": "a:b"}]},
            "spec.authentication.basic[0].username",
            "no colon",
        ),
        (
            {"basic": [{**BASIC, "password": "hunter2"}]},
            "spec.authentication.basic[0].password",
            "",
        ),
        (
            {"clientCertificate": {"names": []}},
            "spec.authentication.clientCertificate.names",
            "at least 1",
        ),
        (
            {"clientCertificate": {"names": [" a"]}},
            "spec.authentication.clientCertificate.names[0]",
            "common name or DNS name",
        ),
        ({"verifyToken": SECRET}, "spec.authentication", "guards the GET challenge only"),
        (
            {"none": True, "signature": {"secrets": [SECRET]}},
            "spec.authentication",
            "`none: true` lets anyone in",
        ),
        ({"signature": {"secrets": []}}, "spec.authentication.signature.secrets", "at least 1"),
        (
            {"headers": [{"name": "X-A", "values": [SECRET]}, {"name": "x-a", "values": [SECRET]}]},
            "spec.authentication",
            "stands here twice",
        ),
        (
            {"headers": [{"name": "X A", "values": [SECRET]}]},
            "spec.authentication.headers[0].name",
            "cannot have this name",
        ),
        (
            {"verifyToken": {"secretKeyRef": {"name": "CRM", "key": "a"}}, "none": True},
            "spec.authentication.verifyToken.secretKeyRef.name",
            "lower-case letters",
        ),
    ],
)
def test_an_endpoint_that_would_let_strangers_in_is_refused(
    authentication: Json, field: str, advice: str
) -> None:
    [problem] = problems(changed("spec.authentication", authentication))
    assert problem.field == field
    assert advice in problem.reason


def test_a_secret_written_into_a_manifest_is_refused_and_not_repeated_in_the_message() -> None:
    found = problems(changed("spec.authentication.headers.0.values", [{"value": "hunter2"}]))
    assert any(
        problem.field == "spec.authentication.headers[0].values[0].value"
        and "name a Secret with `secretKeyRef`" in problem.reason
        for problem in found
    )
    assert "hunter2" not in str(InvalidEndpoint(found))


@pytest.mark.parametrize(
    ("destination", "field", "advice"),
    [
        ({"name": "a"}, "[0]", "exactly one of http, log"),
        ({"name": "a", "log": None}, "[0]", "such as `log: {}`"),
        ({"name": "a", "log": {}, "http": {"url": "http://a/"}}, "[0]", "exactly one of"),
        ({"name": "A", "log": {}}, "[0].name", "DNS label"),
        ({"name": "a", "log": {}, "events": ["message"]}, "[0].events[0]", "mean 'messages'?"),
        ({"name": "a", "log": {}, "events": []}, "[0].events", "at least 1"),
        ({"name": "a", "log": {}, "channels": ["me"]}, "[0].channels[0]", "id of digits"),
        ({"name": "a", "http": {"url": "ftp://a/"}}, "[0].http.url", "http or https and a host"),
        ({"name": "a", "http": {"url": "http:///in"}}, "[0].http.url", "http or https and a host"),
        ({"name": "a", "http": {"url": "http://a:99999/"}}, "[0].http.url", "no URL"),
        ({"name": "a", "http": {"url": "http://u:p@a/"}}, "[0].http.url", "keep credentials out"),
        ({"name": "a", "http": {"url": "http://a/b c"}}, "[0].http.url", "percent-encode"),
        (
            {"name": "a", "http": {"url": "http://a/", "format": "Body"}},
            "[0].http.format",
            "use 'Event' or 'Raw'",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "signing": {}}},
            "[0].http.signing",
            "either `secretKeyRef` or `secrets`",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "ratePerSecond": -1}},
            "[0].http.ratePerSecond",
            "at least 0",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "format": "Raw", "batch": {}}},
            "[0].http",
            "`batch` is for events",
        ),
        (
            {
                "name": "a",
                "http": {"url": "http://a/", "format": "Raw", "contentType": "application/json"},
            },
            "[0].http",
            "`contentType` is for events",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "contentType": "text/plain"}},
            "[0].http.contentType",
            "use 'application/cloudevents+json' or 'application/json'",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "batch": {"maxWait": "1m"}}},
            "[0].http.batch.maxWait",
            "use 10ms to 5s",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "batch": {"maxItems": 1}}},
            "[0].http.batch.maxItems",
            "at least 2",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "tls": {"insecureSkipVerify": True}}},
            "[0].http",
            "for https only",
        ),
        (
            {"name": "a", "http": {"url": "https://a/", "tls": {"certificate": SECRET}}},
            "[0].http.tls",
            "belong together",
        ),
        (
            {
                "name": "a",
                "http": {"url": "https://a/", "tls": {"insecureSkipVerify": True, "ca": SECRET}},
            },
            "[0].http.tls",
            "checks nothing",
        ),
        (
            {"name": "a", "http": {"url": "https://a/", "tls": {"serverName": "a:443"}}},
            "[0].http.tls.serverName",
            "stands in the certificate",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "timeoutSeconds": 0}},
            "[0].http.timeoutSeconds",
            "at least 0.1",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "maxInFlight": 2000}},
            "[0].http.maxInFlight",
            "at most 1024",
        ),
        (
            {"name": "a", "http": {"url": "http://a/", "headers": [{"name": "X"}]}},
            "[0].http.headers[0]",
            "either `value` or `secretKeyRef`",
        ),
        (
            {
                "name": "a",
                "http": {"url": "http://a/", "headers": [{"name": "Webhook-Id", "value": "1"}]},
            },
            "[0].http.headers[0].name",
            "set by Forebay itself",
        ),
        (
            {
                "name": "a",
                "http": {"url": "http://a/", "headers": [{"name": "X", "value": "a\nb: c"}]},
            },
            "[0].http.headers[0].value",
            "printable ASCII",
        ),
        (
            {"name": "a", "log": {}, "retry": {"initialDelay": "1h", "maxDelay": "1m"}},
            "[0].retry",
            "initialDelay is above maxDelay",
        ),
        ({"name": "a", "log": {}, "retry": {"maxAge": "200h"}}, "[0].retry.maxAge", "1s to 168h"),
        ({"name": "a", "log": {}, "retry": {"maxAge": "3d"}}, "[0].retry.maxAge", "1h30m or 72h"),
        ({"name": "a", "log": {}, "retry": {"maxAge": ""}}, "[0].retry.maxAge", "1h30m or 72h"),
        ({"name": "a", "log": {}, "retry": {"maxAge": 60}}, "[0].retry.maxAge", "1h30m or 72h"),
    ],
)
def test_a_destination_that_cannot_be_reached_is_refused(
    destination: Json, field: str, advice: str
) -> None:
    [problem] = problems(changed("spec.destinations", [destination]))
    assert problem.field == f"spec.destinations{field}"
    assert advice in problem.reason


def test_two_destinations_of_one_name_are_refused() -> None:
    [problem] = problems(changed("spec.destinations.1.name", "log"))
    assert problem.field == "spec.destinations"
    assert "two destinations are called 'log'" in problem.reason


@pytest.mark.parametrize(
    ("path", "value", "advice"),
    [
        ("spec.Provider", "meta", "did you mean `provider`?"),
        ("spec.throughput.messages_per_second", 80, "did you mean `messagesPerSecond`?"),
        ("spec.destinations.1.http.timeout", 3, "did you mean `timeoutSeconds`?"),
        ("spec.quux", 1, "those that can be here are provider, channel, host"),
        ("spec.destinations.0.log.level", "info", "those that can be here are none"),
        ("spec.registration", {"mode": "Managed"}, "not in this version: do it by hand"),
        ("spec.destinations.1.http.ratePerSeconds", 10, "did you mean `ratePerSecond`?"),
        ("spec.receiver.autoscaling", {}, "set by the chart"),
    ],
)
def test_an_unknown_field_is_refused_with_a_hint(path: str, value: object, advice: str) -> None:
    [problem] = problems(changed(path, value))
    assert ".".join(str(part) for part in problem.path) == path
    assert advice in problem.reason


@pytest.mark.parametrize(
    ("path", "misspelt"),
    [
        ("spec.authentication", "authentcation"),
        ("spec.destinations.0.name", "nam"),
        ("spec.authentication.headers.0.values.0.secretKeyRef", "secretKeyReff"),
    ],
)
def test_a_required_field_that_is_misspelt_is_reported_once(path: str, misspelt: str) -> None:
    parent, _, name = path.rpartition(".")
    document = changed(path, REMOVED)
    record: Json = document
    for part in parent.split("."):
        record = record[int(part) if part.isdigit() else part]
    record[misspelt] = {}
    [problem] = problems(document)
    assert problem.reason == f"there is no such field: did you mean `{name}`?"


def test_an_image_is_for_processors_of_its_own() -> None:
    (problem,) = problems(changed("spec.processing", {"image": "registry.example.com/bot"}))
    assert problem.field == "spec.processing"
    assert "set `isolation: Dedicated`" in problem.reason
    own = {"isolation": "Dedicated", "image": "registry.example.com/bot:1@sha256:0a"}
    assert parse_endpoint(changed("spec.processing", own)).spec.processing.image == own["image"]
    (problem,) = problems(changed("spec.processing", {**own, "image": "registry.example.com/a b"}))
    assert problem.field == "spec.processing.image"


def test_nobody_names_the_shard_of_somebody_s_own() -> None:
    (problem,) = problems(changed("spec.processing", {"shard": "d-d21b2cdf12b74c"}))
    assert problem.field == "spec.processing.shard"
    assert "use `isolation: Dedicated`" in problem.reason


def test_all_problems_are_reported_at_once_one_line_each() -> None:
    document = changed("spec.provider", "gupshup")
    document["spec"]["paused"] = "no"
    document["spec"]["destinations"][1]["http"]["url"] = "crm"
    with pytest.raises(InvalidEndpoint) as caught:
        parse_endpoint(document)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["acme/sales", "spec.provider"],
        ["acme/sales", "spec.destinations[1].http.url"],
        ["acme/sales", "spec.paused"],
    ]


def test_a_list_is_not_called_too_short_because_its_entries_are_wrong() -> None:
    found = problems(changed("spec.destinations", [{"name": "A", "log": {}}]))
    assert [problem.field for problem in found] == ["spec.destinations[0].name"]


def test_ids_in_headers_are_for_generic_endpoints_only() -> None:
    (problem,) = problems(changed("spec.deduplication", {}))
    assert problem.field == "spec"
    assert "`deduplication` is for the provider generic only: meta's bodies" in problem.reason


@pytest.mark.parametrize(
    "name",
    [
        *("accept", "accept-encoding", "authorization", "connection", "content-encoding"),
        *("content-length", "content-type", "cookie", "host", "transfer-encoding", "user-agent"),
        "User-Agent",
    ],
)
def test_a_header_that_is_the_same_in_many_requests_is_no_id(name: str) -> None:
    (problem,) = problems(generic([name]))
    assert "no event's id: remove it" in problem.reason


@pytest.mark.parametrize("who", ["token", "user:password", ":password", "user:"])
def test_a_url_holds_neither_a_user_nor_a_password(who: str) -> None:
    http = {"url": f"https://{who}@crm.example.com/"}
    (problem,) = problems(changed("spec.destinations", [{"name": "crm", "http": http}]))
    assert "keep credentials out of the URL" in problem.reason
    assert who not in problem.reason


@pytest.mark.parametrize("port", ["0", "65536", "-1", "x"])
def test_a_url_has_a_port_that_there_is(port: str) -> None:
    http = {"url": f"https://crm.example.com:{port}/"}
    (problem,) = problems(changed("spec.destinations", [{"name": "crm", "http": http}]))
    assert problem.field == "spec.destinations[0].http.url"


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        (["X-Id", "x-id"], "stands here twice: remove one"),
        (["Content-Type"], "no event's id: remove it"),
        ([f"x-{place}" for place in range(9)], "at most 8 fit here"),
    ],
)
def test_ids_that_could_not_distinguish_events_are_refused(headers: list[str], advice: str) -> None:
    (problem,) = problems(generic(headers))
    assert problem.field == "spec.deduplication.headers"
    assert advice in problem.reason
