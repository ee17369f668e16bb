"""Whoever applies what the API server refuses reads why, and what to do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.operator.control_plane import ControlPlane
from support.operator.operator_process import ENDPOINTS, manifest

Json = Any

PATH = f"{ENDPOINTS}/namespaces/default/webhookendpoints"
DRY = f"{PATH}?dryRun=All&fieldValidation=Strict"
EXAMPLES = Path(__file__).parents[2] / "examples"

SECRET = {"secretKeyRef": {"name": "crm", "key": "token"}}
HEADER = {"name": "Authorization", "values": [SECRET]}
BASIC = {"username": "provider", "password": SECRET}
LOG = {"name": "log", "log": {}}
EVENTS = "application/cloudevents+json"


WINDOW = {"name": "campaign", "cron": "0 9 * * MON", "duration": "2h", "messagesPerSecond": 400}


def scheduled(**fields: Json) -> Json:
    return {"throughput": {"schedule": [{**WINDOW, **fields}]}}


def http(**fields: Json) -> Json:
    return {"name": "crm", "http": {"url": "https://crm.example.com/in", **fields}}


REFUSED = {
    "port": ({"host": "hooks.example.com:8443"}, "without a port"),
    "underscore": ({"host": "my_hooks.example.com"}, "without an underscore"),
    "scheme": ({"host": "https://hooks.example.com"}, "without a scheme"),
    "capitals": ({"host": "Hooks.example.com"}, "in lower case with a dot"),
    "no authentication": ({"authentication": {}}, "say `none: true`"),
    "verify token alone": ({"authentication": {"verifyToken": SECRET}}, "guards the GET challenge"),
    "none and headers": ({"authentication": {"none": True, "headers": [HEADER]}}, "lets anyone in"),
    "none and a certificate": (
        {"authentication": {"none": True, "clientCertificate": {"names": ["a.example.com"]}}},
        "lets anyone in",
    ),
    "none and basic": ({"authentication": {"none": True, "basic": [BASIC]}}, "lets anyone in"),
    "basic and its header": (
        {"authentication": {"basic": [BASIC], "headers": [{**HEADER, "name": "authorization"}]}},
        "cannot hold both",
    ),
    "colon in a user name": (
        {"authentication": {"basic": [{**BASIC, "username": "a:b"}]}},
        "should match",
    ),
    "certificate of any name": (
        {"authentication": {"clientCertificate": {"names": []}}},
        "should have at least 1 items",
    ),
    "one header twice": (
        {"authentication": {"headers": [HEADER, {**HEADER, "name": "AUTHORIZATION"}]}},
        "stands here twice",
    ),
    "two kinds": ({"destinations": [{**http(), "log": {}}]}, "exactly one of http, log"),
    "no kind": ({"destinations": [{"name": "crm"}]}, "exactly one of http, log"),
    "two of one name": ({"destinations": [LOG, LOG]}, "a name of its own"),
    "min above max": ({"receiver": {"replicas": {"min": 5, "max": 2}}}, "raise max or lower min"),
    "no host in url": ({"destinations": [http(url="ftp://crm")]}, "http or https and a host"),
    "password in url": ({"destinations": [http(url="https://a:b@crm.io/")]}, "into a Secret"),
    "fragment in url": ({"destinations": [http(url="https://crm.io/#a")]}, "no fragment"),
    "header without value": ({"destinations": [http(headers=[{"name": "X"}])]}, "`secretKeyRef`"),
    "header of ours": (
        {"destinations": [http(headers=[{"name": "Webhook-Id", "value": "1"}])]},
        "set by Forebay itself",
    ),
    "a database without its URL": (
        {"destinations": [{"name": "db", "postgres": {}}]},
        "dsn: Required value",
    ),
    "a schema of PostgreSQL's own": (
        {"destinations": [{"name": "db", "postgres": {"dsn": SECRET, "schemaName": "pg_a"}}]},
        "PostgreSQL's own",
    ),
    "a database's certificate without its key": (
        {"destinations": [{"name": "db", "postgres": {"dsn": SECRET, "tls": {"key": SECRET}}}]},
        "belong together",
    ),
    "no signing secret": ({"destinations": [http(signing={})]}, "`secretKeyRef` or `secrets`"),
    "tls without https": (
        {"destinations": [http(url="http://crm.io/", tls={"ca": SECRET})]},
        "for https only",
    ),
    "a certificate without its key": (
        {"destinations": [http(tls={"certificate": SECRET})]},
        "belong together",
    ),
    "an authority that nobody asks": (
        {"destinations": [http(tls={"ca": SECRET, "insecureSkipVerify": True})]},
        "checks nothing",
    ),
    "a negative rate": (
        {"destinations": [http(ratePerSecond=-1)]},
        "greater than or equal to 0",
    ),
    "whole webhooks in batches": (
        {"destinations": [http(format="Raw", batch={})]},
        "`batch` is for events",
    ),
    "whole webhooks under a name of ours": (
        {"destinations": [http(format="Raw", contentType="application/json")]},
        "`contentType` is for events",
    ),
    "a filter of whole webhooks": (
        {"destinations": [http(format="Raw") | {"filter": {"expression": "superseded"}}]},
        "`filter` is for events",
    ),
    "a transform of whole webhooks": (
        {"destinations": [http(format="Raw") | {"transform": {"expression": "data"}}]},
        "`transform` is for events",
    ),
    "a transform of a line in the log": (
        {"destinations": [{"name": "one", "log": {}, "transform": {"expression": "data"}}]},
        "`transform` is for http, nats and python",
    ),
    "a filter that says nothing": (
        {"destinations": [http() | {"filter": {"expression": ""}}]},
        "should be at least 1 chars long",
    ),
    "a filter of any length": (
        {"destinations": [http() | {"filter": {"expression": "true//" + "1" * 1019}}]},
        "may not be more than 1024",
    ),
    "a batch that waits for ever": (
        {"destinations": [http(batch={"maxWait": "1m"})]},
        "use 10ms to 5s",
    ),
    "a batch of one": (
        {"destinations": [http(batch={"maxItems": 1})]},
        "greater than or equal to 2",
    ),
    "delays out of order": (
        {"destinations": [{**LOG, "retry": {"initialDelay": "20m"}}]},
        "raise maxDelay",
    ),
    "too long a delay": ({"destinations": [{**LOG, "retry": {"maxAge": "200h"}}]}, "1s to 168h"),
    "ids in headers of a provider with its own": (
        {"provider": "meta", "deduplication": {}},
        "for the provider generic only",
    ),
    "one id header twice": (
        {"provider": "generic", "deduplication": {"headers": ["X-Id", "x-id"]}},
        "stands here twice",
    ),
    "an id header that is the same in all": (
        {"provider": "generic", "deduplication": {"headers": ["Content-Type"]}},
        "no event's id",
    ),
    "no provider of ours": ({"provider": "gupshup"}, 'supported values: "360dialog"'),
    "too much": ({"throughput": {"messagesPerSecond": 20000}}, "less than or equal to 10000"),
    "four fields of cron": (scheduled(cron="0 9 * *"), "should match"),
    "a window that is too short": (scheduled(duration="30s"), "use 1m to 168h"),
    "a window that is made too early": (scheduled(leadTime="25h"), "use 0s to 24h"),
    "a zone that is a path": (scheduled(timeZone="../etc/passwd"), "should match"),
    "too much in a window": (scheduled(messagesPerSecond=20000), "less than or equal to 10000"),
    "two windows of one name": (
        {"throughput": {"schedule": [WINDOW, WINDOW]}},
        "give each a name of its own",
    ),
    "too many windows": (
        {"throughput": {"schedule": [{**WINDOW, "name": f"w{number}"} for number in range(17)]}},
        "must have at most 16 items",
    ),
}


@pytest.mark.parametrize(("spec", "advice"), REFUSED.values(), ids=REFUSED)
def test_refusal_says_what_to_do(control_plane: ControlPlane, spec: Json, advice: str) -> None:
    answer = control_plane.api.ask("POST", DRY, manifest("default", "sales", **spec))
    assert answer.status == 422
    assert advice in answer.message


@pytest.mark.parametrize(
    ("name", "advice"), [("a" * 51, "at most 50 characters"), ("a.b", "use a DNS label")]
)
def test_names_fit_urls_and_subjects(control_plane: ControlPlane, name: str, advice: str) -> None:
    answer = control_plane.api.ask("POST", DRY, manifest("default", name))
    assert answer.status == 422
    assert advice in answer.message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"shard": "1"}),
        ({"shard": "1"}, {}),
    ],
)
def test_the_shard_of_an_endpoint_cannot_change(
    control_plane: ControlPlane, before: Json, after: Json
) -> None:
    api = control_plane.api
    made = api.create(PATH, manifest("default", "fixed", processing=before))
    changed = manifest("default", "fixed", processing=after)
    changed["metadata"] = made["metadata"]
    answer = api.ask("PUT", f"{PATH}/fixed", changed)
    api.delete(f"{PATH}/fixed")
    assert answer.status == 422
    assert "make a new endpoint and register its URL" in answer.message


def test_streams_of_its_own_can_be_asked_for_at_any_time(control_plane: ControlPlane) -> None:
    api = control_plane.api
    made = api.create(PATH, manifest("default", "moved"))
    for processing in ({"isolation": "Dedicated", "image": "registry.example.com/bot:1"}, {}):
        changed = manifest("default", "moved", processing=processing)
        changed["metadata"] = made["metadata"]
        answer = api.ask("PUT", f"{PATH}/moved?dryRun=All", changed)
        assert answer.status == 200, answer.message
    image = {"image": "registry.example.com/bot:1"}
    changed = manifest("default", "moved", processing=image)
    changed["metadata"] = made["metadata"]
    answer = api.ask("PUT", f"{PATH}/moved", changed)
    api.delete(f"{PATH}/moved")
    assert answer.status == 422
    assert "set `isolation: Dedicated`" in answer.message


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.name)
def test_examples_are_taken(control_plane: ControlPlane, file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text()):
        if document["kind"] == "WebhookEndpoint":
            document["metadata"]["namespace"] = "default"
            answer = control_plane.api.ask("POST", DRY, document)
            assert answer.status == 201, answer.message


@pytest.mark.parametrize(
    "authentication",
    [
        {"basic": [BASIC, BASIC]},
        {"clientCertificate": {"names": ["client.webhooks.fbclientcerts.com"]}},
        {"signature": {"secrets": [SECRET]}},
        {"none": True},
        {
            "basic": [BASIC],
            "clientCertificate": {"names": ["client.webhooks.fbclientcerts.com"]},
            "headers": [{**HEADER, "name": "X-Token"}],
            "signature": {"secrets": [SECRET]},
            "verifyToken": SECRET,
        },
    ],
    ids=["basic", "certificate", "signature", "none", "all at once"],
)
def test_each_way_to_authenticate_is_taken(
    control_plane: ControlPlane, authentication: Json
) -> None:
    document = manifest("default", "sales", authentication=authentication)
    answer = control_plane.api.ask("POST", DRY, document)
    assert answer.status == 201, answer.message


@pytest.mark.parametrize(
    "spec",
    [
        {"authentification": {}},
        {"authentication": {"headers": [HEADER], "signatures": {"secrets": [SECRET]}}},
        {"destinations": [{"name": "crm", "http": {}}]},
    ],
    ids=["unknown field", "unknown field inside", "destination without url"],
)
def test_what_only_the_operator_can_check_is_taken_and_kept(
    control_plane: ControlPlane, spec: Json
) -> None:
    answer = control_plane.api.ask("POST", DRY, manifest("default", "sales", **spec))
    assert answer.status == 201, answer.message
    assert spec.keys() <= answer.body["spec"].keys()
    assert "signatures" in answer.body["spec"]["authentication"] or "authentication" not in spec


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "Raw"},
        {"contentType": "application/json"},
        {"format": "Raw", "contentType": EVENTS},
    ],
    ids=["a webhook", "events as JSON", "a webhook, and the default written out"],
)
def test_a_content_type_that_fits_the_format_is_taken(
    control_plane: ControlPlane, fields: Json
) -> None:
    document = manifest("default", "sales", destinations=[http(**fields)])
    answer = control_plane.api.ask("POST", DRY, document)
    assert answer.status == 201, answer.message
